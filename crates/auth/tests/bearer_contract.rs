//! The contract that every layer keeps, of the layer that puts tokens on requests.

use std::io;

use bartizan_auth::{BearerLayer, ClientCredentials, ClientTokens};
use bartizan_core::Reason;
use bartizan_testkit::contract;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;

fn tokens(answer: &'static str) -> ClientTokens {
    let endpoint = tower::service_fn(move |_: Request<Full<Bytes>>| {
        std::future::ready(Ok::<_, io::Error>(Response::new(String::from(answer))))
    });
    ClientCredentials::new("https://id.example/token", "billing", "s3cret").build_with(endpoint).unwrap()
}

fn layer(answer: &'static str) -> BearerLayer {
    BearerLayer::new(tokens(answer), ["https://api.example"]).unwrap().with_relative_addresses()
}

const GOOD: &str = r#"{"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}"#;

#[test]
fn a_bearer_layer_keeps_the_contract() {
    contract(|| layer(GOOD)).check_client();
    contract(|| layer(GOOD).without_resend()).check_client();
}

#[test]
fn a_bearer_layer_without_a_token_keeps_the_contract() {
    contract(|| layer("{}"))
        .accept(|request| {
            request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        })
        .refuse(Reason::DependencyUnavailable, |request| {
            // Over HTTP/2 the suite's requests name an origin, which is not one of ours.
            *request.uri_mut() = request.uri().path().parse().unwrap();
        })
        .check_client();
}
