//! `RequestBodyTimeoutLayer`.

use std::{convert::Infallible, future::pending, time::Duration};

use bartizan_core::Rejection;
use bartizan_deadline::{RequestBodyTimeoutLayer, TimedRequestBody, TooSlow};
use bartizan_testkit::{BodySender, TestBody};
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Dropped, clock, secs, timed};

fn layer() -> RequestBodyTimeoutLayer {
    RequestBodyTimeoutLayer::new().with_idle(secs(5)).unwrap().with_clock(clock())
}

fn post() -> (BodySender, Request<TestBody>) {
    let (sender, body) = TestBody::channel();
    (sender, Request::post("/").body(body).unwrap())
}

/// Reads all of the body, and answers with its size.
fn reader()
-> impl Service<Request<TimedRequestBody<TestBody>>, Response = Response<String>, Error = Infallible, Future: Send>
+ Clone {
    service_fn(async |request: Request<TimedRequestBody<TestBody>>| {
        Ok(match request.into_body().collect().await {
            Ok(body) => Response::new(body.to_bytes().len().to_string()),
            Err(error) if error.is::<TooSlow>() => {
                Response::builder().status(400).body(String::new()).unwrap()
            }
            Err(error) => panic!("{error}"),
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_refused_with_408_and_the_connection_closed() {
    for (version, close) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
        let (sender, mut request) = post();
        *request.version_mut() = version;
        sender.data("half");
        let (response, elapsed) = timed(layer().layer(reader()).oneshot(request)).await;
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), elapsed), (408, secs(5)));
        assert_eq!(response.headers().get("connection").is_some_and(|value| value == "close"), close);
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.layer(), Some("request_body_timeout"));
        assert!(sender.is_dropped());
    }
}

#[tokio::test(start_paused = true)]
async fn a_trickle_is_refused_and_a_slow_but_steady_body_is_not() {
    for (bytes, expected) in [(1_usize, 408), (240, 200)] {
        let layer = layer().with_min_rate(200, secs(10)).unwrap();
        let (sender, request) = post();
        let feed = async {
            for _ in 0..60 {
                sleep(secs(1)).await;
                sender.data(vec![b'x'; bytes]);
            }
            sender.finish();
        };
        let call = async {
            let answered = layer.layer(reader()).oneshot(request).await.unwrap();
            (answered.status().as_u16(), tokio::time::Instant::now())
        };
        let begin = tokio::time::Instant::now();
        let ((status, at), ()) = tokio::join!(call, feed);
        assert_eq!(status, expected, "{bytes} bytes per second");
        if expected == 408 {
            assert_eq!((at - begin).as_secs(), 10);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_reads_slowly_costs_the_client_nothing() {
    let slow_reader = service_fn(async |request: Request<TimedRequestBody<TestBody>>| {
        let mut body = request.into_body();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            frame.expect("it was there all the time");
            frames += 1;
            sleep(secs(60)).await;
        }
        Ok::<_, Infallible>(Response::new(frames.to_string()))
    });
    let (sender, request) = post();
    ["a", "b", "c"].into_iter().for_each(|data| sender.data(data));
    sender.finish();
    let response = layer().layer(slow_reader).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "3");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_elsewhere_ends_the_request_too() {
    let dropped = Dropped::default();
    let seen = dropped.clone();
    let spawning = service_fn(move |request: Request<TimedRequestBody<TestBody>>| {
        let guard = seen.guard();
        async move {
            let _guard = guard;
            tokio::spawn(request.into_body().collect());
            pending::<Result<Response<String>, Infallible>>().await
        }
    });
    let (_sender, request) = post();
    let (response, elapsed) = timed(layer().layer(spawning).oneshot(request)).await;
    assert_eq!((response.unwrap().status().as_u16(), elapsed), (408, secs(5)));
    assert!(dropped.is(), "the handler does not go on with half a body");
}

fn call(path: &str, version: Version, kind: &str) -> (BodySender, Request<TestBody>) {
    let (sender, body) = TestBody::channel();
    let request = Request::post(path).version(version).header("content-type", kind);
    (sender, request.body(body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_only_says_that_it_is_grpc_is_held_to_the_pace() {
    for (path, version, kind) in [
        ("/shop.Orders/Import", Version::HTTP_11, "application/grpc"),
        ("/raw", Version::HTTP_2, "application/grpc"),
        ("/shop.Orders/Import", Version::HTTP_11, "application/grpc-web"),
    ] {
        let (sender, request) = call(path, version, kind);
        sender.data("half");
        let (response, elapsed) = timed(layer().layer(reader()).oneshot(request)).await;
        let rejection = response.unwrap().extensions().get::<Rejection>().cloned().unwrap();
        assert_eq!((rejection.reason().code(), elapsed), ("request_timeout", secs(5)), "{path} {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_streams_may_rest_unless_they_are_held_to_the_pace_too() {
    for (layer, status) in [(layer(), None), (layer().with_grpc(), Some("4"))] {
        let (sender, request) = call("/shop.Orders/Import", Version::HTTP_2, "application/grpc");
        let feed = async {
            sleep(secs(600)).await;
            sender.data("message");
            sender.finish();
        };
        let (response, ()) = tokio::join!(layer.layer(reader()).oneshot(request), feed);
        let response = response.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get("grpc-status").map(|status| status.to_str().unwrap()), status);
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_head_of_the_response_the_body_fails_and_no_more() {
    let echo = service_fn(async |request: Request<TimedRequestBody<TestBody>>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let (sender, request) = post();
    let mut body = layer().layer(echo).oneshot(request).await.unwrap().into_body();
    sender.data("one");
    assert!(body.frame().await.unwrap().is_ok());
    let (frame, elapsed) = timed(body.frame()).await;
    assert!(frame.unwrap().unwrap_err().is::<TooSlow>());
    assert_eq!(elapsed, secs(5));
    assert!(body.frame().await.is_none());
}

#[test]
fn lay_06_a_pace_that_cannot_work_is_refused() {
    assert_eq!(layer().with_idle(Duration::ZERO).unwrap_err().field(), "idle");
    assert_eq!(layer().with_min_rate(0, secs(1)).unwrap_err().field(), "rate");
    assert_eq!(layer().with_min_rate(1, Duration::ZERO).unwrap_err().field(), "grace");
}
