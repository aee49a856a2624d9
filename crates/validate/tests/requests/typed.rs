//! What `ValidateJsonLayer` and `Valid` do with requests.

use crate::support::send_to;
use axum::{Router, body::Body, routing::post};
use bartizan_validate::{JsonLimits, Valid, ValidateJsonLayer, take_valid};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use validator::Validate;

#[derive(Debug, Deserialize, PartialEq, Validate)]
#[serde(deny_unknown_fields)]
struct Order {
    #[validate(email)]
    email: String,
    #[validate(length(min = 1, max = 3), nested)]
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize, PartialEq, Serialize, Validate)]
struct Line {
    #[validate(length(min = 1, max = 64))]
    product: String,
    #[validate(range(min = 1, max = 1000))]
    quantity: u32,
}

const GOOD: &str = r#"{"email":"a@example.com","lines":[{"product":"p","quantity":2}]}"#;

fn layer() -> ValidateJsonLayer<Order> {
    ValidateJsonLayer::new()
}

#[tokio::test]
async fn val_06_the_handler_takes_the_value_that_was_checked() {
    let answer = send_to(&layer(), crate::support::post(GOOD), |head| {
        let order: Order = take_valid(&mut head.extensions).expect("the layer made one");
        assert_eq!(order.lines[0].quantity, 2);
        assert_eq!(take_valid::<Order>(&mut head.extensions), None, "it is taken");
    })
    .await;
    assert_eq!((answer.status(), answer.seen.unwrap()), (200, GOOD.into()));
}

#[tokio::test]
async fn val_06_every_broken_rule_is_told_at_its_place() {
    let body = r#"{"email":"s3cret","lines":[{"product":"","quantity":0},{"product":"p","quantity":4711}]}"#;
    let answer = crate::support::send(&layer(), crate::support::post(body)).await;
    assert_eq!((answer.status(), answer.seen.is_none()), (422, true));
    assert_eq!(
        answer.errors(),
        ["#/email email", "#/lines/0/product length", "#/lines/0/quantity range", "#/lines/1/quantity range"]
    );
    let text = String::from_utf8_lossy(answer.response.body()).into_owned();
    assert!(!text.contains("s3cret") && !text.contains("4711"), "{text}");
    assert!(text.contains("must be at least 1"), "{text}");
}

#[tokio::test]
async fn val_06_what_is_not_of_the_type_is_told_at_its_place() {
    for (body, error) in [
        (r#"{"lines":[]}"#, "# required"),
        (r#"{"email":"a@example.com","lines":[{"product":"p"}]}"#, "#/lines/0 required"),
        (
            r#"{"email":"a@example.com","lines":[{"product":"p","quantity":"s3cret"}]}"#,
            "#/lines/0/quantity type",
        ),
        (r#"{"email":"a@example.com","lines":[{"product":"p","quantity":-1}]}"#, "#/lines/0/quantity value"),
        (r#"{"email":7,"lines":[]}"#, "#/email type"),
        (r#"{"email":"a","lines":[],"extra":1}"#, "#/extra unknown_field"),
        ("[]", "# length"),
    ] {
        let answer = crate::support::send(&layer(), crate::support::post(body)).await;
        assert_eq!((answer.status(), answer.errors()), (422, vec![error.to_owned()]), "{body}");
        assert!(!String::from_utf8_lossy(answer.response.body()).contains("s3cret"));
    }
    let answer = crate::support::send(&layer(), crate::support::post(r#"{"email":1e999,"lines":[]}"#)).await;
    assert_eq!((answer.status(), answer.errors()), (400, vec!["# json_limit".to_owned()]));
}

#[tokio::test]
async fn val_06_more_mistakes_than_fit_are_truncated() {
    #[derive(Deserialize, Validate)]
    struct Many {
        #[validate(nested)]
        lines: Vec<Line>,
    }
    let lines = vec![r#"{"product":"","quantity":0}"#; 40].join(",");
    let layer = ValidateJsonLayer::<Many>::new();
    let answer = crate::support::send(&layer, crate::support::post(format!("{{\"lines\":[{lines}]}}"))).await;
    assert_eq!(answer.errors().len(), 32);
    assert_eq!(answer.problem()["truncated"], true);
}

#[tokio::test]
async fn val_01_report_only_hands_on_the_value_that_breaks_a_rule() {
    let body = GOOD.replace("\"quantity\":2", "\"quantity\":0");
    let answer = send_to(&layer().with_report_only(), crate::support::post(body), |head| {
        assert_eq!(take_valid::<Order>(&mut head.extensions).unwrap().lines[0].quantity, 0);
    })
    .await;
    assert_eq!(answer.status(), 200);
}

async fn create(Valid(order): Valid<Order>) -> String {
    order.email
}

async fn call(app: Router, body: &'static str) -> (StatusCode, String) {
    let request = Request::post("/").header("content-type", "application/json").body(Body::from(body));
    let response = app.oneshot(request.unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn val_06_the_extractor_works_with_the_layer_and_without() {
    let without = || Router::new().route("/", post(create));
    let with = || Router::new().route("/", post(create).layer(layer()));
    for app in [with, without] as [fn() -> Router; 2] {
        assert_eq!(call(app(), GOOD).await, (StatusCode::OK, "a@example.com".to_owned()));
        let (status, body) = call(app(), r#"{"email":"x","lines":[]}"#).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(body.contains("#/email") && body.contains("#/lines"), "{body}");
        assert_eq!(call(app(), "{").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(call(app(), "").await.0, StatusCode::BAD_REQUEST);
        let large = Request::post("/").header("content-type", "application/json");
        let large = large.body(Body::from(vec![b' '; JsonLimits::new().max_body() + 1])).unwrap();
        assert_eq!(app().oneshot(large).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
        let plain = Request::post("/").body(Body::from(GOOD)).unwrap();
        assert_eq!(app().oneshot(plain).await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

async fn perhaps(order: Option<Valid<Order>>) -> String {
    order.map_or_else(|| "nothing".to_owned(), |Valid(order)| order.email)
}

#[tokio::test]
async fn val_07_a_body_that_may_be_missing_is_none_or_valid() {
    let without = || Router::new().route("/", post(perhaps).get(perhaps));
    let with = || Router::new().route("/", post(perhaps).get(perhaps).layer(layer().with_optional_body()));
    for app in [with, without] as [fn() -> Router; 2] {
        assert_eq!(call(app(), GOOD).await, (StatusCode::OK, "a@example.com".to_owned()));
        assert_eq!(call(app(), "").await, (StatusCode::OK, "nothing".to_owned()));
        for (method, media) in [("POST", None), ("GET", None), ("POST", Some("application/json"))] {
            let mut request = Request::builder().method(method).uri("/");
            if let Some(media) = media {
                request = request.header("content-type", media);
            }
            // It is empty, and does not say so before it was read.
            let (sender, late) = bartizan_testkit::TestBody::channel();
            sender.finish();
            let body = if media.is_some() { Body::new(late) } else { Body::empty() };
            let response = app().oneshot(request.body(body).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{method} {media:?}");
        }
        assert_eq!(call(app(), "{").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(call(app(), r#"{"email":"x","lines":[]}"#).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        let plain = Request::post("/").header("content-type", "text/plain").body(Body::from("x")).unwrap();
        assert_eq!(app().oneshot(plain).await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
