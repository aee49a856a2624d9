//! The contract that every layer keeps.

use bartizan_auth::{ApiKey, ApiKeyLayer, RequireLayer, StaticKeys};
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
    let caller = |scope: &'static str| {
        move |request: &mut Request<()>| {
            let principal = Principal::service("billing").scopes([scope]).build();
            RequestContext::of(request).set_principal(principal);
        }
    };
    contract(|| RequireLayer::scope("orders:write"))
        .accept(caller("orders:write"))
        .refuse(Reason::PermissionDenied, caller("orders:read"))
        .refuse(Reason::Unauthenticated, |_| {})
        .check();
}
