//! The document: who reads it, what it demands, and that it tells the truth.

mod support;

use std::collections::BTreeSet;

use bartizan::validate::OpenApi;
use orders::{DevelopmentToken, OPENAPI, READER_KEY, Supplier, Tokens, WRITER_KEY};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};
use support::{Reply, Service};

const GOOD: &str = r#"{"email": "ada@example.com", "quantity": 2, "productId": "sku-1"}"#;

/// The `errors` of a refusal, as `pointer code`.
fn errors(reply: &Reply) -> Vec<String> {
    let problem = reply.json();
    let entry =
        |error: &Value| format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap());
    let mut errors: Vec<_> = problem["errors"].as_array().into_iter().flatten().map(entry).collect();
    errors.sort();
    errors
}

#[tokio::test]
async fn anybody_reads_the_document() {
    let service = Service::start().await;
    let reply = service.get("/openapi.yaml", None).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/yaml")));
    assert_eq!(reply.text(), OPENAPI);
    assert_eq!(service.log_line(&reply).await["http.route"], "/openapi.yaml");
}

#[tokio::test]
async fn val_05_an_order_is_what_the_document_says() {
    let service = Service::start().await;
    let longest = format!(r#"{{"email":"a@b.example","quantity":1000,"productId":"{}"}}"#, "x".repeat(64));
    let whole = r#"{"productId":"A_b-9","quantity":1.0,"email":"a@b.example"}"#;
    for body in [GOOD, &longest, whole] {
        let reply = service.post("/v1/orders", Some(WRITER_KEY), body).await;
        assert_eq!(reply.status, 201, "{body}: {}", reply.text());
    }
    let kept = service.get("/v1/orders/3", Some(WRITER_KEY)).await.json();
    assert_eq!(kept, json!({ "id": 3, "email": "a@b.example", "quantity": 1, "productId": "A_b-9" }));

    let too_long = format!(r#"{{"email":"a@b.example","quantity":1,"productId":"{}"}}"#, "x".repeat(65));
    let order = |email: &str, quantity: &str, product: &str| {
        format!(r#"{{"email":{email},"quantity":{quantity},"productId":{product}}}"#)
    };
    let cases: [(&str, &[&str]); 13] = [
        ("{}", &["# required", "# required", "# required"]),
        ("[]", &["# type"]),
        (&order(r#""ada""#, "1", r#""p""#), &["#/email format"]),
        (&order("7", "1", r#""p""#), &["#/email type"]),
        (&order(r#""a@b.example""#, "0", r#""p""#), &["#/quantity minimum"]),
        (&order(r#""a@b.example""#, "1001", r#""p""#), &["#/quantity maximum"]),
        (&order(r#""a@b.example""#, "1.5", r#""p""#), &["#/quantity type"]),
        (&order(r#""a@b.example""#, r#""1""#, r#""p""#), &["#/quantity type"]),
        (&order(r#""a@b.example""#, "1", r#""""#), &["#/productId pattern"]),
        (&order(r#""a@b.example""#, "1", r#""a b""#), &["#/productId pattern"]),
        (&order(r#""a@b.example""#, "1", r#""a\n""#), &["#/productId pattern"]),
        (&too_long, &["#/productId pattern"]),
        (
            r#"{"email":"x","quantity":0,"productId":"p","gift":true}"#,
            &["#/email format", "#/gift additional_properties", "#/quantity minimum"],
        ),
    ];
    for (body, expected) in cases {
        let reply = service.post("/v1/orders", Some(WRITER_KEY), body).await;
        assert_eq!(
            (reply.status, errors(&reply)),
            (422, expected.iter().map(ToString::to_string).collect()),
            "{body}"
        );
        assert_eq!(reply.json()["code"], "schema_violation");
    }
    let line = service.log_line(&service.post("/v1/orders", Some(WRITER_KEY), "{}").await).await;
    assert_eq!((&line["validation.code"], &line["validation.failures"]), (&json!("required"), &json!(3)));
    assert_eq!(line["openapi.operation"], "createOrder");
    let left = service.get("/v1/orders", Some(WRITER_KEY)).await.json();
    assert_eq!(left.as_array().unwrap().len(), 3, "nothing that was refused is kept");
}

#[tokio::test]
async fn val_01_val_03_what_is_no_order_at_all() {
    let service = Service::start().await;
    let twice = r#"{"email":"a@b.example","quantity":1,"quantity":1000,"productId":"p"}"#;
    for (body, expected) in [
        ("", "# required"),
        ("{oops", "# json_syntax"),
        (twice, "#/quantity duplicate_key"),
        ("\u{feff}{}", "# json_encoding"),
        ("{} {}", "# json_syntax"),
    ] {
        let reply = service.post("/v1/orders", Some(WRITER_KEY), body).await;
        assert_eq!((reply.status, errors(&reply)), (400, vec![expected.to_owned()]), "{body}");
    }
    // Who may not order learns nothing of what is wrong with the order.
    assert_eq!(service.post("/v1/orders", Some(READER_KEY), "{oops").await.status, 403);
    assert_eq!(service.post("/v1/orders", None, "{oops").await.status, 401);
    let compressed = [("content-type", "application/json"), ("content-encoding", "zstd")];
    let reply = service.send("POST", "/v1/orders", Some(WRITER_KEY), &compressed, GOOD).await;
    assert_eq!(reply.json()["code"], "unsupported_content_encoding");
}

fn documented() -> Yaml<'static> {
    Yaml::load_from_str(OPENAPI).unwrap().remove(0)
}

/// The answers that the document knows, where `path` has the names of its template.
fn answers(document: &Yaml<'_>, method: &str, path: &str) -> BTreeSet<u16> {
    let responses = &document["paths"][path][method.to_ascii_lowercase().as_str()]["responses"];
    let responses = responses.as_mapping().unwrap_or_else(|| panic!("{method} {path} is documented"));
    responses.keys().map(|status| status.as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn the_answers_are_those_of_the_document() {
    let service = Service::start().await;
    let document = documented();
    let (reader, writer) = (Some(READER_KEY), Some(WRITER_KEY));
    let large = format!(r#"{{"email": "{}"}}"#, "x".repeat(3 << 20));
    let json = [("content-type", "application/json")];
    let plain = [("content-type", "text/plain")];
    let both = [("authorization", "Bearer x")];
    let order = "/v1/orders/{id}";
    for (method, path, route, key, headers, body, status) in [
        ("GET", "/health", "/health", None, &[][..], "", 200),
        ("GET", "/openapi.yaml", "/openapi.yaml", None, &[], "", 200),
        ("POST", "/v1/orders", "/v1/orders", writer, &json, GOOD, 201),
        ("POST", "/v1/orders", "/v1/orders", writer, &json, "{", 400),
        ("POST", "/v1/orders", "/v1/orders", None, &json, GOOD, 401),
        ("POST", "/v1/orders", "/v1/orders", reader, &json, GOOD, 403),
        ("POST", "/v1/orders", "/v1/orders", writer, &json, &large, 413),
        ("POST", "/v1/orders", "/v1/orders", writer, &plain, GOOD, 415),
        ("POST", "/v1/orders", "/v1/orders", writer, &json, "{}", 422),
        ("GET", "/v1/orders", "/v1/orders", reader, &[], "", 200),
        ("GET", "/v1/orders", "/v1/orders", reader, &both, "", 400),
        ("GET", "/v1/orders", "/v1/orders", None, &[], "", 401),
        ("GET", "/v1/orders?limit=201", "/v1/orders", reader, &[], "", 422),
        ("GET", "/v1/orders/1", order, writer, &[], "", 200),
        ("GET", "/v1/orders/1", order, reader, &[], "", 404),
        ("GET", "/v1/orders/2", order, reader, &[], "", 404),
        ("GET", "/v1/orders/x", order, reader, &[], "", 404),
        ("GET", "/v1/orders/%ff", order, reader, &[], "", 400),
        ("GET", "/v1/quotes/..", "/v1/quotes/{sku}", reader, &[], "", 404),
        // The test's supplier is away.
        ("GET", "/v1/quotes/sku-1", "/v1/quotes/{sku}", reader, &[], "", 503),
        ("GET", "/v1/admin/stats", "/v1/admin/stats", reader, &[], "", 403),
    ] {
        let reply = service.send(method, path, key, headers, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        assert!(answers(&document, method, route).contains(&status), "{method} {route} {status}");
        if status == 503 {
            assert!(reply.header("retry-after").is_some(), "{method} {path}");
        }
        if status >= 400 {
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{method} {path}");
        }
    }
    let denied = answers(&document, "POST", "/v1/orders");
    assert!([400, 401, 403, 405, 408, 413, 415, 422, 429, 503].iter().all(|status| denied.contains(status)));
    // What the layers around every route say of any of them: a panic, and a handler that takes too long.
    for operation in OpenApi::new(OPENAPI).unwrap().report().operations() {
        let (method, path) = operation.split_once(' ').unwrap();
        let answers = answers(&document, method, path);
        assert!(answers.contains(&500) && answers.contains(&504), "{operation}");
    }
}

/// Time is not real here: it jumps to the next deadline once nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn what_is_too_slow_is_answered_as_documented() {
    let service = Service::start().await;
    let reply = service.post_without_end("/v1/orders", WRITER_KEY, &GOOD[..9]).await;
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert!(reply.contains("\"code\":\"request_timeout\""), "{reply}");
    assert!(answers(&documented(), "POST", "/v1/orders").contains(&408));
}

/// The paths that the router knows, as its `Debug` shows them.
fn routed() -> BTreeSet<String> {
    let log = bartizan::access_log::AccessLogLayer::json(std::io::sink());
    let supplier = Supplier::new("http://supplier.invalid").unwrap();
    let app = orders::app(log, supplier, None, Tokens::development().unwrap()).unwrap();
    assert!(app.documented.without_schema().is_empty(), "{}", app.documented);
    let shown = format!("{:?}", app.router);
    // The bare ones are of the fallback.
    let is_route = |text: &&str| text.starts_with('/') && *text != "/" && !text.contains("{*");
    let paths = shown.split('"').filter(is_route);
    let paths: BTreeSet<_> = paths.map(str::to_owned).collect();
    assert!(paths.contains("/v1/orders/{id}"), "the router shows its paths: {shown}");
    paths
}

#[tokio::test]
async fn the_document_and_the_router_agree() {
    let report = OpenApi::new(OPENAPI).unwrap().report().against(routed());
    assert!(report.is_clean(), "{report}");

    // And the methods of each path.
    let service = Service::start().await;
    let token = orders::development_token(&DevelopmentToken {
        subject: "root".to_owned(),
        scope: "orders:read orders:write".to_owned(),
        roles: vec!["admin".to_owned()],
        audience: orders::AUDIENCE.to_owned(),
        ttl: 3600,
    });
    let bearer = format!("Bearer {}", token.unwrap());
    let paths: BTreeSet<_> = report.operations().iter().map(|name| name.split_once(' ').unwrap().1).collect();
    for path in paths {
        let headers = [("authorization", bearer.as_str())];
        let reply = service.send("PURGE", &path.replace(['{', '}'], ""), None, &headers, "").await;
        assert_eq!(reply.status, 405, "{path}");
        let allowed: BTreeSet<_> = reply.header("allow").unwrap().split(',').map(str::trim).collect();
        let described: BTreeSet<_> = report
            .operations()
            .iter()
            .filter_map(|name| name.split_once(' ').filter(|(_, other)| *other == path))
            .flat_map(|(method, _)| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] })
            .collect();
        assert_eq!(allowed, described, "{path}");
        assert!(
            answers(&documented(), if allowed.contains("GET") { "GET" } else { "POST" }, path).contains(&405)
        );
    }
}
