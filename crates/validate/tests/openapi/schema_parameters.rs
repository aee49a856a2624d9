//! The parameters of `JsonSchemaLayer`.

use bartizan_testkit::TestBody;
use bartizan_validate::{JsonSchema, JsonSchemaLayer, ParameterSchema};
use http::Request;
use serde_json::{Value, json};

use crate::{
    errors, get, send,
    support::{post, withheld},
};

fn schema(schema: &Value) -> ParameterSchema {
    JsonSchema::options().build_parameters(schema).unwrap()
}

fn query() -> JsonSchemaLayer {
    JsonSchemaLayer::for_parameters().with_query(schema(&json!({
        "properties": {
            "limit": { "type": "integer", "minimum": 1, "maximum": 100 },
            "tag": { "type": "array", "items": { "$ref": "#/$defs/tag" } },
            "open": { "type": "boolean" },
            "id": { "oneOf": [{ "type": "integer", "maximum": 9 }, { "type": "string", "minLength": 3 }] },
        },
        "required": ["limit"],
        "additionalProperties": false,
        "dependentRequired": { "open": ["tag"] },
        "$defs": { "tag": { "type": "string", "maxLength": 3 } },
    })))
}

#[tokio::test]
async fn val_05_err_07_a_query_keeps_its_schema() {
    for (uri, expected) in [
        ("/?limit=5", ""),
        ("/?limit=5&tag=a&tag=b&open=true", ""),
        ("/?limit=5&tag=a%20b", ""),
        ("/?limit=5&id=7", ""),
        ("/?limit=5&id=abc", ""),
        // As a string.
        ("/?limit=5&id=100", ""),
        ("/?limit=5&id=10", "422 query id one_of"),
        ("/", "422 query limit required"),
        ("/?limit=x", "422 query limit type"),
        (
            "/?limit=0&tag=long&b=1",
            "422 query b additional_properties,query limit minimum,query tag max_length",
        ),
        ("/?limit=1&limit=2", "400 query limit parameter_repeated"),
        ("/?limit=%zz", "400 query limit parameter_encoding"),
        ("/?%zz=1", "400 query  parameter_encoding"),
        ("/?limit=1&open=true", "422 query tag required"),
    ] {
        let answer = send(&query(), get(uri)).await;
        let found = if answer.seen.is_some() {
            String::new()
        } else {
            let mut errors = errors(&answer);
            errors.sort();
            format!("{} {}", answer.status(), errors.join(","))
        };
        assert_eq!(found, expected, "{uri}");
    }
}

#[tokio::test]
async fn val_05_a_path_keeps_its_schema() {
    let ids = schema(&json!({ "properties": { "id": { "type": "integer" }, "name": { "maxLength": 3 } } }));
    let layer = JsonSchemaLayer::for_parameters().with_path("/orders/{id}/{name}", ids.clone()).unwrap();
    for (uri, status) in [
        ("/orders/7/abc", 200),
        ("/orders/7/%C3%BC", 200),
        ("/orders/x/abc", 422),
        ("/orders/7/abcd", 422),
        ("/orders/7/%zz", 400),
        ("/orders/7", 404),
    ] {
        assert_eq!(send(&layer, get(uri)).await.status(), status, "{uri}");
    }
    let error = JsonSchemaLayer::for_parameters().with_path("orders", ids).unwrap_err();
    assert_eq!(error.to_string(), "template: \"orders\": a path begins with `/`");
}

#[tokio::test]
async fn val_05_headers_and_cookies_that_the_schema_names_keep_it() {
    let layer = JsonSchemaLayer::for_parameters()
        .with_headers(schema(&json!({
            "properties": { "X-Rank": { "type": "integer" }, "x-list": { "type": "array", "items": { "type": "integer" } } },
            "required": ["X-Rank"],
            "additionalProperties": false,
        })))
        .with_cookies(schema(&json!({ "properties": { "n": { "type": "integer" } }, "additionalProperties": false })));
    for (headers, expected) in [
        (vec![("x-rank", "1"), ("cookie", "n=1; other=x"), ("x-other", "y")], ""),
        (vec![("X-RANK", "1"), ("x-list", "1, 2"), ("x-list", "3")], ""),
        (vec![], "422 header X-Rank required"),
        (vec![("x-rank", "x")], "422 header X-Rank type"),
        (vec![("x-rank", "1"), ("x-rank", "2")], "400 header X-Rank parameter_repeated"),
        (vec![("x-rank", "1"), ("cookie", "n=x")], "422 cookie n type"),
        (vec![("x-rank", "1"), ("cookie", "n=1; n=2")], "400 cookie n parameter_repeated"),
        (vec![("x-rank", "1"), ("x-list", "1, x")], "422 header x-list type"),
    ] {
        let request =
            headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let answer = send(&layer, request.body(TestBody::empty()).unwrap()).await;
        let found = if answer.seen.is_some() {
            String::new()
        } else {
            format!("{} {}", answer.status(), errors(&answer).join(","))
        };
        assert_eq!(found, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn val_01_parameters_are_judged_before_the_body_is_read() {
    let body = JsonSchema::new(&json!({ "type": "object" })).unwrap();
    let parameters = schema(&json!({ "required": ["n"], "properties": { "n": { "type": "integer" } } }));
    let both = JsonSchemaLayer::new(body).with_query(parameters.clone());
    let (_sender, request) = withheld(Request::post("/?n=x").header("content-type", "application/json"));
    assert_eq!(errors(&send(&both, request).await), ["query n type"]);
    let mut request = post("[]");
    *request.uri_mut() = "/?n=1".parse().unwrap();
    assert_eq!(send(&both, request).await.errors(), ["# type"]);

    let alone = JsonSchemaLayer::for_parameters().with_query(parameters);
    let mut request = post("{oops");
    *request.uri_mut() = "/?n=1".parse().unwrap();
    assert_eq!(send(&alone, request).await.seen.unwrap(), "{oops", "the body is nobody's business");
}

#[test]
fn val_04_a_schema_of_parameters_may_refer_to_documents() {
    let options = JsonSchema::options()
        .with_document("https://example.com/types", json!({ "$defs": { "n": { "type": "integer" } } }));
    let found = options.build_parameters(&json!({
        "properties": { "n": { "$ref": "https://example.com/types#/$defs/n" } },
    }));
    let layer = JsonSchemaLayer::for_parameters().with_query(found.unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(send(&layer, get("/?n=1"))).status(), 200);
    assert_eq!(runtime.block_on(send(&layer, get("/?n=x"))).status(), 422);
    let nowhere = json!({ "properties": { "n": { "$ref": "https://example.com/none" } } });
    assert!(JsonSchema::options().build_parameters(&nowhere).is_err());
}

#[tokio::test]
async fn val_05_what_names_itself_grpc_has_parameters_too() {
    let path = schema(&json!({ "properties": { "id": { "type": "integer" } } }));
    let layer = query().with_path("/orders/{id}", path).unwrap();
    for (uri, code) in [("/orders/7?limit=0", "3"), ("/orders/x?limit=5", "3"), ("/other?limit=5", "12")] {
        let request = Request::post(uri).header("content-type", "application/grpc");
        let answer = send(&layer, request.body(TestBody::full("x")).unwrap()).await;
        assert!(answer.seen.is_none(), "{uri}");
        assert_eq!(answer.response.headers()["grpc-status"], code, "{uri}");
    }
    let request = Request::post("/orders/7?limit=5").header("content-type", "application/grpc");
    assert_eq!(send(&layer, request.body(TestBody::full("x")).unwrap()).await.seen.unwrap(), "x");
}
