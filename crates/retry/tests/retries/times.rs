//! When it is retried: RT-04, RT-05, RT-11.

use std::{io::ErrorKind, time::Duration};

use bartizan_core::{Clock, Deadline, ManualClock, Reason, Rejection, RequestContext};
use bartizan_retry::{Attempts, Backoff, RetryLayer, StandardPolicy};
use http::Request;
use tokio::time::Instant;

use crate::support::{Answer, MS, SECOND, Upstream, call, fail, get, grpc, post, status, status_with};

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

#[tokio::test(start_paused = true)]
async fn rt_05_waits_grow_and_are_those_of_the_backoff() {
    let backoff = Backoff::equal_jitter(100 * MS, SECOND).unwrap();
    let layer = RetryLayer::new().with_backoff(backoff).with_max_attempts(7).unwrap();
    let upstream = Upstream::always(|| status(503));
    upstream.send(&layer, get()).await.unwrap();
    let waits = upstream.waits();
    for (wait, most) in waits.iter().zip([100, 200, 400, 800, 1_000, 1_000]) {
        // A timer ticks in milliseconds, and is never early.
        assert!((most * MS / 2..=most * MS + MS).contains(wait), "{waits:?}");
    }
    let waits = |seed| async move {
        let upstream = Upstream::always(|| status(503));
        upstream.send(&RetryLayer::new().with_seed(seed), get()).await.unwrap();
        upstream.waits()
    };
    assert_eq!(waits(1).await, waits(1).await);
    assert_ne!(waits(1).await, waits(2).await);
}

#[tokio::test(start_paused = true)]
async fn rt_04_retry_after_is_never_undercut_and_jitter_only_adds() {
    for _ in 0..20 {
        let layer = RetryLayer::new().with_backoff(Backoff::full_jitter(SECOND, SECOND).unwrap());
        let upstream = Upstream::new([status_with(503, &[("retry-after", "7")])]);
        upstream.send(&layer, get()).await.unwrap();
        let wait = upstream.waits()[0];
        assert!((7 * SECOND..=8 * SECOND + MS).contains(&wait), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_04_a_date_is_counted_from_the_wall_clock_and_a_past_one_is_no_wait() {
    // The manual clock says 2026-01-01T00:00:00Z.
    let layer = quick().with_clock(Clock::from(ManualClock::new()));
    for (date, seconds) in [
        ("Thu, 01 Jan 2026 00:00:12 GMT", 12),
        ("Thursday, 01-Jan-26 00:00:12 GMT", 12),
        ("Thu Jan  1 00:00:12 2026", 12),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0),
        ("not a date", 0),
    ] {
        let upstream = Upstream::new([status_with(429, &[("retry-after", date)])]);
        upstream.send(&layer, get()).await.unwrap();
        assert_eq!(upstream.waits(), [Duration::from_secs(seconds)], "{date}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_04_a_wait_beyond_the_cap_or_the_deadline_returns_the_response_at_once() {
    let start = Instant::now();
    for (retry_after, expected) in [("30", 2), ("31", 1), ("99999999999999999999", 1)] {
        let upstream = Upstream::new([status_with(503, &[("retry-after", retry_after)])]);
        let response = upstream.send(&quick(), get()).await.unwrap();
        assert_eq!(upstream.called(), expected, "{retry_after}");
        assert_eq!(response.headers().contains_key("retry-after"), expected == 1);
    }
    assert_eq!(start.elapsed(), 30 * SECOND);
    let policy = StandardPolicy::new().with_max_retry_after(2 * SECOND).unwrap();
    let upstream = Upstream::new([status_with(503, &[("retry-after", "3")])]);
    upstream.send(&quick().with_policy(policy), get()).await.unwrap();
    assert_eq!(upstream.called(), 1);

    let start = Instant::now();
    let layer = quick().with_total_timeout(5 * SECOND).unwrap();
    let upstream = Upstream::new([status_with(503, &[("retry-after", "5")])]);
    assert_eq!(upstream.send(&layer, get()).await.unwrap().status(), 503);
    assert_eq!((upstream.called(), start.elapsed()), (1, Duration::ZERO), "five seconds leave no time");
    let jittery = layer.with_backoff(Backoff::equal_jitter(10 * SECOND, 10 * SECOND).unwrap());
    let upstream = Upstream::new([status_with(503, &[("retry-after", "4")])]);
    assert_eq!(upstream.send(&jittery, get()).await.unwrap().status(), 503);
    assert_eq!((upstream.called(), start.elapsed()), (1, Duration::ZERO), "nor does the random part on top");
}

#[tokio::test(start_paused = true)]
async fn rt_04_a_wait_that_is_begun_ends_in_an_attempt() {
    let layer = quick().with_total_timeout(SECOND).unwrap();
    let mut made = [0, 0];
    // The timer ticks in milliseconds, and calls begin between its ticks.
    for (micros, millis) in
        (0..10_u64).flat_map(|tenth| (985..=1_000_u64).map(move |wait| (tenth * 100, wait)))
    {
        tokio::time::advance(Duration::from_micros(micros)).await;
        let (start, pushback) = (Instant::now(), millis.to_string());
        let upstream = Upstream::new([grpc("14", &[("grpc-retry-pushback-ms", &pushback)]), grpc("0", &[])]);
        let answer = upstream.send(&layer, call()).await.unwrap();
        let made_at = match answer.headers()["grpc-status"].to_str().unwrap() {
            "14" => (1, start),
            other => {
                assert_eq!(other, "0", "after {millis} ms, {micros} us past a tick");
                (2, upstream.seen()[1].at)
            }
        };
        assert_eq!((upstream.called(), Instant::now()), made_at);
        assert!(made_at.1 - start <= 995 * MS, "there is time for it");
        made[made_at.0 - 1] += 1;
    }
    assert!(made.iter().all(|made| *made > 0), "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn rt_04_retry_after_of_a_proxy_before_a_grpc_service_is_kept_to() {
    for answered in [429, 502, 503, 504] {
        let upstream = Upstream::new([status_with(answered, &[("retry-after", "20")])]);
        upstream.send(&quick(), call()).await.unwrap();
        assert_eq!(upstream.waits(), [20 * SECOND], "{answered}");
        let upstream = Upstream::new([status_with(answered, &[("retry-after", "31")])]);
        assert_eq!(upstream.send(&quick(), call()).await.unwrap().status().as_u16(), answered);
        assert_eq!(upstream.called(), 1, "{answered}");
    }
    // A service's own pushback says more.
    for (pushback, wait) in [("250", Some(250 * MS)), ("-1", None)] {
        let headers = [("retry-after", "20"), ("grpc-retry-pushback-ms", pushback)];
        let upstream = Upstream::new([grpc("14", &headers)]);
        upstream.send(&quick(), call()).await.unwrap();
        assert_eq!(upstream.waits(), wait.into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn rt_04_retry_after_is_kept_to_by_421_and_425_too() {
    for answered in [421, 425] {
        for request in [get(), post("order")] {
            let upstream = Upstream::new([status_with(answered, &[("retry-after", "20")])]);
            assert_eq!(upstream.send(&quick(), request).await.unwrap().status(), 200);
            assert_eq!(upstream.waits(), [20 * SECOND], "{answered}");
        }
        let upstream = Upstream::new([status_with(answered, &[("retry-after", "31")])]);
        assert_eq!(upstream.send(&quick(), get()).await.unwrap().status().as_u16(), answered);
        assert_eq!(upstream.called(), 1, "{answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_11_an_attempt_that_takes_too_long_is_given_up_and_repeated() {
    let layer = quick().with_attempt_timeout(SECOND).unwrap();
    let upstream = Upstream::new([Answer::Never, status(200).after(900 * MS)]);
    let start = Instant::now();
    let response = upstream.send(&layer, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (200, 2));
    assert_eq!(start.elapsed(), 1_900 * MS);

    let upstream = Upstream::always(|| Answer::Never);
    let response = upstream.send(&layer, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (504, 3));
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.reason(), rejection.layer()), (Reason::DeadlineExceeded, Some("retry")));
    assert_eq!(response.extensions().get::<Attempts>().unwrap().get(), 3);

    let upstream = Upstream::always(|| Answer::Never);
    let response = upstream.send(&layer, post("order")).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (504, 1), "it may have been processed");
}

#[tokio::test(start_paused = true)]
async fn rt_11_all_attempts_and_waits_share_one_deadline() {
    let layer = quick().with_attempt_timeout(2 * SECOND).unwrap().with_total_timeout(5 * SECOND).unwrap();
    let layer = layer.with_max_attempts(10).unwrap();
    let upstream = Upstream::always(|| Answer::Never);
    let start = Instant::now();
    let response = upstream.send(&layer, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (504, 3));
    assert_eq!(start.elapsed(), 5 * SECOND, "2 + 2 + 1");
}

#[tokio::test(start_paused = true)]
async fn rt_11_no_attempt_begins_with_less_time_than_the_floor() {
    let layer = quick()
        .with_total_timeout(SECOND)
        .and_then(|layer| layer.with_min_remaining(100 * MS))
        .and_then(|layer| layer.with_max_attempts(10))
        .unwrap();
    for (took, expected) in [(300, 4), (450, 3), (460, 2), (900, 2), (901, 1)] {
        let upstream = Upstream::always(move || status(503).after(took * MS));
        let response = upstream.send(&layer, get()).await.unwrap();
        assert_eq!(upstream.called(), expected, "{took}");
        // The last one that was begun may still run out of time.
        assert!(matches!(response.status().as_u16(), 503 | 504));
    }
    // A backoff that leaves too little time is not begun.
    let layer = layer.with_backoff(Backoff::equal_jitter(2 * SECOND, 2 * SECOND).unwrap());
    let (upstream, start) = (Upstream::always(|| status(503)), Instant::now());
    assert_eq!(upstream.send(&layer, get()).await.unwrap().status(), 503);
    assert_eq!((upstream.called(), start.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn rt_11_the_deadline_of_the_request_that_is_served_bounds_the_call() {
    let deadline = |seconds: u32| Deadline::at((Instant::now() + seconds * SECOND).into_std());
    let mut request = get();
    RequestContext::of(&mut request).tighten_deadline(deadline(3));
    let upstream = Upstream::always(|| Answer::Never);
    let start = Instant::now();
    assert_eq!(upstream.send(&quick(), request).await.unwrap().status(), 504);
    assert_eq!((start.elapsed(), upstream.called()), (3 * SECOND, 1));

    // One that has passed leaves no time for the first attempt.
    let mut request = get();
    RequestContext::of(&mut request).tighten_deadline(deadline(0));
    let upstream = Upstream::new([]);
    assert_eq!(upstream.send(&quick(), request).await.unwrap().status(), 504);
    assert_eq!(upstream.called(), 0);
}

#[tokio::test(start_paused = true)]
async fn rt_11_the_deadline_that_a_layer_further_out_left_bounds_the_call() {
    let mut request = get();
    request.extensions_mut().insert(Deadline::at((Instant::now() + 3 * SECOND).into_std()));
    let upstream = Upstream::always(|| Answer::Never);
    let start = Instant::now();
    assert_eq!(upstream.send(&quick(), request).await.unwrap().status(), 504);
    assert_eq!((start.elapsed(), upstream.called()), (3 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn grpc_02_a_call_is_refused_in_its_own_protocol_and_not_in_that_of_the_request_it_is_made_for() {
    // Before the first attempt, and in it.
    for seconds in [0, 3] {
        let inbound = RequestContext::of(&mut Request::new(()));
        inbound.tighten_deadline(Deadline::at((Instant::now() + seconds * SECOND).into_std()));
        let mut call = call();
        call.extensions_mut().insert(inbound);
        let refused = Upstream::always(|| Answer::Never).send(&quick(), call).await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["grpc-status"]),
            (200, &"4".parse().unwrap())
        );
    }
}

#[cfg(feature = "scope")]
#[tokio::test(start_paused = true)]
async fn rt_11_the_deadline_is_found_in_the_scope() {
    let served = RequestContext::of(&mut get());
    served.tighten_deadline(Deadline::at((Instant::now() + 2 * SECOND).into_std()));
    let upstream = Upstream::always(|| status(503).after(1_500 * MS));
    let start = Instant::now();
    let layer = quick();
    let response = bartizan_core::Scoped::new(served, upstream.send(&layer, get())).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (504, 2));
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn rt_11_grpc_timeout_is_what_is_left_in_each_attempt() {
    let layer = quick().with_attempt_timeout(4 * SECOND).unwrap();
    let timed = |value: &str| {
        let mut request = call();
        request.headers_mut().insert("grpc-timeout", value.parse().unwrap());
        request
    };
    let upstream = Upstream::always(|| grpc("14", &[]).after(3 * SECOND));
    let start = Instant::now();
    let response = upstream.send(&layer, timed("7S")).await.unwrap();
    let sent: Vec<_> =
        upstream.seen().iter().map(|seen| seen.header("grpc-timeout").unwrap().to_owned()).collect();
    assert_eq!(
        sent,
        ["4000000u", "4000000u", "1000000u"],
        "the least of what an attempt has and what is left"
    );
    assert_eq!(response.headers()["grpc-status"], "4", "the last ran out of time");
    assert_eq!(start.elapsed(), 7 * SECOND);

    // What the caller said stays when it is the least.
    let upstream = Upstream::new([]);
    upstream.send(&layer, timed("1500m")).await.unwrap();
    assert_eq!(upstream.seen()[0].header("grpc-timeout"), Some("1500m"));
    // Without any limit there is none.
    upstream.send(&quick(), call()).await.unwrap();
    assert_eq!(upstream.seen()[1].header("grpc-timeout"), None);
}

#[tokio::test(start_paused = true)]
async fn rt_11_a_response_that_is_there_wins_over_a_timer_that_is_due() {
    let layer = quick().with_attempt_timeout(SECOND).unwrap();
    let upstream =
        Upstream::new([fail(ErrorKind::ConnectionReset).after(SECOND / 2), status(200).after(SECOND)]);
    assert_eq!(upstream.send(&layer, get()).await.unwrap().status(), 200);
}
