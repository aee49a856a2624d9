//! What parameters must be, whatever their style.

use bartizan_testkit::TestBody;
use bartizan_validate::{Formats, OpenApi};
use http::{HeaderValue, Request};

use crate::{errors, get, layer, layer_with, send, statuses};

const LIST: &str = "
paths:
  /orders:
    parameters:
      - { name: limit, in: query, schema: { type: integer, maximum: 10 } }
    get:
      parameters:
        - { $ref: '#/components/parameters/Limit' }
        - { name: state, in: query, required: true, schema: { $ref: '#/components/schemas/State' } }
        - { name: q, in: query, allowEmptyValue: true, schema: { type: integer } }
        - { name: X-Tenant, in: header, required: true, schema: { type: string, maxLength: 4 } }
        - { name: Accept, in: header, required: true, schema: { type: integer } }
        - { name: content-type, in: header, required: true, schema: { type: integer } }
        - { name: AUTHORIZATION, in: header, required: true, schema: { type: integer } }
        - { name: session, in: cookie, schema: { type: string, format: uuid } }
        - name: filter
          in: query
          content: { application/json: { schema: { type: object, required: [a], properties: { a: { type: integer } } } } }
components:
  parameters:
    Limit: { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }
  schemas:
    State: { enum: [open, closed] }
";

fn listing(query: &str) -> Request<TestBody> {
    Request::get(format!("/orders?{query}")).header("x-tenant", "acme").body(TestBody::empty()).unwrap()
}

#[tokio::test]
async fn val_05_val_06_err_07_every_mistake_is_told_with_its_place() {
    let layer = layer(LIST);
    assert_eq!(send(&layer, listing("state=open&limit=50")).await.status(), 200);

    let request = Request::get("/orders?limit=0&state=s3cret&q=x").body(TestBody::empty()).unwrap();
    let answer = send(&layer, request).await;
    assert_eq!((answer.status(), answer.seen.is_none()), (422, true));
    let mut found = errors(&answer);
    found.sort();
    assert_eq!(
        found,
        ["header X-Tenant required", "query limit minimum", "query q type", "query state enum"]
    );
    let told = String::from_utf8_lossy(answer.response.body()).into_owned();
    assert!(!told.contains("s3cret"), "{told}");

    // One that does not parse makes it a 400, and the others are told all the same.
    let answer = send(&layer, listing("limit=0&limit=1&q=x")).await;
    assert_eq!(answer.status(), 400);
    let mut found = errors(&answer);
    found.sort();
    assert_eq!(found, ["query limit parameter_repeated", "query q type", "query state required"]);
}

#[tokio::test]
async fn val_05_the_operations_own_parameter_wins_over_the_paths() {
    assert_eq!(send(&layer(LIST), listing("state=open&limit=100")).await.status(), 200);
    assert_eq!(send(&layer(LIST), listing("state=open&limit=101")).await.status(), 422);
}

#[tokio::test]
async fn val_05_headers_in_any_case_and_three_that_are_not_looked_at() {
    let layer = layer(LIST);
    let with = |name: &str, value: &[u8]| {
        let mut request = listing("state=open");
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append(http::HeaderName::try_from(name).unwrap(), value);
        request
    };
    let answer = send(&layer, with("Accept", b"text/html")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let twice = send(&layer, with("X-TENANT", b"b")).await;
    assert_eq!(errors(&twice), ["header X-Tenant parameter_repeated"]);
    let mut long = listing("state=open");
    long.headers_mut().insert("x-tenant", HeaderValue::from_static("too long"));
    assert_eq!(errors(&send(&layer, long).await), ["header X-Tenant max_length"]);
    let mut binary = listing("state=open");
    binary.headers_mut().insert("x-tenant", HeaderValue::from_bytes(b"\xff").unwrap());
    let answer = send(&layer, binary).await;
    assert_eq!(
        (answer.status(), errors(&answer)),
        (400, vec!["header X-Tenant parameter_encoding".to_owned()])
    );
}

#[tokio::test]
async fn val_05_an_empty_value_only_where_it_is_allowed() {
    let layer = layer(LIST);
    for (query, status) in [
        ("state=open&q=", 200),
        ("state=open&q", 200),
        ("state=open&q=1", 200),
        ("state=open&limit=", 422),
        ("state=", 422),
    ] {
        assert_eq!(send(&layer, listing(query)).await.status(), status, "{query}");
    }
}

#[tokio::test]
async fn val_05_a_parameter_may_be_a_document() {
    let layer = layer(LIST);
    for (value, expected) in [
        ("%7B%22a%22:1%7D", ""),
        ("{%22a%22:%22x%22}", "422 query filter type"),
        ("%7B%7D", "422 query filter required"),
        ("%7B%22a%22:1,%22a%22:2%7D", "400 query filter duplicate_key"),
        ("%7B", "400 query filter json_syntax"),
        ("%zz", "400 query filter parameter_encoding"),
        ("%5B%5D&filter=1", "400 query filter parameter_repeated"),
    ] {
        let answer = send(&layer, listing(&format!("state=open&filter={value}"))).await;
        let found = if answer.seen.is_some() {
            String::new()
        } else {
            format!("{} {}", answer.status(), errors(&answer).join(","))
        };
        assert_eq!(found, expected, "{value}");
    }
}

#[tokio::test]
async fn val_04_formats_are_checked_when_asked_to() {
    let cookie = |value: &str| {
        let mut request = listing("state=open");
        let value = HeaderValue::try_from(format!("session={value}")).unwrap();
        request.headers_mut().insert("cookie", value);
        request
    };
    assert_eq!(send(&layer(LIST), cookie("nonsense")).await.status(), 200);
    let strict = layer_with(LIST, OpenApi::options().with_formats(Formats::Assert));
    assert_eq!(errors(&send(&strict, cookie("nonsense")).await), ["cookie session format"]);
    assert_eq!(send(&strict, cookie("0191b2c0-7d2e-7a7e-8b5c-3a1f0d9e4c11")).await.status(), 200);

    let numbers = layer_with(
        "
paths:
  /n:
    get:
      parameters:
        - { name: i, in: query, schema: { type: integer, format: int32 } }
        - { name: b, in: query, schema: { type: string, format: byte } }
",
        OpenApi::options().with_formats(Formats::Assert),
    );
    let found = statuses(
        &numbers,
        ["/n?i=2147483647", "/n?i=2147483648", "/n?b=aGk%3D", "/n?b=aGk", "/n?b=a_==aa=="],
    )
    .await;
    assert_eq!(found, [200, 422, 200, 422, 422]);
}

#[tokio::test]
async fn val_05_unknown_parameters_are_refused_in_strict_mode_alone() {
    const PATHS: &str = "
security: [{}]
paths:
  /x:
    get:
      parameters:
        - { name: a, in: query, schema: { type: string } }
        - { name: deep, in: query, style: deepObject, schema: { type: object } }
        - { name: o, in: query, schema: { type: object, properties: { p: {} }, additionalProperties: false } }
  /none: { get: {} }
components:
  securitySchemes:
    key: { type: apiKey, in: query, name: api_key }
";
    const URIS: [&str; 7] =
        ["/x?a=1", "/x?deep[x]=1", "/x?p=1", "/x?api_key=1", "/x?b=1", "/none?b=1", "/x?deep=1"];
    assert_eq!(statuses(&layer(PATHS), URIS).await, [200; 7]);
    let strict = layer_with(PATHS, OpenApi::options().with_strict_query());
    assert_eq!(statuses(&strict, URIS).await, [200, 200, 200, 200, 422, 422, 422]);
    let answer = send(&strict, get("/x?b=1&c=2")).await;
    assert_eq!(errors(&answer), ["query b unknown_parameter", "query c unknown_parameter"]);
}

#[tokio::test]
async fn err_07_at_most_32_mistakes_and_a_bounded_number_of_parameters() {
    let layer = layer_with("paths: { /x: { get: {} } }", OpenApi::options().with_strict_query());
    let query: Vec<_> = (0..100).map(|index| format!("p{index}=1")).collect();
    let answer = send(&layer, get(&format!("/x?{}", query.join("&")))).await;
    assert_eq!((answer.status(), errors(&answer).len()), (422, 32));
    assert_eq!(answer.problem()["truncated"], true);

    let many = format!("/x?{}", "a&".repeat(10_001));
    let answer = send(&layer, get(&many)).await;
    assert_eq!((answer.status(), errors(&answer)), (400, vec!["query  parameter_limit".to_owned()]));
    let long = format!("/x?{}=1", "n".repeat(1000));
    let answer = send(&layer, get(&long)).await;
    assert!(answer.response.body().len() < 1000, "the name is cut: {answer:?}");
}

#[tokio::test]
async fn val_01_a_wrong_parameter_is_told_before_the_body_is_read() {
    let layer = layer(
        "
paths:
  /x:
    post:
      parameters: [{ name: n, in: query, required: true, schema: { type: integer } }]
      requestBody: { content: { application/json: {} } }
",
    );
    let (_sender, request) =
        crate::support::withheld(Request::post("/x?n=a").header("content-type", "application/json"));
    assert_eq!(errors(&send(&layer, request).await), ["query n type"]);
}
