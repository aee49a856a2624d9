//! What the extractors for query, path and form do with requests.

use axum::{
    Extension, Router,
    body::Body,
    routing::{get, post},
};
use bartizan_validate::{Garde, ReportOnly, Valid, ValidForm, ValidPath, ValidQuery, ValidateJsonLayer};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt;
use validator::Validate;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "shown by `Debug`")]
struct Page {
    #[validate(range(min = 1, max = 100))]
    limit: u32,
    #[serde(default)]
    #[validate(length(max = 2))]
    tag: Vec<String>,
    #[validate(email)]
    owner: Option<String>,
    after: Option<u64>,
    sort: Option<Sort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Name,
    Age,
}

#[derive(Debug, Deserialize, Validate)]
struct Key {
    #[validate(length(min = 2))]
    shop: String,
    #[validate(range(min = 1))]
    order: u64,
}

#[derive(Debug, Deserialize, garde::Validate)]
struct Coupon {
    #[garde(length(min = 3, max = 8), ascii)]
    code: String,
    #[garde(custom(even))]
    amount: u32,
    #[garde(inner(range(max = 5)))]
    #[serde(default)]
    steps: Vec<u32>,
}

fn even(amount: &u32, _: &()) -> garde::Result {
    if amount.is_multiple_of(2) { Ok(()) } else { Err(garde::Error::new("must be even")) }
}

fn app() -> Router {
    Router::new()
        .route("/pages", get(async |ValidQuery(page): ValidQuery<Page>| format!("{page:?}")))
        .route("/form", get(form).post(form))
        .route("/shops/{shop}/orders/{order}", get(async |ValidPath(key): ValidPath<Key>| format!("{key:?}")))
        .route("/bad/{id}", get(async |ValidPath(key): ValidPath<Key>| format!("{key:?}")))
        .route("/coupon", post(async |Valid(Garde(coupon)): Valid<Garde<Coupon>>| coupon.code))
        .route("/coupon", get(async |ValidQuery(coupon): ValidQuery<Garde<Coupon>>| coupon.code.clone()))
}

async fn form(ValidForm(page): ValidForm<Page>) -> String {
    format!("{page:?}")
}

/// The status, and each entry of `errors` as `location name code`, or the body.
async fn told(response: Response<Body>) -> (u16, Vec<String>) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("s3cret"), "{body:?}");
    let Ok(problem) = serde_json::from_slice::<Value>(&body) else {
        return (status, vec![String::from_utf8(body.into()).unwrap()]);
    };
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let errors = errors.iter().map(|error| match error["pointer"].as_str() {
        Some(pointer) => format!("{pointer} {}", text(error, "code")),
        None => format!("{} {} {}", text(error, "in"), text(error, "parameter"), text(error, "code")),
    });
    (status, errors.collect())
}

async fn ask(target: &str) -> (u16, Vec<String>) {
    let request = Request::get(target).body(Body::empty()).unwrap();
    told(app().oneshot(request).await.unwrap()).await
}

async fn send(target: &str, media: &str, body: &str) -> (u16, Vec<String>) {
    let request = Request::post(target).header("content-type", media).body(Body::from(body.to_owned()));
    told(app().oneshot(request.unwrap()).await.unwrap()).await
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn val_06_a_query_is_a_value_or_every_mistake_by_name() {
    let (status, page) = ask("/pages?limit=7&tag=a&tag=b%20c&after=&sort=age").await;
    let expected =
        r#"Page { limit: 7, tag: ["a", "b c"], owner: None, after: None, sort: Some(Age) }"#.to_owned();
    assert_eq!((status, page), (200, vec![expected]));
    for (query, status, errors) in [
        ("", 422, ["query limit required"].as_slice()),
        ("limit=s3cret", 422, &["query limit type"]),
        ("limit=", 422, &["query limit type"]),
        ("limit=-1", 422, &["query limit type"]),
        ("limit=99999999999", 422, &["query limit value"]),
        ("limit=0&owner=s3cret", 422, &["query limit range", "query owner email"]),
        ("limit=1&tag=a&tag=b&tag=c", 422, &["query tag length"]),
        ("limit=1&limit=2", 422, &["query limit duplicate_key"]),
        ("limit=1&s3=s3cret", 422, &["query s3 unknown_field"]),
        ("limit=1&sort=s3cret", 422, &["query sort enum"]),
        ("limit=1&after=s3cret", 422, &["query after type"]),
        ("limit=%3", 400, &["query limit encoding"]),
        ("limit=1&owner=%ff", 400, &["query owner encoding"]),
    ] {
        let expected = errors.iter().map(ToString::to_string).collect();
        assert_eq!(ask(&format!("/pages?{query}")).await, (status, expected), "{query}");
    }
}

#[tokio::test]
async fn val_06_path_parameters_are_a_value_or_every_mistake_by_name() {
    assert_eq!(ask("/shops/ab/orders/7").await.0, 200);
    for (path, status, errors) in [
        ("/shops/a/orders/0", 422, ["path order range", "path shop length"].as_slice()),
        ("/shops/ab/orders/s3cret", 422, &["path order type"]),
        ("/shops/ab/orders/-1", 422, &["path order type"]),
        ("/shops/%ff/orders/1", 400, &["path shop encoding"]),
        // The route has other parameters than the type.
        ("/bad/7", 500, &[]),
    ] {
        let expected = errors.iter().map(ToString::to_string).collect();
        assert_eq!(ask(path).await, (status, expected), "{path}");
    }
}

#[tokio::test]
async fn val_06_a_form_is_a_value_or_every_mistake_at_its_field() {
    assert_eq!(send("/form", FORM, "limit=7").await.0, 200);
    assert_eq!(ask("/form?limit=7").await.0, 200);
    for (body, status, errors) in [
        ("", 422, ["# required"].as_slice()),
        ("limit=0&owner=s3cret", 422, &["#/limit range", "#/owner email"]),
        ("limit=s3cret", 422, &["#/limit type"]),
        ("limit=%zz", 400, &["#/limit encoding"]),
    ] {
        let expected = errors.iter().map(ToString::to_string).collect();
        assert_eq!(send("/form", FORM, body).await, (status, expected), "{body}");
    }
    assert_eq!(ask("/form?limit=0").await, (422, vec!["query limit range".to_owned()]));
    assert_eq!(send("/form", "application/json", "{}").await.0, 415);
    let large = format!("limit=1&owner={}", "x".repeat(2 << 20));
    assert_eq!(send("/form", FORM, &large).await.0, 413);
}

#[tokio::test]
async fn val_06_rules_of_garde_are_told_as_those_of_validator() {
    assert_eq!(send("/coupon", "application/json", r#"{"code":"abc","amount":2}"#).await.0, 200);
    let body = r#"{"code":"é","amount":3,"steps":[1,9]}"#;
    let (status, mut errors) = send("/coupon", "application/json", body).await;
    // In garde's order, which is not that of the fields.
    errors.sort();
    assert_eq!(
        (status, errors.join(", ")),
        (422, "#/amount invalid, #/code ascii, #/code length, #/steps/1 range".to_owned())
    );
    let layered = Router::new()
        .route("/", post(async |Valid(Garde(coupon)): Valid<Garde<Coupon>>| coupon.code))
        .layer(ValidateJsonLayer::<Garde<Coupon>>::new());
    let request = Request::post("/").header("content-type", "application/json").body(Body::from(body));
    let (status, mut by_layer) = told(layered.oneshot(request.unwrap()).await.unwrap()).await;
    by_layer.sort();
    assert_eq!((status, by_layer), (422, errors));
    let query = ask("/coupon?code=s3cret-long-code&amount=2").await;
    assert_eq!(query, (422, vec!["query code length".to_owned()]));
}

#[tokio::test]
async fn val_01_report_only_hands_on_what_breaks_a_rule_and_not_what_is_no_value() {
    let ask = async |target: &str| {
        let request = Request::get(target).body(Body::empty()).unwrap();
        told(app().layer(Extension(ReportOnly)).oneshot(request).await.unwrap()).await.0
    };
    assert_eq!(ask("/pages?limit=0").await, 200);
    assert_eq!(ask("/shops/a/orders/0").await, 200);
    assert_eq!(ask("/form?limit=0").await, 200);
    assert_eq!(ask("/pages?limit=x").await, 422);
}
