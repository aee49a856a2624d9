//! RT-09: a second copy where the first is slow.

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer};
use bartizan_core::{
    ClientLayer, Deadline, Fact, Reason, Rejection, RequestContext, ResendCount, phase::Phase,
};
use bartizan_retry::{Attempts, Budget, HedgeLayer, Idempotent, ReplayBody, RetryLayer};
use bartizan_testkit::{TestBody, TestError};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{
    Answer, Frames, MS, SECOND, Upstream, call, fail, get, grpc, post, response, status, status_with,
};

/// After 100 ms.
fn hedge() -> HedgeLayer {
    HedgeLayer::after(100 * MS).unwrap()
}

fn marked() -> Request<Full<Bytes>> {
    let mut request = call();
    request.extensions_mut().insert(Idempotent);
    request
}

/// A request that has so much time.
fn with_time(mut request: Request<Full<Bytes>>, time: Duration) -> Request<Full<Bytes>> {
    let deadline = Deadline::at((Instant::now() + time).into_std());
    RequestContext::of(&mut request).tighten_deadline(deadline);
    request
}

fn attempts<B>(response: &Response<B>) -> u32 {
    response.extensions().get::<Attempts>().map_or(1, |attempts| attempts.get())
}

/// What a layer of ours answers.
fn refusal(reason: Reason) -> Answer {
    Answer::Respond(Rejection::new(reason).answer::<_, TestBody>(&get()).map(TestBody::new))
}

fn refused() -> Answer {
    refusal(Reason::CircuitOpen)
}

fn ok_from(name: &'static str) -> Answer {
    status_with(200, &[("x-from", name)])
}

#[tokio::test(start_paused = true)]
async fn obs_04_a_copy_tells_how_many_were_sent_before() {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let upstream = service_fn(|request: Request<ReplayBody<Full<Bytes>>>| {
        counts.lock().unwrap().push(request.extensions().get::<ResendCount>().map(|count| count.get()));
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let client = hedge().layer(upstream);
    assert!(tokio::time::timeout(10 * SECOND, client.oneshot(get())).await.is_err());
    assert_eq!(counts.lock().unwrap()[..2], [None, Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn obs_04_copies_of_a_later_attempt_are_counted_beside_it() {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let upstream = service_fn(|request: Request<ReplayBody<ReplayBody<Full<Bytes>>>>| {
        counts.lock().unwrap().push(request.extensions().get::<ResendCount>().map(|count| count.get()));
        async {
            sleep(3 * SECOND).await;
            Ok::<_, Infallible>(Response::builder().status(503).body(Full::<Bytes>::default()).unwrap())
        }
    });
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new().with_max_attempts(2).unwrap())
        .layer(HedgeLayer::after(SECOND).unwrap())
        .service(upstream);
    assert_eq!(client.oneshot(get()).await.unwrap().status(), 503);
    assert_eq!(*counts.lock().unwrap(), [None, Some(1), Some(1), Some(2)]);
}

#[tokio::test(start_paused = true)]
async fn rt_09_a_fast_answer_has_no_copy_and_a_slow_one_has() {
    let upstream = Upstream::new([ok_from("first").after(99 * MS)]);
    let answer = upstream.send(&hedge(), get()).await.unwrap();
    assert_eq!((upstream.called(), attempts(&answer)), (1, 1));

    let upstream = Upstream::new([ok_from("first").after(10 * SECOND), ok_from("second").after(50 * MS)]);
    let start = Instant::now();
    let answer = upstream.send(&hedge(), get()).await.unwrap();
    assert_eq!((answer.headers()["x-from"].to_str().unwrap(), attempts(&answer)), ("second", 2));
    assert_eq!((start.elapsed(), upstream.waits()), (150 * MS, vec![100 * MS]));

    // The first may still win.
    let upstream = Upstream::new([ok_from("first").after(120 * MS), ok_from("second").after(50 * MS)]);
    let answer = upstream.send(&hedge(), get()).await.unwrap();
    assert_eq!((&answer.headers()["x-from"], attempts(&answer)), (&HeaderValue::from_static("first"), 2));
}

#[tokio::test(start_paused = true)]
async fn rt_09_only_what_is_safe_to_repeat_has_copies() {
    for (request, expected) in [(get(), 2), (post("order"), 1), (call(), 1), (marked(), 2)] {
        let upstream = Upstream::new([status(200).after(SECOND)]);
        upstream.send(&hedge(), request).await.unwrap();
        assert_eq!(upstream.called(), expected);
    }
    let upstream = Upstream::new([status(200).after(SECOND)]);
    upstream.send(&hedge().with_all_grpc_calls(), call()).await.unwrap();
    assert_eq!(upstream.called(), 2);
    let mut request = marked();
    request.headers_mut().insert("grpc-previous-rpc-attempts", HeaderValue::from_static("1"));
    let upstream = Upstream::new([status(200).after(SECOND)]);
    upstream.send(&hedge(), request).await.unwrap();
    assert_eq!(upstream.called(), 1, "RT-12");
}

#[tokio::test(start_paused = true)]
async fn rt_09_the_first_success_cancels_the_others() {
    let (sender, body) = TestBody::channel();
    let slow = Answer::Respond(response(200, &[], body)).after(SECOND);
    let upstream = Upstream::new([slow, status(200).after(MS)]);
    upstream.send(&hedge(), get()).await.unwrap();
    assert!(sender.is_dropped(), "it went with the copy that lost");
}

#[tokio::test(start_paused = true)]
async fn rt_09_copies_follow_each_other_after_the_delay() {
    let upstream = Upstream::always(|| status(200).after(SECOND));
    let layer = hedge().with_max_attempts(4).unwrap();
    let answer = upstream.send(&layer, get()).await.unwrap();
    assert_eq!((upstream.waits(), attempts(&answer)), (vec![100 * MS; 3], 4));
}

#[tokio::test(start_paused = true)]
async fn rt_09_a_status_that_may_pass_brings_the_next_copy_at_once_and_others_end_the_call() {
    let start = Instant::now();
    for answer in [status(503), fail(ErrorKind::ConnectionReset), fail(ErrorKind::ConnectionRefused)] {
        let upstream = Upstream::new([answer, ok_from("second")]);
        let answer = upstream.send(&hedge(), get()).await.unwrap();
        assert_eq!((answer.status().as_u16(), upstream.called()), (200, 2));
    }
    let upstream = Upstream::new([grpc("14", &[]), grpc("0", &[])]);
    assert_eq!(upstream.send(&hedge(), marked()).await.unwrap().headers()["grpc-status"], "0");
    assert_eq!(upstream.seen()[1].header("grpc-previous-rpc-attempts"), Some("1"));
    assert_eq!(start.elapsed(), Duration::ZERO);

    // Fatal: the first copy's answer ends the call, and that of a later one the first.
    let upstream = Upstream::new([status(404)]);
    assert_eq!(upstream.send(&hedge(), get()).await.unwrap().status(), 404);
    assert_eq!(upstream.called(), 1);
    let upstream = Upstream::new([status(200).after(SECOND), status(404).after(MS)]);
    assert_eq!(upstream.send(&hedge(), get()).await.unwrap().status(), 404);
    let upstream = Upstream::new([grpc("0", &[]).after(SECOND), grpc("5", &[]).after(MS)]);
    assert_eq!(upstream.send(&hedge(), marked()).await.unwrap().headers()["grpc-status"], "5");
}

#[tokio::test(start_paused = true)]
async fn rt_09_a_failure_waits_for_the_copies_that_run_and_is_returned_when_all_have_failed() {
    let upstream = Upstream::new([status(503).after(150 * MS), ok_from("second").after(200 * MS)]);
    let answer = upstream.send(&hedge(), get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), upstream.called()), (200, 2));

    let upstream = Upstream::new([status(502).after(150 * MS), status(504).after(100 * MS)]);
    let start = Instant::now();
    let answer = upstream.send(&hedge(), get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), attempts(&answer)), (504, 2));
    assert_eq!((upstream.called(), start.elapsed()), (2, 200 * MS));

    let upstream = Upstream::new([status(502), fail(ErrorKind::ConnectionReset)]);
    assert_eq!(upstream.send(&hedge(), get()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn rt_09_pushback_and_retry_after_delay_the_next_copy_or_stop_it() {
    for (answer, wait) in [
        (grpc("14", &[("grpc-retry-pushback-ms", "250")]), Some(250)),
        (grpc("14", &[("grpc-retry-pushback-ms", "-1")]), None),
        (grpc("5", &[("grpc-retry-pushback-ms", "-1")]), None),
        (grpc("14", &[("grpc-retry-pushback-ms", "soon")]), None),
    ] {
        let (upstream, start) = (Upstream::new([answer]), Instant::now());
        upstream.send(&hedge(), marked()).await.unwrap();
        assert_eq!(upstream.waits(), wait.map(|wait| wait * MS).into_iter().collect::<Vec<_>>());
        assert_eq!(start.elapsed(), wait.unwrap_or(0) * MS);
    }
    let upstream = Upstream::new([status_with(503, &[("retry-after", "2")])]);
    upstream.send(&hedge(), get()).await.unwrap();
    assert_eq!(upstream.waits(), [2 * SECOND]);
    // A copy that runs goes on after a pushback to another, and there is no third.
    let upstream = Upstream::new([
        grpc("0", &[]).after(SECOND),
        grpc("14", &[("grpc-retry-pushback-ms", "-1")]).after(MS),
        grpc("0", &[]),
    ]);
    let answer = upstream.send(&hedge().with_max_attempts(5).unwrap(), marked()).await.unwrap();
    assert_eq!((&answer.headers()["grpc-status"], upstream.called()), (&HeaderValue::from_static("0"), 2));
}

#[tokio::test(start_paused = true)]
async fn rt_04_a_wait_that_leads_to_no_copy_is_not_made() {
    let asks = |answer: u16, seconds| status_with(answer, &[("retry-after", seconds)]);
    let pushback = || grpc("14", &[("grpc-retry-pushback-ms", "20000")]);
    let at_once = async |layer: &HedgeLayer, request, answers: Vec<Answer>, expected| {
        let (upstream, start) = (Upstream::new(answers), Instant::now());
        upstream.send(layer, request).await.unwrap();
        assert_eq!((upstream.called(), start.elapsed()), (expected, Duration::ZERO));
    };
    // There is not so much time.
    at_once(&hedge(), with_time(get(), SECOND), vec![asks(503, "20")], 1).await;
    at_once(&hedge(), with_time(marked(), SECOND), vec![pushback()], 1).await;
    // All copies are sent.
    at_once(&hedge(), get(), vec![status(503), asks(503, "20")], 2).await;
    // It must not be sent twice.
    at_once(&hedge(), call(), vec![pushback()], 1).await;
    at_once(&hedge(), post("order"), vec![asks(425, "20")], 1).await;
    // A copy that runs may still be better.
    let slow = grpc("0", &[]).after(500 * MS);
    let upstream = Upstream::new([slow, pushback().after(MS)]);
    let answer = upstream.send(&hedge(), with_time(marked(), SECOND)).await.unwrap();
    assert_eq!((&answer.headers()["grpc-status"], upstream.called()), (&HeaderValue::from_static("0"), 2));
}

#[tokio::test(start_paused = true)]
async fn rt_09_the_budget_applies() {
    let layer = hedge().with_budget(Budget::ratio(0.1, 0, 10 * SECOND).unwrap());
    let upstream = Upstream::always(|| status(200).after(101 * MS));
    for _ in 0..50 {
        upstream.send(&layer, get()).await.unwrap();
    }
    assert_eq!(upstream.called(), 55);
    // A throttle at half sends no copies.
    let layer = hedge().with_budget(Budget::grpc_throttle(2, 0.1).unwrap());
    let upstream = Upstream::new([status(503)]);
    assert_eq!(upstream.send(&layer, get()).await.unwrap().status(), 503);
    assert_eq!(upstream.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn rt_14_a_refusal_of_our_own_side_brings_no_copies_and_beats_none() {
    let upstream = Upstream::new([refused()]);
    assert_eq!(upstream.send(&hedge(), get()).await.unwrap().status(), 503);
    assert_eq!(upstream.called(), 1);
    let upstream = Upstream::new([ok_from("first").after(SECOND), refused(), ok_from("third")]);
    let answer = upstream.send(&hedge().with_max_attempts(3).unwrap(), get()).await.unwrap();
    assert_eq!((answer.headers()["x-from"].to_str().unwrap(), upstream.called()), ("first", 2));
}

#[tokio::test(start_paused = true)]
async fn rt_10_copies_read_a_body_that_is_still_coming_at_the_same_time() {
    let (sender, body) = TestBody::channel();
    let upstream = Upstream::always(|| status(200).after(SECOND));
    let sent = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.send(&hedge(), Request::put("/").body(body).unwrap()).await.unwrap() }
    });
    for piece in ["one ", "two ", "three"] {
        sleep(60 * MS).await;
        sender.data(piece);
    }
    sleep(60 * MS).await;
    assert_eq!(upstream.seen().len(), 0);
    sender.finish();
    sent.await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.body == "one two three"));
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_body_over_the_cap_has_no_copy_and_ends_one_that_reads_it() {
    let layer = hedge().with_replay_cap(4);
    let large = || Frames::new([Frame::data("12345".into())]);
    let upstream = Upstream::new([status(200).after(SECOND)]);
    upstream.send(&layer, Request::put("/").body(large()).unwrap()).await.unwrap();
    assert_eq!(upstream.called(), 1);

    // Two read it when it grows too large: one of them gets it.
    let (sender, body) = TestBody::channel();
    sender.data("123");
    let upstream = Upstream::always(|| status(200).after(SECOND));
    let sent = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.send(&layer, Request::put("/").body(body).unwrap()).await.unwrap() }
    });
    sleep(SECOND).await;
    assert_eq!(upstream.called(), 2);
    sender.data("45");
    sender.finish();
    assert_eq!(sent.await.unwrap().status(), 200);
    let seen = upstream.seen();
    assert_eq!((seen.len(), &seen[0].body[..]), (1, &b"12345"[..]));
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_copy_that_is_not_left_its_body_counts_against_nobody() {
    // One failure opens the breaker, and stops the throttle; a success gives next to nothing.
    let breaker = CircuitBreakerLayer::new(BreakerPolicy::consecutive(1).unwrap());
    let breakers = breaker.handle();
    let layer = hedge().with_replay_cap(4).with_budget(Budget::grpc_throttle(2, 0.001).unwrap());
    let upstream = Upstream::always(|| status(200).after(SECOND));
    let client = ServiceBuilder::new().layer(layer).layer(breaker).service(upstream.clone());
    for number in 1..=3 {
        let (sender, body) = TestBody::channel();
        sender.data("123");
        let sent = tokio::spawn(client.clone().oneshot(Request::put("/").body(body).unwrap()));
        sleep(SECOND).await;
        assert_eq!(upstream.called(), 2 * number, "the throttle has a token for the copy");
        sender.data("45");
        sender.finish();
        let answer = sent.await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), attempts(&answer)), (200, 2));
        answer.into_body().collect().await.unwrap();
        assert!(breakers.is_all_well(), "{number}");
        assert_eq!(upstream.seen().len(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_copy_whose_body_went_to_one_that_had_answered_is_not_waited_for() {
    let calls = Arc::new(AtomicUsize::new(0));
    // The second answers early, and the task of its connection reads on.
    let service = service_fn(move |request: Request<ReplayBody<TestBody>>| {
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                sleep(SECOND).await;
                request.into_body().collect().await.map_err(io::Error::other)?;
                return Ok::<_, io::Error>(Response::new(TestBody::empty()));
            }
            tokio::spawn(request.into_body().collect());
            Ok(response(503, &[("retry-after", "3600")], TestBody::empty()))
        }
    });
    let (sender, body) = TestBody::channel();
    sender.data("12345");
    let service = hedge().with_replay_cap(4).layer(service);
    let sent = service.oneshot(Request::put("/").body(body).unwrap());
    let answer = tokio::time::timeout(10 * SECOND, sent).await.expect("it does not hang").unwrap();
    assert_eq!((answer.status().as_u16(), attempts(&answer)), (503, 2));
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_body_that_fails_is_no_failure_of_each_copy_that_reads_it() {
    // At half of three tokens there is no copy; the one that meets the failure takes the one that may go.
    let layer = hedge().with_budget(Budget::grpc_throttle(3, 0.001).unwrap());
    let (sender, body) = TestBody::channel();
    sender.data("123");
    let upstream = Upstream::always(|| status(200).after(SECOND));
    let sent = tokio::spawn({
        let (upstream, layer) = (upstream.clone(), layer.clone());
        async move { upstream.send(&layer, Request::put("/").body(body).unwrap()).await }
    });
    sleep(SECOND).await;
    assert_eq!(upstream.called(), 2);
    sender.fail(TestError::new("the source fails"));
    let error = sent.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the source fails", "and not that another copy was given up");
    upstream.send(&layer, get()).await.unwrap();
    assert_eq!(upstream.called(), 4, "two tokens are left");
}

#[tokio::test(start_paused = true)]
async fn rt_11_no_copy_begins_without_time_for_it() {
    for (time, expected) in [(104 * MS, 1), (106 * MS, 2)] {
        let upstream = Upstream::new([status(200).after(SECOND)]);
        upstream.send(&hedge(), with_time(get(), time)).await.unwrap();
        assert_eq!(upstream.called(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn rt_09_a_percentile_follows_the_upstream() {
    let layer = HedgeLayer::at_percentile(0.9, 500 * MS).unwrap();
    // One in ten takes a second, the others 20 ms.
    let mut number = 0;
    let mut upstream = Upstream::new([]);
    let mut slow = Vec::new();
    for _ in 0..300 {
        number += 1;
        let answer = if number % 20 == 0 { status(200).after(SECOND) } else { status(200).after(20 * MS) };
        upstream = Upstream::new([answer, status(200).after(20 * MS)]);
        let start = Instant::now();
        upstream.send(&layer, get()).await.unwrap();
        if number % 20 == 0 {
            slow.push(start.elapsed());
        }
    }
    assert_eq!(slow[0], 520 * MS, "nothing is known yet");
    let last = *slow.last().unwrap();
    assert!((40 * MS..=46 * MS).contains(&last), "{slow:?}");
    assert_eq!(upstream.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn rt_09_what_says_nothing_of_how_long_answers_take_is_not_measured() {
    type Case = (fn() -> Answer, fn() -> Request<Full<Bytes>>);
    let cases: [Case; 6] = [
        (refused, get),
        (|| fail(ErrorKind::ConnectionRefused), get),
        (|| status(503), get),
        (|| grpc("14", &[("grpc-retry-pushback-ms", "-1")]), marked),
        (|| status(200), || post("order")),
        (|| status(200), call),
    ];
    for (case, (answer, request)) in cases.into_iter().enumerate() {
        let layer = HedgeLayer::at_percentile(0.9, 500 * MS).unwrap();
        for _ in 0..100 {
            let _ = Upstream::always(answer).send(&layer, request()).await;
            sleep(20 * MS).await;
        }
        let upstream = Upstream::new([status(200).after(SECOND)]);
        upstream.send(&layer, get()).await.unwrap();
        assert_eq!(upstream.waits(), [500 * MS], "{case}");
    }
    // What a copy of ours gave up took that long at least.
    let layer = HedgeLayer::at_percentile(0.9, 500 * MS).unwrap().with_budget(Budget::unlimited());
    let timed_out = || refusal(Reason::DeadlineExceeded).after(200 * MS);
    for _ in 0..100 {
        Upstream::always(timed_out).send(&layer, get()).await.unwrap();
    }
    let upstream = Upstream::new([status(200).after(SECOND)]);
    upstream.send(&layer, get()).await.unwrap();
    assert!((200 * MS..=226 * MS).contains(&upstream.waits()[0]), "{:?}", upstream.waits());
}

#[tokio::test(start_paused = true)]
async fn lay_01_a_hedged_call_that_is_given_up_leaves_nothing_behind() {
    let (sender, body) = TestBody::channel();
    sender.data("one");
    sender.finish();
    let upstream = Upstream::always(|| Answer::Never);
    let layer = hedge();
    let sent = tokio::time::timeout(SECOND, upstream.send(&layer, Request::put("/").body(body).unwrap()));
    assert!(sent.await.is_err());
    assert!(sender.is_dropped());
    assert_eq!(upstream.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_wide_event_tells_of_copies() {
    let mut request = get();
    let context = RequestContext::of(&mut request);
    context.event().enable();
    let upstream = Upstream::new([status(200).after(SECOND)]);
    upstream.send(&hedge(), request).await.unwrap();
    assert_eq!(context.event().read(<[_]>::to_vec), [("hedge.attempts", Fact::from(2_u32))]);
}

#[test]
fn lay_06_a_hedge_that_cannot_work_is_refused() {
    let fields = [
        HedgeLayer::after(Duration::ZERO).unwrap_err(),
        HedgeLayer::after(3_601 * SECOND).unwrap_err(),
        HedgeLayer::at_percentile(1.0, MS).unwrap_err(),
        HedgeLayer::at_percentile(0.5, Duration::ZERO).unwrap_err(),
        hedge().with_max_attempts(1).unwrap_err(),
        hedge().with_max_attempts(6).unwrap_err(),
        hedge().with_name("").unwrap_err(),
    ];
    assert_eq!(
        fields.map(|error| error.field()),
        ["delay", "delay", "percentile", "initial", "max_attempts", "max_attempts", "name"]
    );
    assert_eq!(<HedgeLayer as ClientLayer>::Phase::NAME, "retry");
}
