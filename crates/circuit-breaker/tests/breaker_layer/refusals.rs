//! CB-04: how an open breaker refuses, without asking the inner service; LAY-03.

use std::{pin::pin, task::Poll};

use bartizan_circuit_breaker::{PerUpstream, Single, State};
use bartizan_core::{Reason, Rejection, ResponseBody};
use bartizan_testkit::{Probe, Script, TestBody, TestError};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{HOST, KEY, SECOND, Upstream, state, touchy};

fn request() -> Request<TestBody> {
    Request::get(HOST).body(TestBody::empty()).unwrap()
}

#[tokio::test]
async fn cb_04_open_is_503_with_the_rest_of_the_time_rounded_up() {
    let (layer, time) = touchy();
    let upstream = Upstream::new(500);
    upstream.call(&layer, HOST).await;
    time.advance(SECOND / 4);
    let response = layer.layer(upstream.script.service()).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "30", "29.75 s, rounded up");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.reason(), rejection.layer()), (Reason::CircuitOpen, Some("circuit_breaker")));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = std::str::from_utf8(&body).unwrap();
    assert!(body.contains("\"code\":\"circuit_open\"") && !body.contains("supplier"), "{body}");
    assert_eq!(upstream.calls(), 1, "it is not called");
    assert_eq!(layer.handle().breaker(KEY).report().snapshot.calls, 0, "and the refusal is not recorded");
}

#[tokio::test]
async fn cb_04_open_is_unavailable_over_grpc() {
    let (layer, _) = touchy();
    layer.handle().breaker(KEY).force_open();
    let upstream = Upstream::new(200);
    let request =
        Request::post(HOST).header("content-type", "application/grpc").body(TestBody::empty()).unwrap();
    let response = layer.layer(upstream.script.service()).oneshot(request).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
    assert!(response.headers().contains_key("grpc-status-details-bin"), "RetryInfo");
    assert!(response.into_body().collect().await.unwrap().trailers().is_none());
    assert_eq!(upstream.calls(), 0);
}

#[test]
fn lay_03_a_single_open_breaker_answers_although_the_service_is_never_ready() {
    let (layer, time) = touchy();
    let layer = layer.by(Single);
    let script = Script::unready();
    let mut service = layer.layer(script.service());
    let probe = Probe::new();
    assert!(probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)).is_pending());
    layer.handle().breaker("*").force_open();
    let refused = |service: &mut bartizan_circuit_breaker::CircuitBreaker<_, _, _>| {
        let mut call = pin!(Service::<Request<TestBody>>::call(service, request()));
        match probe.poll(|cx| call.as_mut().poll(cx)) {
            Poll::Ready(Ok(response)) => response.status() == 503,
            _ => false,
        }
    };
    assert!(probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)).is_ready());
    assert!(refused(&mut service));
    // Ready without the inner service, and closed before the call: the inner service is not ready, so it is not called.
    assert!(probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)).is_ready());
    layer.handle().breaker("*").reset();
    assert!(refused(&mut service));
    assert_eq!((script.called(), script.unready_calls()), (0, 0));
    // Closed, it waits for the inner service again.
    assert!(probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)).is_pending());
    script.allow(1);
    assert!(probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)).is_ready());
    let call = Service::<Request<TestBody>>::call(&mut service, request());
    assert_eq!((script.called(), script.unready_calls()), (1, 0));
    drop(call);
    time.advance(SECOND);
}

#[test]
fn lay_03_with_keys_readiness_is_that_of_the_service() {
    let (layer, _) = touchy();
    let layer = layer.by(PerUpstream);
    layer.handle().breaker(KEY).force_open();
    let script = Script::unready();
    let mut service = layer.layer(script.service());
    let probe = Probe::new();
    assert!(probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)).is_pending());
    script.fail_readiness(TestError::new("gone"));
    assert!(matches!(
        probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(&mut service, cx)),
        Poll::Ready(Err(_))
    ));
}

#[tokio::test]
async fn a_fallback_answers_what_is_refused_and_nothing_else() {
    let (layer, _) = touchy();
    let layer = layer.fallback(service_fn(async |request: Request<TestBody>| match request.uri().path() {
        "/stale" => Ok(Response::new(ResponseBody::full(Some("stale".into())))),
        "/elsewhere" => Ok(Response::new(ResponseBody::forward(TestBody::full("elsewhere")))),
        _ => Err("nothing cached"),
    }));
    let upstream = Upstream::new(200);
    let text = async |path: &str| {
        let request = Request::get(format!("http://{KEY}{path}")).body(TestBody::empty()).unwrap();
        let response = layer.layer(upstream.script.service()).oneshot(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(text("/stale").await, (StatusCode::OK, "".into()));
    upstream.says(500);
    assert_eq!(text("/stale").await.0, StatusCode::INTERNAL_SERVER_ERROR, "a failure is the caller's to see");
    assert_eq!(state(&layer), State::Open);
    assert_eq!(text("/stale").await, (StatusCode::OK, "stale".into()));
    assert_eq!(text("/elsewhere").await, (StatusCode::OK, "elsewhere".into()));
    assert_eq!(
        text("/other").await.0,
        StatusCode::SERVICE_UNAVAILABLE,
        "a fallback that fails leaves the refusal"
    );
    assert_eq!(upstream.calls(), 2);
}

#[tokio::test]
async fn an_upstream_that_names_a_time_is_left_alone_for_so_long_within_bounds() {
    for (asked, expected) in [("90", 90), ("5", 30), ("86400", 120), ("soon", 30)] {
        let layer = touchy().0.with_retry_after(120 * SECOND).unwrap();
        let script = Script::answering(move |_| async move {
            Ok(Response::builder().status(503).header("retry-after", asked).body(TestBody::empty()).unwrap())
        });
        let service = layer.layer(script.service());
        drop(service.clone().oneshot(request()).await.unwrap());
        let refused = service.oneshot(request()).await.unwrap();
        assert_eq!(refused.headers()["retry-after"], expected.to_string().as_str(), "{asked}");
        assert_eq!(script.called(), 1);
    }
}

#[tokio::test]
async fn grpc_15_exempt_paths_pass_an_open_breaker_and_are_not_counted() {
    let layer = touchy().0.with_exempt_paths(["/healthz"]).unwrap().by(Single);
    layer.handle().breaker("*").force_open();
    let upstream = Upstream::new(500);
    assert_eq!(upstream.call(&layer, "http://supplier.internal/healthz").await, 500);
    assert_eq!(upstream.call(&layer, HOST).await, 503);
    layer.handle().breaker("*").reset();
    assert_eq!(upstream.call(&layer, "http://supplier.internal/healthz").await, 500);
    assert_eq!(layer.handle().breaker("*").state(), State::Closed);
}
