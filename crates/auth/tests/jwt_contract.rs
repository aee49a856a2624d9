//! The contract that every layer keeps, of the layers that know tokens.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod mint;

use std::convert::Infallible;

use bartizan_auth::{ApiKey, ApiKeyLayer, AsyncKeyStore, AuthLayer, CachedKeys, KeyRecord, StaticKeys};
use bartizan_core::Reason;
use bartizan_testkit::contract;
use http::{HeaderValue, Request, header};

use self::mint::secret_layer;

fn present(request: &mut Request<()>, token: &str) {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    request.headers_mut().append(header::AUTHORIZATION, value);
}

fn good(request: &mut Request<()>) {
    present(request, &mint::good());
}

fn twice(request: &mut Request<()>) {
    good(request);
    good(request);
}

#[test]
fn a_jwt_layer_keeps_the_contract() {
    contract(secret_layer)
        .accept(good)
        .refuse(Reason::Unauthenticated, |_| {})
        .refuse(Reason::Unauthenticated, |request| present(request, "a.b.c"))
        .refuse(Reason::MalformedCredentials, twice)
        .check();
}

#[test]
fn an_optional_jwt_layer_keeps_the_contract() {
    contract(|| secret_layer().with_claims::<serde_json::Value>().optional())
        .refuse(Reason::Unauthenticated, |request| present(request, "a.b.c"))
        .check();
}

#[test]
fn an_auth_layer_keeps_the_contract() {
    contract(|| AuthLayer::new(ApiKeyLayer::new(StaticKeys::new([]).unwrap()), secret_layer()))
        .accept(good)
        .refuse(Reason::Unauthenticated, |_| {})
        .refuse(Reason::Unauthenticated, |request| {
            request.headers_mut().insert("x-api-key", HeaderValue::from_static("nonsense"));
        })
        .refuse(Reason::MalformedCredentials, twice)
        .check();
}

/// Knows nobody.
struct Nobody;

impl AsyncKeyStore for Nobody {
    type Error = Infallible;

    async fn fetch(&self, _: &str) -> Result<Option<KeyRecord>, Infallible> {
        // Not at once: the layer must wait, and be woken.
        tokio::task::yield_now().await;
        Ok(None)
    }
}

#[test]
fn an_auth_layer_that_asks_a_store_keeps_the_contract() {
    let stranger = ApiKey::generate("orders").unwrap();
    contract(|| AuthLayer::new(ApiKeyLayer::new(CachedKeys::new(Nobody)), secret_layer()))
        .accept(good)
        .refuse(Reason::Unauthenticated, |_| {})
        .refuse(Reason::Unauthenticated, move |request| {
            request.headers_mut().insert("x-api-key", HeaderValue::from_str(stranger.expose()).unwrap());
        })
        .refuse(Reason::MalformedCredentials, twice)
        .check();
}

#[test]
fn an_optional_auth_layer_keeps_the_contract() {
    contract(|| AuthLayer::new(ApiKeyLayer::new(StaticKeys::new([]).unwrap()), secret_layer()).optional())
        .refuse(Reason::Unauthenticated, |request| present(request, "a.b.c"))
        .refuse(Reason::MalformedCredentials, twice)
        .check();
}
