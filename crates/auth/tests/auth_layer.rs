//! API keys and tokens on one layer.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod mint;
mod support;

use bartizan_auth::{ApiKey, ApiKeyLayer, AuthLayer, RequireLayer, StaticKeys};
use http::{HeaderName, Request};
use tower::ServiceBuilder;

use self::{
    mint::{bearer, good, secret_layer, with},
    support::{get, send},
};

#[tokio::test]
async fn aut_02_with_keys_and_tokens_the_one_that_is_there_decides() {
    let key = ApiKey::generate("orders").unwrap();
    let keys = ApiKeyLayer::new(StaticKeys::new([key.record("billing")]).unwrap())
        .with_query_parameter("key")
        .unwrap()
        .with_identity_header(HeaderName::from_static("x-service"))
        .unwrap();
    let tokens = secret_layer()
        .with_identity_header(HeaderName::from_static("x-user"))
        .unwrap()
        .with_bypass("/open")
        .unwrap();
    let auth = AuthLayer::new(keys, tokens).with_bypass("/health").unwrap();
    let token = format!("Bearer {}", good());
    let scheme = format!("ApiKey {}", key.expose());

    let forged = [("x-user", "root"), ("x-service", "root")];
    for (headers, subject, own) in [
        (vec![("x-api-key", key.expose())], "billing", "x-service"),
        (vec![("authorization", &scheme)], "billing", "x-service"),
        (vec![("authorization", &token)], "alice", "x-user"),
    ] {
        let seen = send(&auth, with(&[&headers[..], &forged].concat())).await;
        assert_eq!(seen.principal().unwrap().subject(), subject);
        let headers = seen.handled.unwrap().headers;
        assert!(headers.len() == 1 && headers[own] == subject, "{headers:?}");
    }
    let by_query = get(&format!("/?key={}", key.expose())).body(String::new()).unwrap();
    assert_eq!(send(&auth, by_query).await.header("cache-control"), "no-store");

    let challenges = |seen: &support::Seen| -> Vec<String> {
        let lines = seen.response.headers().get_all("www-authenticate").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    };
    let both = [r#"Bearer realm="api""#, r#"ApiKey realm="api""#];
    let neither = send(&auth, Request::default()).await;
    assert_eq!((neither.status(), challenges(&neither)), (401, both.map(String::from).to_vec()));
    let bad_key = send(&auth, with(&[("x-api-key", "nonsense")])).await;
    assert_eq!((bad_key.status(), challenges(&bad_key)), (401, vec![both[1].to_owned(), both[0].to_owned()]));
    let bad_token = send(&auth, bearer("a.b.c")).await;
    assert_eq!((bad_token.status(), challenges(&bad_token).len()), (401, 2));
    assert!(challenges(&bad_token)[0].contains("invalid_token"));

    for headers in [
        [("x-api-key", key.expose()), ("authorization", &token)],
        [("authorization", &scheme), ("authorization", &token)],
        [("authorization", &token), ("authorization", &token)],
        [("authorization", "Basic YTpi"), ("authorization", "Basic YTpi")],
    ] {
        let seen = send(&auth, with(&headers)).await;
        assert_eq!((seen.status(), challenges(&seen).len()), (400, 2), "{headers:?}");
    }
    let both_ways = get(&format!("/?key={}", key.expose())).header("authorization", &token);
    assert_eq!(send(&auth, both_ways.body(String::new()).unwrap()).await.status(), 400);

    for target in ["/open", "/health"] {
        let request = get(target).header("x-api-key", "nonsense").header("authorization", "Bearer nonsense");
        let seen = send(&auth, request.header("x-user", "root").body(String::new()).unwrap()).await;
        assert!(seen.status() == 200 && seen.principal().is_none());
        assert!(seen.handled.unwrap().headers.is_empty(), "credentials that nobody checked do not pass");
    }
    let optional = auth.optional();
    let anonymous = send(&optional, with(&[("x-user", "root")])).await;
    assert!(anonymous.principal().is_none() && anonymous.handled.unwrap().headers.is_empty());
    assert_eq!(send(&optional, bearer("a.b.c")).await.status(), 401);
    let required = ServiceBuilder::new().layer(optional).layer(RequireLayer::authenticated()).into_inner();
    let seen = send(&required, Request::default()).await;
    assert_eq!(challenges(&seen), both);
}

#[cfg(feature = "tracing")]
#[test]
fn jwt_13_one_identity_header_for_keys_and_tokens_is_reported() {
    let said = |for_keys: &'static str, for_tokens: &'static str| {
        let log = bartizan_testkit::TestLog::default();
        let _guard = log.listen(tracing::Level::ERROR);
        let keys = ApiKeyLayer::new(StaticKeys::new([]).unwrap());
        let keys = keys.with_identity_header(HeaderName::from_static(for_keys)).unwrap();
        let tokens = secret_layer().with_identity_header(HeaderName::from_static(for_tokens)).unwrap();
        let _layer = AuthLayer::new(keys, tokens);
        log.text()
    };
    assert_eq!(said("x-service", "x-user"), "");
    assert!(said("x-user", "x-user").contains("different identity headers"));
}
