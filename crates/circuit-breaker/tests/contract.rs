//! What every layer keeps.

use std::{borrow::Cow, time::Duration};

use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, KeyFn, PerRoute, Single, State};
use bartizan_core::{Classify, Clock, ManualClock, Outcome, Reason, ResponseBody, Verdict};
use bartizan_testkit::TestBody;
use http::{HeaderValue, Request, Response};
use tower::service_fn;

/// All is well, whatever the suite does to its requests.
fn patient() -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(BreakerPolicy::new().with_minimum_calls(10_000).unwrap())
}

/// Everything but what is refused is a failure, and three of those are enough.
fn strict() -> CircuitBreakerLayer {
    #[derive(Clone)]
    struct All;
    impl Classify for All {
        fn classify(&self, _: &Outcome) -> Verdict {
            Verdict::Failure
        }
    }
    CircuitBreakerLayer::new(BreakerPolicy::consecutive(3).unwrap())
        .with_classifier(All)
        .with_clock(Clock::from(ManualClock::new()))
}

#[test]
fn lay_01_and_lay_02_and_lay_03_a_breaker_for_all_keeps_the_contract() {
    bartizan_testkit::contract(|| patient().by(Single))
        .refuse_after(3, Reason::CircuitOpen, || strict().by(Single))
        .check();
}

#[test]
fn breakers_by_key_keep_the_contract() {
    // The suite's refusals are for requests of several routes and hosts, so all of them are of one key here.
    let by_key = |layer: CircuitBreakerLayer| layer.by(KeyFn::new(|_| Some(Cow::Borrowed("one"))));
    bartizan_testkit::contract(move || by_key(patient()))
        .refuse_after(3, Reason::CircuitOpen, move || by_key(strict()))
        .check();
    bartizan_testkit::contract(|| patient().by(PerRoute)).check();
}

#[test]
fn breakers_of_a_client_with_slow_calls_and_pauses_keep_the_contract() {
    bartizan_testkit::contract(|| {
        let policy = BreakerPolicy::new().with_minimum_calls(10_000).unwrap();
        let policy = policy.with_slow_calls(100.0, Duration::from_secs(60)).unwrap();
        CircuitBreakerLayer::new(policy).with_retry_after(Duration::from_secs(60)).unwrap()
    })
    .check_client();
}

#[test]
fn a_breaker_that_is_forced_open_refuses_and_one_forced_closed_does_not() {
    bartizan_testkit::contract(|| {
        let layer =
            patient().by(KeyFn::new(|head| head.headers().get("x-shard").map(|_| Cow::Borrowed("down"))));
        layer.handle().breaker("down").force_open();
        layer.handle().breaker("*").force_closed();
        assert_eq!(layer.handle().breaker("*").state(), State::ForcedClosed);
        layer
    })
    .refuse(Reason::CircuitOpen, |request| {
        request.headers_mut().insert("x-shard", HeaderValue::from_static("down"));
    })
    .check();
}

#[test]
fn a_fallback_that_fails_leaves_a_refusal_that_keeps_the_contract() {
    let fails = || {
        service_fn(async |_: Request<TestBody>| {
            Err::<Response<ResponseBody<TestBody>>, _>("the cache is empty too")
        })
    };
    bartizan_testkit::contract(move || patient().by(Single).fallback(fails()))
        .refuse_after(3, Reason::CircuitOpen, move || strict().by(Single).fallback(fails()))
        .check_client();
}
