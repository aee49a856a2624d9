//! What is retried: RT-01, RT-02, RT-03, RT-06, RT-12, RT-13, RT-14.

use std::{
    convert::Infallible,
    io::ErrorKind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bartizan_core::{ClientLayer, Reason, Rejection, RequestContext, ResendCount, phase::Phase};
use bartizan_retry::{
    Again, Attempt, AttemptOutcome, Attempts, Backoff, Decision, Idempotent, InboundRetryLayer, Policy,
    ReplayBody, RetryLayer, RetryReason, StandardPolicy,
};
use bartizan_testkit::TestBody;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Answer, SECOND, Upstream, fail, get, grpc, post, response, status, status_with};

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

fn attempts<B>(response: &Response<B>) -> u32 {
    response.extensions().get::<Attempts>().map_or(1, |attempts| attempts.get())
}

#[tokio::test(start_paused = true)]
async fn rt_01_methods_that_may_be_repeated_are_and_others_are_not() {
    for (method, expected) in [
        ("GET", 2),
        ("HEAD", 2),
        ("OPTIONS", 2),
        ("TRACE", 2),
        ("PUT", 2),
        ("DELETE", 2),
        ("QUERY", 2),
        ("POST", 1),
        ("PATCH", 1),
        ("CONNECT", 1),
        ("LOCK", 1),
    ] {
        for answer in [status(503), fail(ErrorKind::ConnectionReset)] {
            let upstream = Upstream::new([answer]);
            let request = Request::builder().method(method).uri("http://a.example/");
            let _ = upstream.send(&quick(), request.body(Full::<Bytes>::from("x")).unwrap()).await;
            assert_eq!(upstream.called(), expected, "{method}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rt_01_an_idempotency_key_or_a_mark_makes_a_post_repeatable_and_the_key_stays() {
    let upstream = Upstream::new([status(503)]);
    let mut request = post("order");
    request.headers_mut().insert("idempotency-key", HeaderValue::from_static("\"k-1\""));
    assert_eq!(upstream.send(&quick(), request).await.unwrap().status(), 200);
    let keys: Vec<_> =
        upstream.seen().iter().map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys, ["\"k-1\"", "\"k-1\""]);

    let upstream = Upstream::new([status(503)]);
    let mut request = post("order");
    request.extensions_mut().insert(Idempotent);
    assert_eq!(upstream.send(&quick(), request).await.unwrap().status(), 200);
    assert_eq!(upstream.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn rt_01_a_minted_key_is_one_for_all_attempts_and_another_for_the_next_call() {
    let layer = quick().with_idempotency_keys();
    let upstream = Upstream::new([status(503), fail(ErrorKind::ConnectionReset), status(200)]);
    for _ in 0..2 {
        upstream.send(&layer, post("order")).await.unwrap();
    }
    let keys: Vec<_> =
        upstream.seen().iter().map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
    // A Structured Field string that holds a random UUID.
    let key = &keys[0];
    assert_eq!((key.len(), &key[..1], &key[37..], &key[15..16]), (38, "\"", "\"", "4"), "{key}");

    let upstream = Upstream::new([]);
    let mut request = post("order");
    request.headers_mut().insert("idempotency-key", HeaderValue::from_static("\"mine\""));
    upstream.send(&layer, request).await.unwrap();
    upstream.send(&layer, get()).await.unwrap();
    upstream.send(&layer, crate::support::call()).await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen[0].header("idempotency-key"), Some("\"mine\""));
    assert!(seen[1].header("idempotency-key").is_none(), "a GET needs none");
    assert!(seen[2].header("idempotency-key").is_none(), "nor does gRPC know it");
}

#[tokio::test(start_paused = true)]
async fn rt_02_what_was_surely_not_processed_is_repeated_whatever_the_method() {
    for answer in [fail(ErrorKind::ConnectionRefused), status(421), status(425)] {
        let upstream = Upstream::new([answer]);
        let response = upstream.send(&quick(), post("order")).await.unwrap();
        assert_eq!((response.status(), attempts(&response)), (StatusCode::OK, 2));
        assert!(upstream.seen().iter().all(|seen| seen.body == "order" && seen.method == "POST"));
    }
}

#[tokio::test(start_paused = true)]
async fn rt_02_421_and_425_are_repeated_once() {
    for code in [421, 425] {
        let upstream = Upstream::always(move || status(code));
        let layer = quick().with_max_attempts(10).unwrap();
        let response = upstream.send(&layer, get()).await.unwrap();
        assert_eq!((response.status().as_u16(), upstream.called()), (code, 2));
    }
    let upstream = Upstream::new([status(425), status(421), status(425), status(200)]);
    let response = upstream.send(&quick().with_max_attempts(10).unwrap(), get()).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (425, 3), "once each");
}

#[tokio::test(start_paused = true)]
async fn rt_03_the_statuses_that_are_retried() {
    for code in 200..600 {
        let upstream = Upstream::always(move || status(code));
        let response = upstream.send(&quick(), get()).await.unwrap();
        let expected = match code {
            408 | 429 | 502 | 503 | 504 => 3,
            421 | 425 => 2,
            _ => 1,
        };
        assert_eq!(upstream.called(), expected, "{code}");
        assert_eq!(response.status().as_u16(), code);
    }
    let policy = StandardPolicy::new()
        .with_status(StatusCode::INTERNAL_SERVER_ERROR)
        .unwrap()
        .without_status(StatusCode::TOO_MANY_REQUESTS);
    for (code, expected) in [(500, 3), (429, 1), (503, 3)] {
        let upstream = Upstream::always(move || status(code));
        upstream.send(&quick().with_policy(policy.clone()), get()).await.unwrap();
        assert_eq!(upstream.called(), expected, "{code}");
    }
}

#[test]
fn rt_03_never_501_505_or_what_the_request_itself_is_to_blame_for() {
    for code in [200, 304, 400, 401, 403, 404, 413, 422, 501, 505] {
        let error = StandardPolicy::new().with_status(StatusCode::from_u16(code).unwrap()).unwrap_err();
        assert_eq!(error.field(), "status");
    }
    for code in [408, 409, 423, 424, 429, 500, 507, 529] {
        assert!(StandardPolicy::new().with_status(StatusCode::from_u16(code).unwrap()).is_ok(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_06_the_first_attempt_counts_and_three_are_the_default() {
    for (max, expected) in [(None, 3), (Some(1), 1), (Some(2), 2), (Some(7), 7)] {
        let layer = max.map_or_else(quick, |max| quick().with_max_attempts(max).unwrap());
        let upstream = Upstream::always(|| status(503));
        let response = upstream.send(&layer, get()).await.unwrap();
        assert_eq!((upstream.called(), attempts(&response)), (expected, expected as u32));
    }
}

#[tokio::test(start_paused = true)]
async fn rt_13_the_last_response_or_error_is_returned_as_it_came() {
    let last = || response(503, &[("x-from", "upstream")], TestBody::full("down for an hour"));
    let upstream = Upstream::new([status(502), status(504), Answer::Respond(last())]);
    let response = upstream.send(&quick(), get()).await.unwrap();
    assert_eq!((response.status().as_u16(), attempts(&response)), (503, 3));
    assert_eq!(
        (&response.headers()["x-from"], &response.body()[..]),
        (&"upstream".parse().unwrap(), &b"down for an hour"[..])
    );

    let upstream = Upstream::new([status(502), status(504), fail(ErrorKind::BrokenPipe)]);
    assert_eq!(upstream.send(&quick(), get()).await.unwrap_err().kind(), ErrorKind::BrokenPipe);

    let upstream = Upstream::new([]);
    let response = upstream.send(&quick(), get()).await.unwrap();
    assert!(response.extensions().get::<Attempts>().is_none(), "one attempt leaves no trace");
}

#[tokio::test(start_paused = true)]
async fn obs_04_what_is_sent_again_tells_how_often_it_was() {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let upstream = service_fn(|request: Request<ReplayBody<Full<Bytes>>>| {
        counts.lock().unwrap().push(request.extensions().get::<ResendCount>().map(|count| count.get()));
        async { Ok::<_, Infallible>(Response::builder().status(503).body(Full::<Bytes>::default()).unwrap()) }
    });
    let client = quick().layer(upstream);
    assert_eq!(client.oneshot(get()).await.unwrap().status(), 503);
    assert_eq!(*counts.lock().unwrap(), [None, Some(1), Some(2)]);
}

#[tokio::test(start_paused = true)]
async fn rt_13_the_request_is_the_same_in_each_attempt() {
    let upstream = Upstream::new([status(503), fail(ErrorKind::ConnectionReset)]);
    let mut request = get();
    request.headers_mut().append("x-a", HeaderValue::from_static("1"));
    request.headers_mut().append("x-a", HeaderValue::from_static("2"));
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    upstream.send(&quick(), request).await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.uri == uri && seen.headers == headers));
}

#[tokio::test(start_paused = true)]
async fn rt_12_a_retry_of_those_who_asked_us_is_not_retried() {
    let header = HeaderName::from_static("x-attempt");
    let layer = quick().with_attempt_header(header.clone()).unwrap();
    let upstream = Upstream::always(|| status(503));
    upstream.send(&layer, get()).await.unwrap();
    let sent: Vec<_> =
        upstream.seen().iter().map(|seen| seen.header("x-attempt").map(ToOwned::to_owned)).collect();
    assert_eq!(sent, [None, Some("1".into()), Some("2".into())]);

    let retried = || {
        let mut request = get();
        request.headers_mut().insert(&header, HeaderValue::from_static("1"));
        request
    };
    let upstream = Upstream::always(|| status(503));
    upstream.send(&layer, retried()).await.unwrap();
    assert_eq!(upstream.called(), 1);
    upstream.send(&layer.with_nested_retries(), retried()).await.unwrap();
    assert_eq!(upstream.called(), 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn rt_12_calls_made_for_a_request_that_is_a_retry_are_not_retried() {
    let mut request = get();
    RequestContext::of(&mut request).set_retry();
    let upstream = Upstream::always(|| status(503));
    upstream.send(&quick(), request).await.unwrap();
    assert_eq!(upstream.called(), 1);
}

#[cfg(feature = "scope")]
#[tokio::test(start_paused = true)]
async fn rt_12_the_request_that_is_served_is_found_in_the_scope() {
    let served = RequestContext::of(&mut crate::support::call());
    served.set_retry();
    let upstream = Upstream::always(|| status(503));
    let layer = quick();
    bartizan_core::Scoped::new(served, upstream.send(&layer, get())).await.unwrap();
    assert_eq!(upstream.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn rt_14_a_refusal_of_a_layer_of_ours_is_not_retried() {
    for reason in
        [Reason::CircuitOpen, Reason::RateLimited, Reason::Overloaded, Reason::DependencyUnavailable]
    {
        let upstream = Upstream::always(move || {
            Answer::Respond(Rejection::new(reason).answer::<_, TestBody>(&get()).map(TestBody::new))
        });
        let response = upstream.send(&quick(), get()).await.unwrap();
        assert_eq!(upstream.called(), 1, "{reason:?}");
        assert_eq!(response.extensions().get::<Rejection>().unwrap().reason(), reason);
    }
}

#[tokio::test(start_paused = true)]
async fn rt_14_a_timeout_of_a_layer_of_ours_is_like_one_of_this_layer() {
    let timeout = || {
        let rejection = Rejection::new(Reason::DeadlineExceeded).with_layer("timeout");
        Answer::Respond(rejection.answer::<_, TestBody>(&get()).map(TestBody::new))
    };
    let upstream = Upstream::always(timeout);
    let response = upstream.send(&quick(), get()).await.unwrap();
    assert_eq!((upstream.called(), response.status().as_u16()), (3, 504));
    assert_eq!(response.extensions().get::<Rejection>().unwrap().layer(), Some("timeout"));
    let upstream = Upstream::always(timeout);
    upstream.send(&quick(), post("order")).await.unwrap();
    assert_eq!(upstream.called(), 1, "it may have been processed");
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_your_own_sees_head_outcome_number_and_time() {
    let asked = Arc::new(AtomicU32::new(0));
    let standard = StandardPolicy::new();
    let policy = {
        let asked = Arc::clone(&asked);
        move |attempt: &Attempt<'_>| {
            let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
            assert_eq!(attempt.number(), number);
            assert_eq!(attempt.elapsed(), (number - 1) * SECOND);
            assert_eq!(attempt.head().header(&HeaderName::from_static("x-tenant")).unwrap(), "blue");
            assert_eq!((attempt.head().method().as_str(), attempt.head().path()), ("POST", "/orders"));
            match attempt.outcome() {
                AttemptOutcome::Response(response) if response.status() == 404 => {
                    Decision::Retry(Again::new(RetryReason::Policy).exactly(SECOND))
                }
                _ => standard.decide(attempt),
            }
        }
    };
    let upstream = Upstream::new([status(404), status(404), status_with(503, &[])]);
    let mut request = post("order");
    request.headers_mut().insert("x-tenant", HeaderValue::from_static("blue"));
    let layer = RetryLayer::new().with_max_attempts(9).unwrap().with_policy(policy);
    assert_eq!(upstream.send(&layer, request).await.unwrap().status(), 503);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "the standard policy does not repeat a POST");
    assert_eq!(upstream.waits(), [SECOND, SECOND]);
}

#[test]
fn lay_06_what_cannot_work_is_refused_with_its_field() {
    let layer = RetryLayer::new;
    let fields = [
        layer().with_max_attempts(0).unwrap_err(),
        layer().with_max_attempts(101).unwrap_err(),
        layer().with_attempt_timeout(Duration::ZERO).unwrap_err(),
        layer().with_total_timeout(Duration::ZERO).unwrap_err(),
        layer().with_total_timeout(86_401 * SECOND).unwrap_err(),
        layer().with_min_remaining(61 * SECOND).unwrap_err(),
        layer().with_attempt_header(http::header::HOST).unwrap_err(),
        InboundRetryLayer::new(http::header::HOST).unwrap_err(),
        layer().with_name("not a label").unwrap_err(),
        StandardPolicy::new().with_max_retry_after(86_401 * SECOND).unwrap_err(),
        StandardPolicy::new().with_grpc_code(bartizan_core::GrpcCode::Ok).unwrap_err(),
    ];
    assert_eq!(
        fields.map(|error| error.field()),
        [
            "max_attempts",
            "max_attempts",
            "attempt_timeout",
            "total_timeout",
            "total_timeout",
            "min_remaining",
            "attempt_header",
            "attempt_header",
            "name",
            "max_retry_after",
            "code"
        ]
    );
    assert_eq!(<RetryLayer as ClientLayer>::Phase::NAME, "retry");
}

/// Notes what it is shown, and lets pass what is below a status.
struct Watching {
    shown: Arc<AtomicU32>,
    below: u16,
}

impl Policy for Watching {
    fn decide(&self, _: &Attempt<'_>) -> Decision {
        self.shown.fetch_add(1, Ordering::Relaxed);
        Decision::Return
    }

    fn passes(&self, status: StatusCode) -> bool {
        status.as_u16() < self.below
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_shown_what_it_does_not_let_pass_and_of_grpc_everything() {
    let answers = || [status(200), status(302), status(404)];
    for (below, expected) in [(0, 3), (300, 2), (400, 1)] {
        let shown = Arc::new(AtomicU32::new(0));
        let layer = quick().with_policy(Watching { shown: Arc::clone(&shown), below });
        let upstream = Upstream::new(answers());
        for status in [200, 302, 404] {
            assert_eq!(upstream.send(&layer, get()).await.unwrap().status(), status);
        }
        assert_eq!(shown.load(Ordering::Relaxed), expected, "all but those below {below}");
    }

    let shown = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&shown);
    let layer = quick().with_policy(move |_: &Attempt<'_>| {
        counter.fetch_add(1, Ordering::Relaxed);
        Decision::Return
    });
    let upstream = Upstream::new(answers());
    for _ in answers() {
        upstream.send(&layer, get()).await.unwrap();
    }
    assert_eq!(shown.load(Ordering::Relaxed), 3, "a closure is shown all");

    let shown = Arc::new(AtomicU32::new(0));
    let layer = quick().with_policy(Watching { shown: Arc::clone(&shown), below: 600 });
    Upstream::new([grpc("0", &[])]).send(&layer, crate::support::call()).await.unwrap();
    assert_eq!(shown.load(Ordering::Relaxed), 1);
}
