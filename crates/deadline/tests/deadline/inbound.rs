//! `TimeoutLayer`.

use std::{
    convert::Infallible,
    error::Error,
    future::{pending, ready},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bartizan_core::{Clock, Deadline, Fact, ManualClock, MatchedRoute, Rejection, RequestContext};
use bartizan_deadline::{BodyTimedOut, Timeout, TimeoutLayer, Timeouts};
use bartizan_testkit::TestBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::{advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Dropped, clock, get, grpc, grpc_status, secs, timed};

fn layer(total: u64) -> TimeoutLayer {
    TimeoutLayer::new(secs(total)).unwrap().with_clock(clock())
}

/// A handler that never answers, and tells when it is dropped.
fn never(
    dropped: &Dropped,
) -> impl Service<Request<String>, Response = Response<String>, Error = Infallible, Future: Send> + Clone + use<>
{
    let dropped = dropped.clone();
    service_fn(move |_: Request<String>| {
        let guard = dropped.guard();
        async move {
            pending::<()>().await;
            drop(guard);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn grpc_09_the_earlier_of_the_layers_and_the_callers_deadline_holds() {
    for (value, expected) in [
        (Some("2S"), secs(2)),
        (Some("1500m"), Duration::from_millis(1_500)),
        (Some("1M"), secs(5)),
        (Some("99999999H"), secs(5)),
        (None, secs(5)),
        (Some("2s"), secs(5)),
        (Some("123456789m"), secs(5)),
        (Some(""), secs(5)),
    ] {
        let dropped = Dropped::default();
        let request = value.map_or_else(|| grpc(&[]), |value| grpc(&[("grpc-timeout", value)]));
        let (response, elapsed) = timed(layer(5).layer(never(&dropped)).oneshot(request)).await;
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), grpc_status(&response)), (200, "4"), "{value:?}");
        assert_eq!(elapsed, expected, "{value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_10_when_the_deadline_passes_the_work_is_cancelled() {
    let dropped = Dropped::default();
    let mut future = pin!(layer(5).layer(never(&dropped)).oneshot(get(&[])));
    let mut poll = || future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    advance(Duration::from_millis(4_990)).await;
    assert!(poll().is_pending());
    assert!(!dropped.is());
    advance(Duration::from_millis(11)).await;
    let Poll::Ready(Ok(response)) = poll() else { panic!("the deadline has passed") };
    assert!(dropped.is(), "as soon as the answer is there");
    assert_eq!(response.status(), 504);
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.reason().code(), rejection.layer()), ("deadline_exceeded", Some("timeout")));
}

#[tokio::test(start_paused = true)]
async fn an_http_caller_says_in_milliseconds_how_long_it_waits() {
    let named = |layer: TimeoutLayer| layer.with_header("x-patience-ms".parse().unwrap()).unwrap();
    for (layer, header, expected) in [
        (layer(5), "x-request-deadline", 700),
        (layer(5), "x-patience-ms", 5_000),
        (named(layer(5)), "x-patience-ms", 700),
        (named(layer(5)), "x-request-deadline", 5_000),
        (layer(5).without_header(), "x-request-deadline", 5_000),
    ] {
        let service = layer.layer(never(&Dropped::default()));
        let (response, elapsed) = timed(service.oneshot(get(&[(header, "700")]))).await;
        assert_eq!(response.unwrap().status(), 504);
        assert_eq!(elapsed, Duration::from_millis(expected), "{layer:?} {header}");
    }
    assert_eq!(layer(5).with_header("grpc-timeout".parse().unwrap()).unwrap_err().field(), "header");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_time_left_never_reaches_the_handler() {
    let handler =
        service_fn(|_: Request<String>| -> std::future::Ready<Result<Response<String>, Infallible>> {
            panic!("called")
        });
    let response = layer(5).layer(handler).oneshot(get(&[("x-request-deadline", "0")])).await.unwrap();
    assert_eq!(response.status(), 504);
    let response = layer(5).layer(handler).oneshot(grpc(&[("grpc-timeout", "0S")])).await.unwrap();
    assert_eq!(grpc_status(&response), "4");
    let mut late = get(&[]);
    let past = Deadline::after(&clock(), Duration::ZERO).unwrap();
    RequestContext::of(&mut late).tighten_deadline(past);
    assert_eq!(layer(5).layer(handler).oneshot(late).await.unwrap().status(), 504);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_what_remains() {
    let handler = service_fn(async |request: Request<String>| {
        sleep(secs(1)).await;
        let deadline = RequestContext::get(request.extensions()).unwrap().deadline().unwrap();
        Ok::<_, Infallible>(Response::new(deadline.remaining(&clock()).as_secs_f64().round().to_string()))
    });
    let response = layer(5).layer(handler).oneshot(get(&[("x-request-deadline", "4000")])).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "3");
}

#[tokio::test(start_paused = true)]
async fn a_layer_further_in_shortens_the_deadline_and_never_lengthens_it() {
    for (outer, inner, expected) in [(5, 2, 2), (2, 5, 2)] {
        let service = layer(outer).layer(layer(inner).layer(never(&Dropped::default())));
        let (response, elapsed) = timed(service.oneshot(get(&[]))).await;
        assert_eq!((response.unwrap().status().as_u16(), elapsed), (504, secs(expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_has_limits_of_its_own() {
    let routed = layer(5)
        .with_route("/reports/{id}", Timeouts::new(secs(60)).unwrap())
        .unwrap()
        .with_route("pkg.Orders/Create", Timeouts::new(secs(1)).unwrap())
        .unwrap();
    let to = |mut request: Request<String>, path: &'static str, template: Option<&'static str>| {
        *request.uri_mut() = path.parse().unwrap();
        if let Some(template) = template {
            request.extensions_mut().insert(MatchedRoute::template(template));
        }
        request
    };
    for (request, expected) in [
        (to(get(&[]), "/reports/7", Some("/reports/{id}")), 60),
        (to(get(&[]), "/orders/7", Some("/orders/{id}")), 5),
        (to(get(&[]), "/reports/{id}", None), 5),
        (to(grpc(&[]), "/pkg.Orders/Create", None), 1),
    ] {
        let (_, elapsed) = timed(routed.layer(never(&Dropped::default())).oneshot(request)).await;
        assert_eq!(elapsed, secs(expected));
    }
    for route in ["", "/reports/{id}"] {
        let again = routed.clone().with_route(route, Timeouts::new(secs(1)).unwrap());
        assert_eq!(again.unwrap_err().field(), "route");
    }
}

#[test]
fn lay_06_limits_that_cannot_work_are_refused_where_they_are_set() {
    let year = secs(365 * 24 * 3_600);
    for total in [Duration::ZERO, year + secs(1), Duration::MAX] {
        assert_eq!(TimeoutLayer::new(total).unwrap_err().field(), "total");
    }
    let timeouts = Timeouts::new(secs(5)).unwrap();
    for part in [Duration::ZERO, secs(6)] {
        assert_eq!(timeouts.with_head(part).unwrap_err().field(), "head");
        assert_eq!(timeouts.with_idle(part).unwrap_err().field(), "idle");
    }
}

/// A service that answers at once with a body that the test feeds.
fn answering(
    layer: &TimeoutLayer,
    body: TestBody,
    content_type: &'static str,
) -> Timeout<impl Service<Request<String>, Response = Response<TestBody>, Error = Infallible> + use<>> {
    let response = Response::builder().header("content-type", content_type).body(body).unwrap();
    let mut response = Some(response);
    layer.layer(service_fn(move |_: Request<String>| ready(Ok(response.take().expect("called once")))))
}

#[tokio::test(start_paused = true)]
async fn lay_02_the_deadline_holds_for_the_body_too() {
    let (sender, body) = TestBody::channel();
    let response = answering(&layer(5), body, "text/plain").oneshot(get(&[])).await.unwrap();
    let mut body = response.into_body();
    sender.data("one");
    assert!(body.frame().await.unwrap().is_ok());
    let (frame, elapsed) = timed(body.frame()).await;
    let error = frame.unwrap().unwrap_err();
    assert!(!error.downcast_ref::<BodyTimedOut>().unwrap().is_idle());
    assert_eq!(elapsed, secs(5));
    assert!(sender.is_dropped(), "the work of the body is cancelled");
    assert!(body.frame().await.is_none() && http_body::Body::is_end_stream(&body));
}

#[tokio::test(start_paused = true)]
async fn grpc_10_after_the_head_a_call_ends_with_trailers() {
    let (sender, body) = TestBody::channel();
    let service = answering(&layer(5), body, "application/grpc");
    let response = service.oneshot(grpc(&[("grpc-timeout", "2S")])).await.unwrap();
    let mut body = response.into_body();
    sender.data("message");
    assert!(body.frame().await.unwrap().unwrap().is_data());
    let (frame, elapsed) = timed(body.frame()).await;
    let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!((trailers["grpc-status"].to_str().unwrap(), elapsed), ("4", secs(2)));
    assert!(sender.is_dropped());
    assert!(body.frame().await.is_none());
}

/// A body that always has its next frame, each of which takes a tenth of a second to make.
struct AlwaysReady {
    time: ManualClock,
    frames: u32,
    _guard: Box<dyn Send>,
}

impl http_body::Body for AlwaysReady {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames == 0 {
            return Poll::Ready(None);
        }
        self.frames -= 1;
        self.time.advance(Duration::from_millis(100));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames == 0
    }
}

type Last = Option<Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>>;

/// How many frames of an [`AlwaysReady`] body pass within five seconds, and what comes after them. There is no runtime:
/// nothing of it waits.
fn read_always_ready(
    frames: u32,
    request: Request<String>,
    content_type: &'static str,
) -> (u32, Last, Dropped) {
    let (time, dropped) = (ManualClock::new(), Dropped::default());
    let body = AlwaysReady { time: time.clone(), frames, _guard: Box::new(dropped.guard()) };
    let response = Response::builder().header("content-type", content_type).body(body).unwrap();
    let mut response = Some(response);
    let service = layer(5)
        .with_clock(Clock::from(time))
        .layer(service_fn(move |_: Request<String>| ready(Ok::<_, Infallible>(response.take().unwrap()))));
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(service.oneshot(request)).poll(cx) else { panic!("it is ready") };
    let mut body = pin!(response.into_body());
    let mut passed = 0;
    loop {
        match http_body::Body::poll_frame(body.as_mut(), cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => passed += 1,
            Poll::Ready(end) => return (passed, end, dropped),
            Poll::Pending => panic!("it is always ready"),
        }
    }
}

#[test]
fn grpc_10_a_body_that_is_always_ready_ends_at_its_deadline_too() {
    let (passed, end, dropped) = read_always_ready(1_000, get(&[]), "text/plain");
    let error = end.unwrap().unwrap_err();
    assert!(!error.downcast_ref::<BodyTimedOut>().unwrap().is_idle());
    assert_eq!((passed, dropped.is()), (49, true), "the fiftieth is there when five seconds have passed");

    let call = grpc(&[("grpc-timeout", "2S")]);
    let (passed, end, dropped) = read_always_ready(1_000, call, "application/grpc");
    let trailers = end.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!((passed, trailers["grpc-status"].to_str().unwrap(), dropped.is()), (19, "4", true));
}

#[test]
fn a_body_that_has_come_to_its_end_is_not_cut_for_its_last_frame() {
    let (passed, end, _) = read_always_ready(50, get(&[]), "text/plain");
    assert_eq!(passed, 50);
    assert!(end.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_body_may_rest_for_so_long_and_a_slow_reader_costs_it_nothing() {
    let timeouts = Timeouts::new(secs(100)).unwrap().with_idle(secs(3)).unwrap();
    let layer = TimeoutLayer::with_timeouts(timeouts).with_clock(clock());
    let (sender, body) = TestBody::channel();
    let response = answering(&layer, body, "text/event-stream").oneshot(get(&[])).await.unwrap();
    let mut body = response.into_body();
    for _ in 0..5 {
        let feed = async {
            sleep(secs(2)).await;
            sender.data("event");
        };
        let (frame, ()) = tokio::join!(body.frame(), feed);
        assert!(frame.unwrap().is_ok());
        sender.data("event");
        sleep(secs(10)).await;
        assert!(body.frame().await.unwrap().is_ok(), "it was there all the time");
    }
    let (frame, elapsed) = timed(body.frame()).await;
    assert!(frame.unwrap().unwrap_err().downcast_ref::<BodyTimedOut>().unwrap().is_idle());
    assert_eq!(elapsed, secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_head_has_a_limit_of_its_own() {
    let timeouts = Timeouts::new(secs(100)).unwrap().with_head(secs(2)).unwrap();
    let layer = TimeoutLayer::with_timeouts(timeouts).with_clock(clock());
    let (response, elapsed) = timed(layer.layer(never(&Dropped::default())).oneshot(get(&[]))).await;
    assert_eq!((response.unwrap().status().as_u16(), elapsed), (504, secs(2)));

    let (_sender, body) = TestBody::channel();
    let response = answering(&layer, body, "text/plain").oneshot(get(&[])).await.unwrap();
    let (frame, elapsed) = timed(response.into_body().frame()).await;
    assert!(frame.unwrap().is_err());
    assert_eq!(elapsed, secs(100), "and the body has the rest");
}

#[test]
fn a_handler_that_is_ready_never_touches_a_timer() {
    // There is no runtime, whose timer could be touched.
    let service = TimeoutLayer::new(secs(5))
        .unwrap()
        .layer(service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::from("[]")))));
    let cx = &mut Context::from_waker(Waker::noop());
    let mut future = pin!(service.oneshot(get(&[("x-request-deadline", "100")])));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(cx) else { panic!("it is ready") };
    let mut body = pin!(response.into_body());
    assert!(matches!(http_body::Body::poll_frame(body.as_mut(), cx), Poll::Ready(Some(Ok(_)))));
}

#[tokio::test(start_paused = true)]
async fn the_wide_event_tells_what_took_too_long() {
    let mut request = get(&[("x-request-deadline", "1500")]);
    let context = RequestContext::of(&mut request);
    context.event().enable();
    layer(5).layer(never(&Dropped::default())).oneshot(request).await.unwrap();
    let mut request = get(&[("x-request-deadline", "soon")]);
    let ignored = RequestContext::of(&mut request);
    ignored.event().enable();
    layer(5).layer(never(&Dropped::default())).oneshot(request).await.unwrap();
    context.event().read(|facts| {
        assert_eq!(
            facts,
            [("deadline.caller_seconds", Fact::from(1.5)), ("deadline.exceeded", Fact::from("head"))]
        );
    });
    ignored.event().read(|facts| {
        assert_eq!(
            facts,
            [("deadline.ignored", Fact::from(true)), ("deadline.exceeded", Fact::from("head"))]
        );
    });
}
