//! The contract that every layer keeps, of a layer whose keys are fetched.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod idp;
mod mint;

use std::io;

use bartizan_auth::{Algorithm, JwtLayer, RemoteKeys, TokenPolicy};
use bartizan_core::{Clock, ManualClock, Reason};
use bartizan_testkit::contract;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use serde_json::json;

use self::{
    idp::Named,
    mint::{AUDIENCE, ISSUER},
};

/// A layer whose provider answers with this.
fn layer(answer: String) -> JwtLayer<RemoteKeys> {
    let client = tower::service_fn(move |_: Request<Full<Bytes>>| {
        std::future::ready(Ok::<_, io::Error>(Response::new(answer.clone())))
    });
    let keys = RemoteKeys::jwks("https://id.example/keys", Algorithm::Es256).build_with(client).unwrap();
    let policy = TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap();
    JwtLayer::new(keys, policy).with_clock(Clock::from(ManualClock::new()))
}

fn present(token: &str) -> impl Fn(&mut Request<()>) + Send + Sync + 'static {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    move |request| {
        request.headers_mut().insert(header::AUTHORIZATION, value.clone());
    }
}

#[test]
fn jwk_03_a_layer_with_remote_keys_keeps_the_contract() {
    let (known, unknown) = (Named::new("known"), Named::new("unknown"));
    let set = json!({"keys": [known.jwk()]}).to_string();
    contract(move || layer(set.clone()))
        .accept(present(&known.token(1)))
        .refuse(Reason::Unauthenticated, present(&unknown.token(1)))
        .check();
}

#[test]
fn jwk_04_a_layer_without_keys_keeps_the_contract() {
    let key = Named::new("known");
    contract(|| layer("<html>".into()).optional())
        .refuse(Reason::DependencyUnavailable, present(&key.token(1)))
        .check();
}
