//! CB-07, GRPC-13, RT-14, LAY-01, LAY-02: what a call was is known when its body has ended.

use std::{future::Ready, pin::pin};

use bartizan_circuit_breaker::{CircuitBreakerLayer, State};
use bartizan_core::{Outcome, Reason, Rejection, RequestContext, ServerClassifier, Verdict};
use bartizan_testkit::{BodySender, Script, TestBody, TestError};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, util::ServiceFn};

use super::{HOST, KEY, SECOND, Upstream, state, touchy};

/// The state after one call that was answered like this.
async fn after(
    layer: &CircuitBreakerLayer,
    request: Request<()>,
    answer: Result<Response<TestBody>, TestError>,
) -> State {
    let script = Script::ready();
    let mut call = pin!(layer.layer(script.service()).oneshot(request.map(|()| TestBody::empty())));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    script.next_call().expect("called").reply.send(answer);
    if let Ok(response) = call.await {
        let _ = response.into_body().collect().await;
    }
    state(layer)
}

fn plain() -> Request<()> {
    Request::get(HOST).body(()).unwrap()
}

fn grpc() -> Request<()> {
    Request::post(HOST).header("content-type", "application/grpc").body(()).unwrap()
}

fn status(status: u16) -> Response<TestBody> {
    Response::builder().status(status).body(TestBody::full("body")).unwrap()
}

fn grpc_answer() -> (BodySender, Response<TestBody>) {
    let (sender, body) = TestBody::channel();
    (sender, Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

fn trailers(code: u32) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(code))])
}

#[tokio::test]
async fn cb_07_what_is_a_failure_over_http() {
    for code in 200..=599 {
        let (layer, _) = touchy();
        let failure = matches!(code, 500 | 502 | 503 | 504);
        let expected = if failure { State::Open } else { State::Closed };
        assert_eq!(after(&layer, plain(), Ok(status(code))).await, expected, "{code}");
    }
    let (layer, _) = touchy();
    assert_eq!(after(&layer, plain(), Err(TestError::new("connection refused"))).await, State::Open);
}

#[tokio::test]
async fn cb_07_and_grpc_13_what_is_a_failure_over_grpc_is_in_the_trailers() {
    for code in 0..=16 {
        let (layer, _) = touchy();
        let (sender, answer) = grpc_answer();
        sender.data("message");
        sender.trailers(trailers(code));
        sender.finish();
        let failure = matches!(code, 2 | 4 | 13 | 14 | 15);
        let expected = if failure { State::Open } else { State::Closed };
        assert_eq!(after(&layer, grpc(), Ok(answer)).await, expected, "{code}");
    }
    let (layer, _) = touchy();
    let (sender, answer) = grpc_answer();
    sender.data("message");
    sender.finish();
    assert_eq!(after(&layer, grpc(), Ok(answer)).await, State::Open, "without a status it is UNKNOWN");
    let (layer, _) = touchy();
    let trailers_only =
        Response::builder().header("content-type", "application/grpc").header("grpc-status", "14");
    assert_eq!(after(&layer, grpc(), Ok(trailers_only.body(TestBody::empty()).unwrap())).await, State::Open);
}

#[tokio::test]
async fn grpc_13_a_call_made_for_an_http_request_is_judged_by_its_own_trailers() {
    let inbound = RequestContext::of(&mut Request::head("/").body(()).unwrap());
    let mut call = grpc();
    call.extensions_mut().insert(inbound);
    let (layer, _) = touchy();
    let (sender, answer) = grpc_answer();
    sender.data("message");
    sender.trailers(trailers(14));
    sender.finish();
    assert_eq!(after(&layer, call.clone(), Ok(answer)).await, State::Open);
    let refused =
        layer.layer(Script::ready().service()).oneshot(call.map(|()| TestBody::empty())).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "14");
}

#[tokio::test]
async fn cb_07_limits_of_the_upstream_are_failures_on_demand() {
    let limited = || status(429);
    let exhausted = || {
        let (sender, answer) = grpc_answer();
        sender.trailers(trailers(8));
        sender.finish();
        answer
    };
    let (layer, _) = touchy();
    assert_eq!(after(&layer, plain(), Ok(limited())).await, State::Closed);
    assert_eq!(after(&layer, grpc(), Ok(exhausted())).await, State::Closed);
    let strict = || touchy().0.with_limited_as_failure();
    assert_eq!(after(&strict(), plain(), Ok(limited())).await, State::Open);
    assert_eq!(after(&strict(), grpc(), Ok(exhausted())).await, State::Open);
    assert_eq!(after(&strict(), plain(), Ok(status(404))).await, State::Closed);
    assert_eq!(after(&strict(), plain(), Ok(status(503))).await, State::Open);
}

#[tokio::test]
async fn cb_07_a_classifier_of_your_own_decides() {
    let layer = touchy().0.with_classifier(ServerClassifier);
    assert_eq!(after(&layer, plain(), Ok(status(501))).await, State::Open);
}

#[tokio::test]
async fn rt_14_what_a_layer_on_this_side_refused_counts_in_no_breaker() {
    for reason in [Reason::CircuitOpen, Reason::Overloaded, Reason::RateLimited, Reason::Internal] {
        let layer = touchy().0.with_limited_as_failure();
        let refusal = Rejection::new(reason).answer::<_, TestBody>(&plain()).map(TestBody::new);
        assert_eq!(after(&layer, plain(), Ok(refusal)).await, State::Closed, "{reason:?}");
        assert_eq!(layer.handle().breaker(KEY).report().snapshot.calls, 0, "ignored is not a success");
    }
    let (layer, _) = touchy();
    let timeout = Rejection::new(Reason::DeadlineExceeded).answer::<_, TestBody>(&plain()).map(TestBody::new);
    assert_eq!(
        after(&layer, plain(), Ok(timeout)).await,
        State::Open,
        "the timeout of an attempt is a failure"
    );
}

#[tokio::test]
async fn rt_14_and_cb_07_the_timeout_of_an_attempt_counts_although_nobody_reads_what_it_says() {
    let timeout = || Rejection::new(Reason::DeadlineExceeded);
    for (rejection, expected) in [(timeout(), State::Open), (timeout().unsent(), State::Closed)] {
        let (layer, _) = touchy();
        let script = Script::answering(move |_| {
            let answer = rejection.clone().answer::<_, TestBody>(&plain()).map(TestBody::new);
            async move { Ok(answer) }
        });
        let request = Request::post(HOST).body(TestBody::empty()).unwrap();
        let response = layer.layer(script.service()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 504);
        drop(response);
        assert_eq!(state(&layer), expected);
    }
}

#[tokio::test]
async fn lay_02_the_head_says_nothing_and_a_body_that_breaks_off_is_a_failure() {
    let (layer, _) = touchy();
    let (sender, body) = TestBody::channel();
    let script = Script::ready();
    let request = Request::get(HOST).body(TestBody::empty()).unwrap();
    let mut call = pin!(layer.layer(script.service()).oneshot(request));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    script.next_call().expect("called").reply.send(Ok(Response::new(body)));
    let response = call.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(layer.handle().breaker(KEY).report().snapshot.calls, 0, "not before the end");
    sender.data("half of it");
    sender.fail(TestError::new("reset"));
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(state(&layer), State::Open);
}

#[tokio::test]
async fn cb_07_what_the_caller_cancels_does_not_count() {
    let (layer, _) = touchy();
    let script = Script::ready();
    let service = layer.layer(script.service());
    let request = || Request::get(HOST).body(TestBody::empty()).unwrap();
    {
        let mut call = Box::pin(service.clone().oneshot(request()));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
    }
    let mut call = pin!(service.oneshot(request()));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    let _cancelled = script.next_call();
    let (_sender, body) = TestBody::channel();
    script.next_call().expect("called").reply.send(Ok(Response::new(body)));
    leave(call.await.unwrap());
    let report = layer.handle().breaker(KEY).report();
    assert_eq!((report.snapshot.state, report.snapshot.calls), (State::Closed, 0));
}

/// Asks for the body, gets nothing yet, and goes away.
fn leave<B: http_body::Body>(response: Response<B>) {
    let mut body = pin!(response.into_body());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(body.as_mut().poll_frame(&mut cx).is_pending());
}

#[tokio::test]
async fn cb_07_a_caller_that_wants_the_status_alone_tells_successes_as_well_as_failures() {
    let (layer, time) = touchy();
    let script = Script::answering(|_| async { Ok(status(200)) });
    let call = || async {
        let request = Request::get(HOST).body(TestBody::empty()).unwrap();
        drop(layer.layer(script.service()).oneshot(request).await.unwrap());
    };
    call().await;
    assert_eq!(layer.handle().breaker(KEY).report().snapshot.calls, 1);
    // And so a probe that nobody reads closes the breaker.
    after(&layer, plain(), Ok(status(500))).await;
    assert_eq!(state(&layer), State::Open);
    time.advance(30 * SECOND);
    call().await;
    assert_eq!(state(&layer), State::Closed);
}

#[tokio::test]
async fn grpc_13_an_unread_answer_of_grpc_tells_nothing() {
    let (layer, _) = touchy();
    let script = Script::answering(|_| async { Ok(grpc_answer().1) });
    let request = grpc().map(|()| TestBody::empty());
    drop(layer.layer(script.service()).oneshot(request).await.unwrap());
    assert_eq!(layer.handle().breaker(KEY).report().snapshot.calls, 0);
}

#[tokio::test]
async fn grpc_08_a_proxy_that_answers_a_call_of_grpc_is_judged_by_its_status() {
    let answered = |code: u16| async move {
        let (layer, _) = touchy();
        let html = Response::builder().status(code).header("content-type", "text/html");
        after(&layer, grpc(), Ok(html.body(TestBody::full("<p>")).unwrap())).await
    };
    for code in [200, 400, 429, 501, 503] {
        assert_eq!(answered(code).await, State::Open, "{code}");
    }
    for code in [401, 403, 404] {
        assert_eq!(answered(code).await, State::Closed, "{code}");
    }
    // To a request that is served, its caller may have given any type.
    let (layer, _) = touchy();
    let mut served = grpc();
    RequestContext::of(&mut served);
    assert_eq!(after(&layer, served, Ok(status(415))).await, State::Closed);
}

#[tokio::test]
async fn cb_07_a_failure_that_the_head_tells_counts_although_its_body_is_dropped() {
    for (status, expected) in [(503, State::Open), (429, State::Open), (404, State::Closed)] {
        let layer = touchy().0.with_limited_as_failure();
        let script = Script::answering(move |_| async move {
            let (_sender, body) = TestBody::channel();
            Ok(Response::builder().status(status).body(body).unwrap())
        });
        let request = Request::get(HOST).body(TestBody::empty()).unwrap();
        drop(layer.layer(script.service()).oneshot(request).await.unwrap());
        assert_eq!(state(&layer), expected, "{status}");
    }
}

#[tokio::test]
async fn lay_01_and_cb_05_a_probe_that_is_dropped_anywhere_gives_its_permit_back() {
    let (layer, time) = touchy();
    after(&layer, plain(), Ok(status(500))).await;
    time.advance(30 * SECOND);
    let script = Script::ready();
    let service = layer.layer(script.service());
    let request = || Request::get(HOST).body(TestBody::empty()).unwrap();
    // Before it is polled, while it waits, and with the response in hand.
    for stage in 0..3 {
        let mut call = Box::pin(service.clone().oneshot(request()));
        if stage > 0 {
            assert!(futures_util::poll!(call.as_mut()).is_pending(), "stage {stage}");
            let other = service.clone().oneshot(request()).await.unwrap();
            assert_eq!(other.status(), 503, "one probe at a time");
            let probe = script.next_call().expect("called");
            if stage == 2 {
                let (_sender, body) = TestBody::channel();
                probe.reply.send(Ok(Response::new(body)));
                let response = call.as_mut().await.unwrap();
                assert_eq!(state(&layer), State::HalfOpen);
                leave(response);
            }
        }
        drop(call);
        assert_ne!(state(&layer), State::Closed);
    }
    assert_eq!(after(&layer, plain(), Ok(status(200))).await, State::Closed);
}

#[tokio::test]
async fn a_service_that_panics_fails() {
    let (layer, _) = touchy();
    let script = Script::ready();
    let mut call =
        Box::pin(layer.layer(script.service()).oneshot(Request::get(HOST).body(TestBody::empty()).unwrap()));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    script.next_call().expect("called").reply.panic();
    assert!(tokio::spawn(call).await.unwrap_err().is_panic());
    assert_eq!(state(&layer), State::Open);
}

type Answer = Ready<Result<Response<TestBody>, TestError>>;

/// A service that panics before there is a future.
fn panicking() -> ServiceFn<fn(Request<TestBody>) -> Answer> {
    tower::service_fn(|_| panic!("the service panics, as the test wants"))
}

#[tokio::test]
async fn cb_05_a_probe_that_panics_before_there_is_a_future_gives_its_permit_back() {
    let (layer, time) = touchy();
    let upstream = Upstream::new(503);
    assert_eq!(upstream.call(&layer, HOST).await, 503);
    time.advance(31 * SECOND);
    let call = layer.layer(panicking()).oneshot(Request::get(HOST).body(TestBody::empty()).unwrap());
    assert!(tokio::spawn(call).await.unwrap_err().is_panic());
    assert_eq!(state(&layer), State::Open, "the probe failed, and was told so");
    time.advance(61 * SECOND);
    upstream.says(200);
    assert_eq!(upstream.call(&layer, HOST).await, 200, "another call may probe");
    assert_eq!(state(&layer), State::Closed);
}

#[tokio::test]
async fn cb_07_a_classifier_that_panics_at_a_panic_is_one_panic_and_not_the_end_of_the_process() {
    let (layer, time) = touchy();
    let layer = layer.with_classifier(|outcome: &Outcome| {
        let status = outcome.status.expect("there is a response");
        if status.is_server_error() { Verdict::Failure } else { Verdict::Success }
    });
    assert_eq!(Upstream::new(503).call(&layer, HOST).await, 503);
    assert_eq!(state(&layer), State::Open);
    time.advance(31 * SECOND);
    let call = layer.layer(panicking()).oneshot(Request::get(HOST).body(TestBody::empty()).unwrap());
    assert!(tokio::spawn(call).await.unwrap_err().is_panic());
}
