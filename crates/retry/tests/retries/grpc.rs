//! gRPC: RT-08, GRPC-12, GRPC-13, and RT-03 where it speaks of codes.

use std::io::ErrorKind;

use bartizan_core::GrpcCode;
use bartizan_retry::{
    Again, Attempt, AttemptOutcome, Attempts, Backoff, Budget, Decision, HedgeLayer, Idempotent, Policy,
    RetryBody, RetryLayer, RetryReason, StandardPolicy,
};
use bartizan_testkit::{Probe, Script, TestBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service};

use crate::support::{Answer, MS, SECOND, Upstream, call, fail, grpc, response, status};

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

#[tokio::test(start_paused = true)]
async fn rt_03_of_the_codes_only_unavailable_is_retried() {
    for code in 0..=16 {
        let upstream = Upstream::always(move || grpc(&code.to_string(), &[]));
        let response = upstream.send(&quick(), call()).await.unwrap();
        assert_eq!(upstream.called(), if code == 14 { 3 } else { 1 }, "{code}");
        assert_eq!(response.headers()["grpc-status"], code.to_string());
    }
    let policy = StandardPolicy::new()
        .with_grpc_code(GrpcCode::ResourceExhausted)
        .unwrap()
        .without_grpc_code(GrpcCode::Unavailable);
    for (code, expected) in [("8", 3), ("14", 1)] {
        let upstream = Upstream::always(move || grpc(code, &[]));
        upstream.send(&quick().with_policy(policy.clone()), call()).await.unwrap();
        assert_eq!(upstream.called(), expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_03_what_amounts_to_unavailable_is_retried_too() {
    for answer in
        [fail(ErrorKind::ConnectionRefused), fail(ErrorKind::ConnectionReset), status(503), status(429)]
    {
        let upstream = Upstream::new([answer]);
        assert_eq!(upstream.send(&quick(), call()).await.unwrap().status(), 200);
        assert_eq!(upstream.called(), 2);
    }
    for code in [400, 401, 403, 404, 500] {
        let upstream = Upstream::always(move || status(code));
        upstream.send(&quick(), call()).await.unwrap();
        assert_eq!(upstream.called(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_08_the_attempts_before_are_told_from_the_second_on_and_never_more_than_five_are_made() {
    let upstream = Upstream::always(|| grpc("14", &[]));
    let response = upstream.send(&quick().with_max_attempts(9).unwrap(), call()).await.unwrap();
    let told: Vec<_> = upstream
        .seen()
        .iter()
        .map(|seen| seen.header("grpc-previous-rpc-attempts").map(ToOwned::to_owned))
        .collect();
    assert_eq!(told, [None, Some("1".into()), Some("2".into()), Some("3".into()), Some("4".into())]);
    assert_eq!(response.extensions().get::<Attempts>().unwrap().get(), 5);
}

#[tokio::test(start_paused = true)]
async fn rt_12_a_call_that_was_attempted_before_is_not_retried() {
    let attempted = || {
        let mut request = call();
        request.headers_mut().insert("grpc-previous-rpc-attempts", HeaderValue::from_static("1"));
        request
    };
    let upstream = Upstream::always(|| grpc("14", &[]));
    upstream.send(&quick(), attempted()).await.unwrap();
    assert_eq!(upstream.called(), 1);
    assert_eq!(upstream.seen()[0].header("grpc-previous-rpc-attempts"), Some("1"), "it is passed on");
}

#[tokio::test(start_paused = true)]
async fn rt_08_a_pushback_is_waited_for_exactly_and_resets_the_backoff() {
    let backoff = Backoff::grpc(SECOND, 100 * SECOND, 10.0).unwrap();
    let layer = RetryLayer::new().with_backoff(backoff).with_max_attempts(5).unwrap();
    let pushback = |millis: &'static str| grpc("14", &[("grpc-retry-pushback-ms", millis)]);
    let upstream = Upstream::new([grpc("14", &[]), grpc("14", &[]), pushback("2500"), grpc("14", &[])]);
    upstream.send(&layer, call()).await.unwrap();
    let waits = upstream.waits();
    assert!((800 * MS..=1_201 * MS).contains(&waits[0]), "{waits:?}");
    assert!((8_000 * MS..=12_001 * MS).contains(&waits[1]), "{waits:?}");
    assert_eq!(waits[2], 2_500 * MS);
    assert!((800 * MS..=1_201 * MS).contains(&waits[3]), "it begins anew: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn rt_08_a_pushback_that_says_no_or_nothing_ends_the_call() {
    for (millis, expected) in [("0", 2), ("30000", 2), ("30001", 1), ("-1", 1), ("soon", 1), ("", 1)] {
        let upstream = Upstream::new([grpc("14", &[("grpc-retry-pushback-ms", millis)])]);
        upstream.send(&quick(), call()).await.unwrap();
        assert_eq!(upstream.called(), expected, "{millis:?}");
    }
    let upstream = Upstream::new([grpc("5", &[("grpc-retry-pushback-ms", "0")])]);
    upstream.send(&quick(), call()).await.unwrap();
    assert_eq!(upstream.called(), 1, "a pushback makes no code one that is retried");
}

/// A response whose status is in its trailers.
fn trailing(code: &'static str, extra: &[(&'static str, &'static str)]) -> Answer {
    let (sender, body) = TestBody::channel();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    for (name, value) in extra {
        trailers.insert(*name, HeaderValue::from_static(value));
    }
    sender.trailers(trailers);
    sender.finish();
    Answer::Respond(response(200, &[("content-type", "application/grpc")], body))
}

#[tokio::test(start_paused = true)]
async fn rt_08_a_call_whose_response_has_begun_is_committed() {
    let upstream = Upstream::new([trailing("14", &[])]);
    let response = upstream.send(&quick(), call()).await.unwrap();
    assert_eq!((upstream.called(), response.status().as_u16()), (1, 200));
}

#[tokio::test(start_paused = true)]
async fn grpc_12_trailers_pass_and_te_is_kept() {
    use http_body_util::BodyExt;
    let upstream = Upstream::new([grpc("14", &[]), trailing("0", &[("x-checksum", "abc")])]);
    let mut service = quick().layer(upstream.clone());
    std::future::poll_fn(|cx| Service::<Request<Full<Bytes>>>::poll_ready(&mut service, cx)).await.unwrap();
    let response = service.call(call()).await.unwrap();
    let trailers = response.into_body().collect().await.unwrap().trailers().cloned().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-checksum"]),
        (&"0".parse().unwrap(), &"abc".parse().unwrap())
    );
    assert!(upstream.seen().iter().all(|seen| seen.header("te") == Some("trailers")));
}

#[tokio::test(start_paused = true)]
async fn grpc_13_a_streamed_response_is_handed_on_at_once_and_frame_by_frame() {
    let script = Script::ready();
    let mut service = quick().layer(script.service());
    std::future::poll_fn(|cx| Service::<Request<Full<Bytes>>>::poll_ready(&mut service, cx)).await.unwrap();
    let mut future = Box::pin(service.call(call()));
    let probe = Probe::new();
    assert!(probe.poll(|cx| future.as_mut().poll(cx)).is_pending());
    let (sender, body) = TestBody::channel();
    let reached = script.next_call().unwrap();
    reached.reply.send(Ok(response(200, &[("content-type", "application/grpc")], body)));
    let std::task::Poll::Ready(Ok(response)) = probe.poll(|cx| future.as_mut().poll(cx)) else {
        panic!("the head is there")
    };
    let mut body = Box::pin(response.into_body());
    for message in ["one", "two"] {
        assert!(probe.poll(|cx| body.as_mut().poll_frame(cx)).is_pending());
        sender.data(message);
        assert!(probe.poll(|cx| body.as_mut().poll_frame(cx)).is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_13_the_throttle_learns_from_the_trailers() {
    // Five of ten tokens gone, and nothing is retried any more.
    let layer = quick().with_budget(Budget::grpc_throttle(10, 1.0).unwrap());
    let is_retried = async || {
        let upstream = Upstream::new([grpc("14", &[])]);
        upstream.send(&layer, call()).await.unwrap();
        upstream.called() == 2
    };
    for _ in 0..4 {
        Upstream::new([trailing("14", &[])]).send(&layer, call()).await.unwrap();
    }
    for code in ["5", "2", "13"] {
        Upstream::new([trailing(code, &[])]).send(&layer, call()).await.unwrap();
    }
    // Its own failure is the fifth; codes that are not retried took nothing before.
    assert!(!is_retried().await);
    Upstream::new([trailing("0", &[])]).send(&layer, call()).await.unwrap();
    Upstream::new([trailing("0", &[])]).send(&layer, call()).await.unwrap();
    assert!(is_retried().await, "seven, and six after its failure; its success is another");
    // A pushback that says no takes a token whatever the code.
    for _ in 0..2 {
        Upstream::new([trailing("5", &[("grpc-retry-pushback-ms", "-1")])])
            .send(&layer, call())
            .await
            .unwrap();
    }
    assert!(!is_retried().await);
}

#[tokio::test(start_paused = true)]
async fn rt_08_what_is_retried_transparently_takes_no_token() {
    let standard = StandardPolicy::new();
    let policy = move |attempt: &Attempt<'_>| match attempt.outcome() {
        AttemptOutcome::Response(response) if response.status() == 503 => {
            Decision::Retry(Again::new(RetryReason::NotProcessed))
        }
        _ => standard.decide(attempt),
    };
    // At half of three tokens nothing is retried; successes give next to nothing.
    let layer = quick().with_policy(policy).with_budget(Budget::grpc_throttle(3, 0.001).unwrap());
    for _ in 0..10 {
        let upstream = Upstream::new([status(503), grpc("0", &[])]);
        upstream.send(&layer, call()).await.unwrap();
        assert_eq!(upstream.called(), 2);
    }
    // The second that was not processed is no transparent retry any more, and takes the one token that may go.
    for expected in [3, 2] {
        let upstream = Upstream::new([status(503), status(503), grpc("0", &[])]);
        upstream.send(&layer, call()).await.unwrap();
        assert_eq!(upstream.called(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn rt_11_a_call_that_takes_too_long_is_repeated_where_that_is_allowed() {
    let layer = quick().with_attempt_timeout(SECOND).unwrap();
    let upstream = Upstream::always(|| Answer::Never);
    let response = upstream.send(&layer, call()).await.unwrap();
    assert_eq!((upstream.called(), &response.headers()["grpc-status"]), (1, &HeaderValue::from_static("4")));
    let mut request = call();
    request.extensions_mut().insert(Idempotent);
    let upstream = Upstream::new([Answer::Never, grpc("0", &[])]);
    let response = upstream.send(&layer, request).await.unwrap();
    assert_eq!((upstream.called(), &response.headers()["grpc-status"]), (2, &HeaderValue::from_static("0")));
}

/// A call of gRPC-Web.
fn web_call() -> Request<Full<Bytes>> {
    let mut request = call();
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc-web+proto"));
    request.extensions_mut().insert(Idempotent);
    request
}

/// A response to one, whose status is in its last frame; cut into pieces, as a network may.
fn web(status: &str) -> Answer {
    let trailers = format!("grpc-status: {status}\r\n");
    let frames =
        [b"\0\0\0\0\x05hello\x80\0\0\0".as_slice(), &[trailers.len() as u8], trailers.as_bytes()].concat();
    let (sender, body) = TestBody::channel();
    frames.chunks(7).for_each(|piece| sender.data(piece.to_vec()));
    sender.finish();
    Answer::Respond(response(200, &[("content-type", "application/grpc-web+proto")], body))
}

#[tokio::test(start_paused = true)]
async fn grpc_13_the_throttle_learns_from_the_last_frame_of_grpc_web() {
    async fn learns<L>(layer: L)
    where
        L: Layer<Upstream>,
        L::Service:
            Service<Request<Full<Bytes>>, Response = Response<RetryBody<TestBody>>, Error = std::io::Error>,
    {
        let end_with = async |status| {
            let answer = Upstream::new([web(status)]).send(&layer, web_call()).await.unwrap();
            assert_eq!(answer.body().len(), 5 + 5 + 5 + "grpc-status: \r\n".len() + status.len());
        };
        // Takes a token, and gives none.
        let is_retried = async || {
            let upstream = Upstream::new([grpc("14", &[]), grpc("5", &[])]);
            upstream.send(&layer, web_call()).await.unwrap();
            upstream.called() == 2
        };
        // Of four tokens, at two nothing is retried.
        assert!(is_retried().await);
        assert!(!is_retried().await);
        end_with("5").await;
        assert!(
            !is_retried().await,
            "one is left, and neither that nor a code that is not retried gives any"
        );
        for _ in 0..3 {
            end_with("0").await;
        }
        assert!(is_retried().await, "successes do");
        end_with("0").await;
        end_with("14").await;
        assert!(!is_retried().await, "and a failure takes one");
    }
    let throttle = || Budget::grpc_throttle(4, 1.0).unwrap();
    learns(quick().with_budget(throttle())).await;
    learns(HedgeLayer::after(SECOND).unwrap().with_budget(throttle())).await;
}

#[tokio::test(start_paused = true)]
async fn grpc_14_web_calls_are_judged_by_their_status_too() {
    let upstream = Upstream::new([Answer::Respond(response(
        200,
        &[("content-type", "application/grpc-web+proto"), ("grpc-status", "14")],
        TestBody::empty(),
    ))]);
    let mut request = call();
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc-web+proto"));
    let response: Response<_> = upstream.send(&quick(), request).await.unwrap();
    assert_eq!((upstream.called(), response.status().as_u16()), (2, 200));
}
