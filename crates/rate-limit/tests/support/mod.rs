//! Requests, and a service to send them to.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::{convert::Infallible, time::Duration};

use bartizan_core::{ClientAddr, Clock, ManualClock, Principal, RequestContext};
use bartizan_rate_limit::{Keys, LimitedBody, Rate, RateLimitLayer};
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};

pub(crate) type Answer = Response<LimitedBody<String>>;

/// The answer of `layer` to `request`, where the service behind it answers with `inner`.
pub(crate) async fn send_to<K: Keys>(
    layer: &RateLimitLayer<K>,
    request: Request<String>,
    inner: impl Fn(Request<String>) -> Response<String>,
) -> Answer {
    let service = layer.layer(service_fn(|request| {
        let response = inner(request);
        async move { Ok::<_, Infallible>(response) }
    }));
    match service.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

pub(crate) async fn send<K: Keys>(layer: &RateLimitLayer<K>, request: Request<String>) -> Answer {
    send_to(layer, request, |request| Response::new(request.into_body())).await
}

/// Whether each of so many requests was let through.
pub(crate) async fn passes<K: Keys>(
    layer: &RateLimitLayer<K>,
    count: usize,
    request: impl Fn() -> Request<String>,
) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        passed += usize::from(send(layer, request()).await.status() == StatusCode::OK);
    }
    passed
}

pub(crate) fn request() -> Request<String> {
    Request::new(String::new())
}

pub(crate) fn from(addr: &str) -> Request<String> {
    let mut request = request();
    RequestContext::of(&mut request).set_client_addr(ClientAddr::new(addr.parse().unwrap()));
    request
}

pub(crate) fn by(principal: Principal) -> Request<String> {
    let mut request = request();
    RequestContext::of(&mut request).set_principal(principal);
    request
}

pub(crate) fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

pub(crate) fn clock() -> (ManualClock, Clock) {
    let time = ManualClock::new();
    (time.clone(), Clock::from(time))
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
