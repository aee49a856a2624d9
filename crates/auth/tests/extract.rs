//! What axum's handlers take from a request that was authenticated, or was not.
#![cfg(all(feature = "axum", any(feature = "aws-lc-rs", feature = "rust-crypto")))]

mod mint;

use axum::{Router, body::Body, routing::get};
use bartizan_auth::{Algorithm, ApiKey, ApiKeyLayer, AuthLayer, StaticKeys, TokenClaims};
use bartizan_core::{NormalizeLayer, Principal, Rejection, RequestContext};
use bartizan_testkit::TestLog;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::json;
use tower::ServiceExt;

use self::mint::{Signer, secret_layer};

#[derive(Clone, Deserialize)]
struct Claims {
    team: String,
}

async fn name(principal: Principal) -> String {
    principal.subject().to_owned()
}

async fn name_if_any(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.subject().to_owned())
}

async fn team(claims: TokenClaims<Claims>) -> String {
    claims.team.clone()
}

async fn team_if_any(claims: Option<TokenClaims<Claims>>) -> String {
    claims.map_or_else(|| "none".to_owned(), |claims| claims.team.clone())
}

async fn protocol(context: RequestContext) -> String {
    context.protocol().is_grpc().to_string()
}

async fn is_known(context: Option<RequestContext>) -> String {
    context.is_some().to_string()
}

fn router() -> Router {
    Router::new()
        .route("/name", get(name))
        .route("/name-if-any", get(name_if_any))
        .route("/team", get(team))
        .route("/team-if-any", get(team_if_any))
        .route("/protocol", get(protocol))
        .route("/is-known", get(is_known))
}

fn key_and_keys() -> (ApiKey, StaticKeys) {
    let key = ApiKey::generate("orders").unwrap();
    let keys = StaticKeys::new([key.record("billing")]).unwrap();
    (key, keys)
}

fn with_key(path: &str, key: &ApiKey) -> Request<Body> {
    Request::get(path).header("x-api-key", key.expose()).body(Body::empty()).unwrap()
}

fn with_token(path: &str) -> Request<Body> {
    let token = Signer::secret().with(Algorithm::Hs256, &json!({"sub": "ada", "team": "red"}));
    Request::get(path).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
}

fn plain(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn ask(app: &Router, request: Request<Body>) -> Response<String> {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

async fn told(app: &Router, request: Request<Body>) -> (u16, String) {
    let response = ask(app, request).await;
    (response.status().as_u16(), response.into_body())
}

#[tokio::test]
async fn a_handler_takes_who_the_caller_is_and_what_its_token_says() {
    let (key, keys) = key_and_keys();
    let tokens = secret_layer().with_claims::<Claims>();
    let app = router().layer(AuthLayer::new(ApiKeyLayer::new(keys), tokens)).layer(NormalizeLayer::new());
    for (request, expected) in [
        (with_key("/name", &key), "billing"),
        (with_key("/name-if-any", &key), "billing"),
        (with_key("/team-if-any", &key), "none"),
        (with_token("/name"), "ada"),
        (with_token("/team"), "red"),
        (with_token("/team-if-any"), "red"),
        (with_token("/protocol"), "false"),
        (with_token("/is-known"), "true"),
    ] {
        assert_eq!(told(&app, request).await, (200, expected.to_owned()));
    }
    let refused = ask(&app, with_key("/team", &key)).await;
    assert_eq!(refused.status(), 403, "who comes with a key has no claims");
    assert!(refused.body().contains("\"code\":\"permission_denied\""), "{}", refused.body());
}

#[tokio::test]
async fn aut_01_who_passed_without_a_credential_is_challenged_where_a_handler_wants_a_caller() {
    let (_, keys) = key_and_keys();
    let layer = ApiKeyLayer::new(keys).with_realm("orders").unwrap().optional();
    let app = router().layer(layer).layer(NormalizeLayer::new());
    for path in ["/name", "/team"] {
        let refused = ask(&app, plain(path)).await;
        assert_eq!(refused.status(), 401);
        let challenges: Vec<_> = refused.headers().get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["ApiKey realm=\"orders\""], "once");
        assert!(refused.body().contains("\"code\":\"unauthenticated\""), "{}", refused.body());
    }
    assert_eq!(told(&app, plain("/name-if-any")).await, (200, "nobody".to_owned()));
    assert_eq!(told(&app, plain("/team-if-any")).await, (200, "none".to_owned()));
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn err_05_a_missing_layer_is_the_services_fault_and_told_to_it_alone() {
    let log = TestLog::default();
    let _listening = log.listen(tracing::Level::ERROR);
    let bare = router();
    assert_eq!(told(&bare, plain("/is-known")).await, (200, "false".to_owned()));
    let keyed = router().layer(secret_layer()).layer(NormalizeLayer::new());
    let normal = router().layer(NormalizeLayer::new());
    for (app, request, fix) in [
        (&bare, plain("/protocol"), "CorrelationIdLayer"),
        (&normal, plain("/name"), "put an authentication layer"),
        (&normal, plain("/team"), "with_claims"),
        (&keyed, with_token("/team"), "with_claims"),
    ] {
        let refused = ask(app, request).await;
        assert_eq!(refused.status(), 500, "{fix}");
        assert!(refused.headers().get("www-authenticate").is_none());
        assert!(refused.extensions().get::<Rejection>().is_some());
        assert!(!refused.body().contains("layer"), "{}", refused.body());
        assert!(log.text().contains(fix), "{fix} is missing in {}", log.text());
    }
    assert_eq!(log.text().lines().count(), 3, "each is told once: {}", log.text());
}
