//! What bodies must be.

use std::sync::atomic::Ordering;

use bartizan_core::{Reason, Rejection};
use bartizan_testkit::TestBody;
use bartizan_validate::{JsonLimits, OpenApi, OpenApiLayer, ReadOnly};
use http::Request;

use crate::{
    layer, layer_with, send,
    support::{Answer, endless, post, send_to, withheld},
};

const ORDERS: &str = "
paths:
  /orders:
    post:
      requestBody: { $ref: '#/components/requestBodies/Order' }
    patch:
      requestBody:
        content:
          application/merge-patch+json: { schema: { type: object } }
          text/csv: { schema: { type: string } }
          image/*: {}
    delete: {}
  /any:
    put: { requestBody: { content: { '*/*': { schema: { type: object, required: [a] } } } } }
  /bare:
    post: { requestBody: { required: true } }
components:
  requestBodies:
    Order:
      required: true
      content:
        application/json: { schema: { $ref: '#/components/schemas/Order' } }
        application/x-www-form-urlencoded: { schema: { $ref: '#/components/schemas/Order' } }
  schemas:
    Order:
      type: object
      required: [quantity]
      additionalProperties: false
      properties:
        quantity: { type: integer, minimum: 1 }
        tags: { type: array, items: { type: string }, maxItems: 2 }
        parent: { $ref: '#/components/schemas/Order' }
        a/b: { type: boolean }
";

fn request(method: &str, path: &str, media: &str, body: &'static str) -> Request<TestBody> {
    let request = Request::builder().method(method).uri(path).header("content-type", media);
    request.body(TestBody::full(body)).unwrap()
}

#[tokio::test]
async fn val_05_a_body_is_judged_by_the_schema_of_its_media_type() {
    let layer = layer(ORDERS);
    let good = r#"{ "quantity": 1.0, "parent": { "quantity": 2 } }"#;
    assert_eq!(send(&layer, post(good)).await.seen.unwrap(), good, "the very bytes go on");

    let answer = send(&layer, post(r#"{"quantity":0,"parent":{"tags":["a","b","c"],"x":1},"a/b":1}"#)).await;
    assert_eq!((answer.status(), answer.seen.is_none()), (422, true));
    let mut errors = answer.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "#/a~1b type",
            "#/parent required",
            "#/parent/tags max_items",
            "#/parent/x additional_properties",
            "#/quantity minimum",
        ]
    );
    let answer = send(&layer, post(r#"{"quantity":1,"quantity":1}"#)).await;
    assert_eq!((answer.status(), answer.errors()), (400, vec!["#/quantity duplicate_key".to_owned()]));
}

#[tokio::test]
async fn val_01_the_order_of_what_the_head_decides() {
    let layer = layer(ORDERS).with_limits(JsonLimits::new().with_max_body(10).unwrap());
    for (media, length, status) in [
        ("application/json", 11, 413),
        ("text/plain", 11, 413),
        ("text/plain", 1, 415),
        ("application/json; charset=utf-16", 1, 415),
        ("application/json, text/plain", 1, 415),
        ("application/problem+json", 1, 415),
    ] {
        let (read, body) = endless(length, b"[");
        let request = Request::post("/orders").header("content-type", media);
        let request = request.body(TestBody::new(http_body_util::Limited::new(body, 1 << 20))).unwrap();
        // What is announced is what a body of known size says.
        let mut request = request;
        if length > 10 {
            *request.body_mut() = TestBody::full("[[[[[[[[[[[");
        }
        let answer = send(&layer, request).await;
        assert_eq!(answer.status(), status, "{media} {length}");
        assert_eq!(read.load(Ordering::Relaxed), 0, "nothing was read");
    }
    let (_sender, request) = withheld(Request::post("/orders"));
    let answer = send(&layer, request).await;
    assert_eq!(answer.status(), 415, "a body without a type");
    assert_eq!(answer.response.headers()["accept"], "application/json, application/x-www-form-urlencoded");
    let coded = Request::post("/orders")
        .header("content-type", "application/json")
        .header("content-encoding", "zstd");
    let (_sender, request) = withheld(coded);
    assert_eq!(send(&layer, request).await.problem()["code"], "unsupported_content_encoding");
    let answer = send(&layer, request_patch("application/json")).await;
    assert_eq!(answer.status(), 415);
    assert!(answer.response.headers().contains_key("accept-patch"));
}

fn request_patch(media: &str) -> Request<TestBody> {
    request("PATCH", "/orders", media, "{}")
}

#[tokio::test]
async fn val_05_media_types_by_range_by_suffix_and_unread() {
    let layer = layer(ORDERS);
    for (method, path, media, body, status) in [
        ("PATCH", "/orders", "application/merge-patch+json", "{}", 200),
        ("PATCH", "/orders", "Application/Merge-Patch+JSON; a=b", "[]", 422),
        ("PATCH", "/orders", "text/csv", "{oops", 200),
        ("PATCH", "/orders", "image/png", "{oops", 200),
        ("PATCH", "/orders", "text/plain", "x", 415),
        ("PUT", "/any", "application/json", "{}", 422),
        ("PUT", "/any", "application/vnd.x+json", r#"{"a":1}"#, 200),
        ("PUT", "/any", "text/plain", "{}", 200),
        ("POST", "/bare", "text/plain", "{}", 200),
        ("DELETE", "/orders", "text/plain", "{}", 200),
    ] {
        assert_eq!(
            send(&layer, request(method, path, media, body)).await.status(),
            status,
            "{path} {media} {body}"
        );
    }
}

#[tokio::test]
async fn val_07_an_empty_body_only_where_none_is_required() {
    let layer = layer(ORDERS);
    let empty = |method: &str, path: &str| {
        Request::builder().method(method).uri(path).body(TestBody::empty()).unwrap()
    };
    for (method, path, status) in [
        ("POST", "/orders", 400),
        ("POST", "/bare", 400),
        ("PATCH", "/orders", 200),
        ("PUT", "/any", 200),
        ("DELETE", "/orders", 200),
    ] {
        let answer = send(&layer, empty(method, path)).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        if status == 400 {
            assert_eq!(answer.errors(), ["# required"]);
        }
    }
    // That it is empty shows only at its end.
    let (sender, request) = withheld(Request::post("/orders").header("content-type", "application/json"));
    sender.finish();
    assert_eq!(send(&layer, request).await.errors(), ["# required"]);
}

#[tokio::test]
async fn val_05_forms_are_judged_as_objects() {
    let layer = layer(ORDERS);
    let form = |body: &'static str| request("POST", "/orders", "application/x-www-form-urlencoded", body);
    for body in
        ["quantity=2&tags=a&tags=b+c", "quantity=1&a%2Fb=true", "quantity=2&parent=%7B%22quantity%22:1%7D"]
    {
        assert_eq!(send(&layer, form(body)).await.seen.unwrap(), body);
    }
    for (body, expected) in [
        ("", "400 # required"),
        ("quantity=0", "422 #/quantity minimum"),
        ("quantity=x&b=1", "422 #/b additional_properties,#/quantity type"),
        ("tags=a", "422 # required"),
        ("quantity=1&quantity=2", "400 #/quantity form_repeated"),
        ("quantity=%zz", "400 #/quantity form_encoding"),
        ("%zz=1", "400 # form_encoding"),
        ("quantity=2&parent=%7B%22quantity%22:0%7D", "422 #/parent/quantity minimum"),
        ("quantity=2&parent=x", "400 #/parent json_syntax"),
    ] {
        let answer = send(&layer, form(body)).await;
        let mut errors = answer.errors();
        errors.sort();
        assert_eq!(format!("{} {}", answer.status(), errors.join(",")), expected, "{body}");
    }
    let styled = layer_styled();
    let form = |body: &'static str| request("POST", "/f", "application/x-www-form-urlencoded", body);
    assert_eq!(send(&styled, form("l=1,2&o[a]=1")).await.status(), 200);
    assert_eq!(send(&styled, form("l=1,x&o[a]=x")).await.errors().len(), 2);
}

fn layer_styled() -> OpenApiLayer {
    layer(
        "
paths:
  /f:
    post:
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema:
              type: object
              properties:
                l: { type: array, items: { type: integer } }
                o: { type: object, properties: { a: { type: integer } } }
            encoding:
              l: { explode: false }
              o: { style: deepObject }
",
    )
}

const READ_ONLY: &str = "
paths:
  /orders:
    post: { requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } } }
    get:
      parameters: [{ name: id, in: query, schema: { $ref: '#/components/schemas/Id' } }]
components:
  schemas:
    Id: { type: integer, readOnly: true }
    Base: { type: object, required: [id, name], properties: { id: { $ref: '#/components/schemas/Id' }, name: { type: string } } }
    Order:
      allOf: [{ $ref: '#/components/schemas/Base' }, { required: [id] }]
      properties:
        secret: { type: string, writeOnly: true }
        lines: { type: array, items: { type: object, required: [total], properties: { total: { type: number, readOnly: true }, sku: { type: string } } } }
        either: { anyOf: [{ type: object, properties: { made: { readOnly: true } }, required: [a] }, { type: 'null' }] }
";

async fn ordered(mode: ReadOnly, body: &'static str) -> Answer {
    send(&layer_with(READ_ONLY, OpenApi::options().with_read_only(mode)), post(body)).await
}

#[tokio::test]
async fn val_05_what_only_the_service_sets_is_not_required_of_a_request() {
    let body = r#"{"name":"a","secret":"s","lines":[{"sku":"x"}]}"#;
    for mode in [ReadOnly::Reject, ReadOnly::Drop, ReadOnly::Pass] {
        assert_eq!(ordered(mode, body).await.seen.unwrap(), body, "{mode:?}");
        assert_eq!(ordered(mode, "{}").await.errors(), ["# required"], "{mode:?}");
    }
    let layer = layer(READ_ONLY);
    let found = crate::statuses(&layer, ["/orders?id=1", "/orders?id=x"]).await;
    assert_eq!(found, [200, 422], "a parameter is not set by the service");
}

#[tokio::test]
async fn val_05_what_only_the_service_sets_is_refused_dropped_or_passed() {
    let body = r#"{"id":7, "name":"a" , "lines":[ {"sku":"x","total":1.50} ]}"#;
    let answer = ordered(ReadOnly::Reject, body).await;
    let mut errors = answer.errors();
    errors.sort();
    assert_eq!(
        (answer.status(), errors),
        (422, vec!["#/id read_only".to_owned(), "#/lines/0/total read_only".to_owned()])
    );

    let answer = ordered(ReadOnly::Drop, body).await;
    assert_eq!(answer.seen.unwrap(), r#"{ "name":"a", "lines":[ {"sku":"x"} ]}"#);
    assert_eq!(ordered(ReadOnly::Drop, r#"{"id":7}"#).await.errors(), ["# required"]);
    let within = ordered(ReadOnly::Drop, r#"{"name":"a","either":{"a":1,"made":2}}"#).await;
    assert_eq!(within.seen.unwrap(), r#"{"name":"a","either":{"a":1}}"#);

    assert_eq!(ordered(ReadOnly::Pass, body).await.seen.unwrap(), body);
    let wrong = ordered(ReadOnly::Pass, r#"{"id":"x","name":"a"}"#).await;
    assert_eq!(wrong.errors(), ["#/id type"]);
}

#[tokio::test]
async fn val_05_thousands_of_members_are_dropped() {
    let lines = |line| std::iter::repeat_n(line, 9000).collect::<Vec<_>>().join(",");
    let body = |line| format!(r#"{{"name":"a","lines":[{}]}}"#, lines(line));
    let layer = layer_with(READ_ONLY, OpenApi::options().with_read_only(ReadOnly::Drop));
    let answer = send(&layer, post(body(r#"{"total":1}"#))).await;
    assert_eq!(answer.seen.unwrap(), body("{}"));
}

#[tokio::test]
async fn val_03_the_length_of_a_body_that_was_cut_is_told() {
    let layer = layer_with(READ_ONLY, OpenApi::options().with_read_only(ReadOnly::Drop));
    let body = r#"{"id":7,"name":"a"}"#;
    let mut request = post(body);
    request.headers_mut().insert("content-length", body.len().into());
    let length = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = std::sync::Arc::clone(&length);
    let answer = send_to(&layer, request, move |head| {
        *seen.lock().unwrap() = head.headers.get("content-length").cloned();
    })
    .await;
    assert_eq!(answer.seen.unwrap(), r#"{"name":"a"}"#);
    assert_eq!(length.lock().unwrap().take().unwrap(), "12");
}

#[tokio::test]
async fn what_is_only_reported_goes_on_as_it_came() {
    let layer = layer(ORDERS).with_report_only();
    for body in ["{oops", r#"{"quantity":0}"#] {
        assert_eq!(send(&layer, post(body)).await.seen.unwrap(), body);
    }
    let answer = send(&layer, request("POST", "/orders", "text/plain", "x")).await;
    assert_eq!(answer.seen.unwrap(), "x");
}

#[tokio::test]
async fn val_01_grpc_is_a_media_type_as_others() {
    let request = |media| request("POST", "/orders", media, r#"{"quantity":0}"#);
    for media in ["application/grpc", "application/grpc+json", "application/grpc-web"] {
        let answer = send(&layer(ORDERS), request(media)).await;
        assert!(answer.seen.is_none(), "{media}");
        let headers = answer.response.headers();
        assert_eq!((answer.status(), &headers["grpc-status"]), (200, &"12".parse().unwrap()), "{media}");
        let rejection = answer.response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.reason(), Reason::UnsupportedMediaType, "{media}");
    }
}
