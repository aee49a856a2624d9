//! `OutboundTimeoutLayer`.

use std::{
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan_core::{Deadline, RequestContext};
use bartizan_deadline::OutboundTimeoutLayer;
use bartizan_testkit::{TestBody, TestError};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tokio::time::{advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Dropped, clock, get, grpc, grpc_status, secs, timed};

fn total(limit: u64) -> OutboundTimeoutLayer {
    OutboundTimeoutLayer::total(secs(limit)).unwrap().with_clock(clock())
}

/// The headers of what was sent.
type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// An upstream that answers at once.
fn upstream(
    seen: &Seen,
) -> impl Service<Request<String>, Response = Response<String>, Error = TestError> + Clone + use<> {
    let seen = Arc::clone(seen);
    service_fn(move |request: Request<String>| {
        seen.lock().unwrap().push(request.headers().clone());
        ready(Ok(Response::new(String::new())))
    })
}

fn told(seen: &Mutex<Vec<HeaderMap>>, name: &str) -> Vec<Option<String>> {
    let seen = seen.lock().unwrap();
    seen.iter().map(|headers| headers.get(name).map(|value| value.to_str().unwrap().to_owned())).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn rt_11_the_inbound_deadline_bounds_the_call_and_is_told_on() {
    let inbound = RequestContext::of(&mut Request::new(()));
    inbound.tighten_deadline(Deadline::after(&clock(), secs(2)).unwrap());
    let seen = Seen::default();
    let service = upstream(&seen);
    let service = total(10).layer(service);

    let mut call = grpc(&[]);
    call.extensions_mut().insert(inbound.clone());
    service.clone().oneshot(call).await.unwrap();
    advance(Duration::from_millis(500)).await;
    let mut call = grpc(&[]);
    call.extensions_mut().insert(inbound.clone());
    service.clone().oneshot(call).await.unwrap();
    service.clone().oneshot(grpc(&[])).await.unwrap();
    assert_eq!(told(&seen, "grpc-timeout"), [some("2000000u"), some("1500000u"), some("10000000u")]);

    let mut call = get(&[]);
    call.extensions_mut().insert(inbound.clone());
    let never =
        total(10).layer(service_fn(|_: Request<String>| pending::<Result<Response<String>, TestError>>()));
    let (response, elapsed) = timed(never.oneshot(call)).await;
    assert_eq!((response.unwrap().status().as_u16(), elapsed), (504, Duration::from_millis(1_500)));

    let mut late = grpc(&[]);
    late.extensions_mut().insert(inbound);
    let response = service.oneshot(late).await.unwrap();
    assert_eq!(grpc_status(&response), "4");
    assert_eq!(seen.lock().unwrap().len(), 3, "a call without time is not made");
}

#[cfg(feature = "scope")]
#[tokio::test(start_paused = true)]
async fn rt_11_the_deadline_of_the_request_that_is_served_bounds_its_calls() {
    let inbound = RequestContext::of(&mut Request::new(()));
    inbound.event().enable();
    inbound.tighten_deadline(Deadline::after(&clock(), secs(2)).unwrap());
    let service =
        total(10).layer(service_fn(|_: Request<String>| pending::<Result<Response<String>, TestError>>()));
    let call = bartizan_core::Scoped::call(inbound.clone(), &mut service.clone(), get(&[]));
    let (response, elapsed) = timed(call).await;
    assert_eq!((response.unwrap().status().as_u16(), elapsed), (504, secs(2)));
    inbound.event().read(|facts| {
        assert_eq!(facts, [("deadline.call_exceeded", bartizan_core::Fact::from("head"))]);
    });
}

#[tokio::test(start_paused = true)]
async fn rt_11_each_attempt_gets_what_is_left_of_the_total() {
    let seen = Seen::default();
    let service = upstream(&seen);
    let attempt = OutboundTimeoutLayer::per_attempt(secs(2)).unwrap().with_clock(clock()).layer(service);
    // Three attempts, a second and a half apart.
    let retry = service_fn(move |request: Request<String>| {
        let attempt = attempt.clone();
        async move {
            for _ in 0..2 {
                attempt.clone().oneshot(request.clone()).await?;
                sleep(Duration::from_millis(1_500)).await;
            }
            attempt.oneshot(request).await
        }
    });
    total(4).layer(retry).oneshot(grpc(&[])).await.unwrap();
    assert_eq!(told(&seen, "grpc-timeout"), [some("2000000u"), some("2000000u"), some("1000000u")]);
}

#[tokio::test(start_paused = true)]
async fn rt_11_the_grpc_timeout_that_a_call_brings_bounds_it_and_is_never_raised() {
    let seen = Seen::default();
    let service = upstream(&seen);
    let service = total(10).layer(service);
    for value in ["3S", "1H", "nonsense"] {
        service.clone().oneshot(grpc(&[("grpc-timeout", value)])).await.unwrap();
    }
    assert_eq!(told(&seen, "grpc-timeout"), [some("3000000u"), some("10000000u"), some("10000000u")]);
}

#[tokio::test(start_paused = true)]
async fn an_http_server_is_told_on_demand_alone() {
    let seen = Seen::default();
    let service = upstream(&seen);
    total(10).layer(service.clone()).oneshot(get(&[])).await.unwrap();
    let telling = total(10).with_header("x-request-deadline".parse().unwrap()).unwrap();
    telling.layer(service.clone()).oneshot(get(&[])).await.unwrap();
    telling.layer(service.clone()).oneshot(get(&[("x-request-deadline", "700")])).await.unwrap();
    telling.layer(service).oneshot(grpc(&[])).await.unwrap();
    assert_eq!(told(&seen, "x-request-deadline"), [None, some("10000"), some("700"), None]);
    assert_eq!(told(&seen, "grpc-timeout")[..3], [None, None, None]);
}

#[tokio::test(start_paused = true)]
async fn rt_11_no_call_starts_with_less_than_the_floor_left() {
    let seen = Seen::default();
    let service = upstream(&seen);
    let layer = total(10).with_margin(secs(1)).unwrap().with_floor(secs(2)).unwrap();
    let call = |left| {
        let mut call = grpc(&[]);
        call.extensions_mut().insert(Deadline::after(&clock(), left).unwrap());
        layer.layer(service.clone()).oneshot(call)
    };
    assert_eq!(grpc_status(&call(Duration::from_millis(2_999)).await.unwrap()), "4");
    assert_eq!(grpc_status(&call(secs(3)).await.unwrap()), "");
    assert_eq!(grpc_status(&call(secs(60)).await.unwrap()), "");
    assert_eq!(told(&seen, "grpc-timeout"), [some("2000000u"), some("10000000u")]);
}

#[test]
fn lay_06_settings_that_cannot_work_are_refused() {
    for limit in [Duration::ZERO, Duration::MAX] {
        assert_eq!(OutboundTimeoutLayer::total(limit).unwrap_err().field(), "limit");
        assert_eq!(OutboundTimeoutLayer::per_attempt(limit).unwrap_err().field(), "limit");
        assert_eq!(total(1).with_idle(limit).unwrap_err().field(), "idle");
    }
    assert_eq!(total(1).with_margin(Duration::MAX).unwrap_err().field(), "margin");
    assert_eq!(total(1).with_floor(secs(2)).unwrap_err().field(), "floor");
    assert_eq!(total(1).with_header("grpc-timeout".parse().unwrap()).unwrap_err().field(), "header");
}

fn cancelled() -> HeaderMap {
    HeaderMap::from_iter([
        ("grpc-status".parse().unwrap(), HeaderValue::from_static("1")),
        ("content-type".parse().unwrap(), HeaderValue::from_static("application/grpc")),
    ])
}

/// An upstream that ends calls as cancelled or with an error. It waits by blocking the clock rather than by a timer
/// of its own, so that it is always the first to give up.
fn giving_up(
    after: Duration,
    answer: Result<(), TestError>,
) -> impl Service<Request<String>, Response = Response<TestBody>, Error = TestError> + Clone {
    service_fn(move |_: Request<String>| {
        let answer = answer.clone();
        async move {
            advance(after).await;
            answer?;
            let mut response = Response::new(TestBody::empty());
            *response.headers_mut() = cancelled();
            Ok(response)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn grpc_10_a_call_that_is_cancelled_at_its_deadline_is_deadline_exceeded() {
    let failure = || Err(TestError::new("stream reset"));
    for (answer, after, expected) in
        [(Ok(()), 4, Ok("1")), (Ok(()), 5, Ok("4")), (failure(), 4, Err(())), (failure(), 5, Ok("4"))]
    {
        let service = total(5).layer(giving_up(secs(after), answer.clone()));
        let seen = service.oneshot(grpc(&[])).await;
        let status = seen.as_ref().map(grpc_status).map_err(|_| ());
        assert_eq!(status, expected, "{answer:?} after {after} s");
    }
    // Over HTTP the failure itself says more.
    let service = total(5).layer(giving_up(secs(5), failure()));
    assert!(service.oneshot(get(&[])).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn grpc_10_a_stream_that_is_cancelled_at_its_deadline_is_deadline_exceeded() {
    for (fails, after, expected) in
        [(false, 4, Some("1")), (false, 5, Some("4")), (true, 4, None), (true, 5, Some("4"))]
    {
        let (sender, body) = TestBody::channel();
        let mut response =
            Some(Response::builder().header("content-type", "application/grpc").body(body).unwrap());
        let service = total(5)
            .layer(service_fn(move |_: Request<String>| ready(Ok::<_, TestError>(response.take().unwrap()))));
        let mut body = service.oneshot(grpc(&[])).await.unwrap().into_body();
        sender.data("message");
        assert!(body.frame().await.unwrap().is_ok());
        if fails {
            sender.fail(TestError::new("stream reset"));
        } else {
            sender.trailers(cancelled());
        }
        advance(secs(after)).await;
        let frame = body.frame().await.unwrap();
        let status = frame.ok().map(|frame| frame.into_trailers().unwrap()["grpc-status"].clone());
        assert_eq!(
            status.as_ref().map(|status| status.to_str().unwrap()),
            expected,
            "{fails} after {after} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn lay_01_a_call_that_is_given_up_is_dropped_with_its_body() {
    let dropped = Dropped::default();
    let guard = dropped.guard();
    let mut guard = Some(guard);
    let service = total(5).layer(service_fn(move |_: Request<String>| {
        let guard = guard.take();
        async move {
            let _guard = guard;
            pending::<Result<Response<String>, TestError>>().await
        }
    }));
    let response = service.oneshot(get(&[])).await.unwrap();
    assert_eq!(response.status(), 504);
    assert!(dropped.is());

    let (sender, body) = TestBody::channel();
    let mut response = Some(Response::new(body));
    let idle = total(50).with_idle(secs(3)).unwrap();
    let service =
        idle.layer(service_fn(move |_: Request<String>| ready(Ok::<_, TestError>(response.take().unwrap()))));
    let mut body = service.oneshot(get(&[])).await.unwrap().into_body();
    let (frame, elapsed) = timed(body.frame()).await;
    assert!(frame.unwrap().is_err());
    assert_eq!(elapsed, secs(3));
    assert!(sender.is_dropped());
}
