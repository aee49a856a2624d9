//! The contract that every layer keeps.

use std::{convert::Infallible, future::Future};

use bartizan_auth::{
    AccessPolicy, ApiKey, ApiKeyLayer, AsyncKeyStore, AsyncPolicy, AuthorizeLayer, CachedKeys, KeyRecord,
    PolicyDecision, PolicyQuery, Require, RequireLayer, StaticKeys,
};
use bartizan_core::{Principal, Reason, RequestContext};
use bartizan_testkit::contract;
use http::{HeaderValue, Request};

fn present(request: &mut Request<()>, key: &ApiKey) {
    let value = HeaderValue::from_str(key.expose()).expect("a key is ASCII");
    request.headers_mut().append("x-api-key", value);
}

#[test]
fn an_api_key_layer_keeps_the_contract() {
    let key = ApiKey::generate("orders").unwrap();
    let stranger = ApiKey::generate("orders").unwrap();
    let keys = StaticKeys::new([key.record("billing")]).unwrap();
    let (accepted, twice) = (key.clone(), key);
    contract(move || ApiKeyLayer::new(keys.clone()))
        .accept(move |request| present(request, &accepted))
        .refuse(Reason::Unauthenticated, |_| {})
        .refuse(Reason::Unauthenticated, move |request| present(request, &stranger))
        .refuse(Reason::MalformedCredentials, move |request| {
            present(request, &twice);
            present(request, &twice);
        })
        .check();
}

#[test]
fn an_optional_api_key_layer_keeps_the_contract() {
    let key = ApiKey::generate("orders").unwrap();
    let keys = StaticKeys::new([]).unwrap();
    contract(move || ApiKeyLayer::new(keys.clone()).with_query_parameter("key").unwrap().optional())
        .refuse(Reason::Unauthenticated, move |request| present(request, &key))
        .check();
}

#[test]
fn a_require_layer_keeps_the_contract() {
    contract(|| RequireLayer::scope("orders:write"))
        .accept(caller("orders:write"))
        .refuse(Reason::PermissionDenied, caller("orders:read"))
        .refuse(Reason::Unauthenticated, |_| {})
        .check();
}

fn caller(scope: &'static str) -> impl Fn(&mut Request<()>) + Send + Sync {
    move |request| {
        let principal = Principal::service("billing").scopes([scope]).build();
        RequestContext::of(request).set_principal(principal);
    }
}

fn table() -> AuthorizeLayer {
    AuthorizeLayer::table()
        .route("*", "/", Require::scope("orders:write"))
        .route("*", "/{*rest}", Require::scope("orders:write").and(!Require::role("guest")))
        .grpc("/bartizan.testkit.Echo/*", Require::scope("orders:write"))
        .build()
        .unwrap()
}

#[test]
fn azn_01_a_table_of_rules_keeps_the_contract() {
    contract(table)
        .accept(caller("orders:write"))
        .refuse(Reason::PermissionDenied, caller("orders:read"))
        .refuse(Reason::Unauthenticated, |_| {})
        .check();
}

#[test]
fn azn_01_a_layer_that_hides_keeps_the_contract() {
    contract(|| AuthorizeLayer::require(Require::scope("orders:write").hidden()))
        .accept(caller("orders:write"))
        .refuse(Reason::Hidden, caller("orders:read"))
        .refuse(Reason::Hidden, |_| {})
        .check();
}

/// Lets writers pass.
struct Writers;

impl AsyncPolicy for Writers {
    type Error = Infallible;

    async fn decide(&self, query: &PolicyQuery) -> Result<PolicyDecision, Infallible> {
        // Not at once: the layer must wait, and be woken.
        tokio::task::yield_now().await;
        let may = query.principal().has_scope("orders:write");
        Ok(if may { PolicyDecision::Allow } else { PolicyDecision::Deny })
    }
}

#[test]
fn azn_01_a_layer_that_asks_a_policy_keeps_the_contract() {
    contract(|| RequireLayer::authenticated().with_policy(AccessPolicy::new(Writers)))
        .accept(caller("orders:write"))
        .refuse(Reason::PermissionDenied, caller("orders:read"))
        .refuse(Reason::Unauthenticated, |_| {})
        .check();
}

/// Knows one key.
struct One(KeyRecord);

impl AsyncKeyStore for One {
    type Error = Infallible;

    fn fetch(&self, id: &str) -> impl Future<Output = Result<Option<KeyRecord>, Infallible>> + Send {
        let found = (id == self.0.id()).then(|| self.0.clone());
        async {
            tokio::task::yield_now().await;
            Ok(found)
        }
    }
}

#[test]
fn key_03_an_api_key_layer_that_asks_a_store_keeps_the_contract() {
    let key = ApiKey::generate("orders").unwrap();
    let stranger = ApiKey::generate("orders").unwrap();
    let record = key.record("billing");
    contract(move || ApiKeyLayer::new(CachedKeys::new(One(record.clone()))))
        .accept(move |request| present(request, &key))
        .refuse(Reason::Unauthenticated, |_| {})
        .refuse(Reason::Unauthenticated, move |request| present(request, &stranger))
        .check();
}
