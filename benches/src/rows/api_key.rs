//! API keys: one of a hundred, looked up and compared.

use bartizan::auth::{ApiKey, ApiKeyLayer, KeyRecord, StaticKeys};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

pub(super) fn rows() -> Vec<Scenario> {
    vec![Scenario::ours("API key", Some(Budget::new(4500, 3)), ours)]
}

fn ours(arm: Arm) -> Prepared {
    let (keys, credential) = hundred_keys();
    let request = move || with_credential(request::with_context(), &credential);
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| ApiKeyLayer::new(keys).layer(bare))
}

/// As many keys as a small service has, and the credential that one of them is for.
pub(super) fn hundred_keys() -> (StaticKeys, HeaderValue) {
    let generate = || ApiKey::generate("bench").expect("the system has entropy, and the prefix is good");
    let ours = generate();
    let record =
        |key: &ApiKey| -> KeyRecord { key.record("billing").with_scopes(["orders:read", "orders:write"]) };
    let records = (1..100).map(|_| record(&generate())).chain([record(&ours)]);
    let keys = StaticKeys::new(records).expect("generated keys differ");
    (keys, HeaderValue::from_str(ours.expose()).expect("a key is visible ASCII"))
}

pub(super) fn with_credential(mut request: Request<Body>, credential: &HeaderValue) -> Request<Body> {
    request.headers_mut().insert(HeaderName::from_static("x-api-key"), credential.clone());
    request
}
