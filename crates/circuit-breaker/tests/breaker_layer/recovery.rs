//! From a supplier that goes down to one that is well again, on virtual time.

use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, State};
use bartizan_core::{Clock, ManualClock};
use bartizan_testkit::{Script, TestBody, TestError};
use http::{Request, Response};
use tower::{Layer, ServiceExt};

use super::{HOST, SECOND, Upstream, state};

fn supplier_policy() -> BreakerPolicy {
    BreakerPolicy::new()
        .with_time_window(10 * SECOND, 10)
        .and_then(|policy| policy.with_minimum_calls(10))
        .and_then(|policy| policy.with_open_time(5 * SECOND))
        .unwrap()
}

fn layer(policy: BreakerPolicy) -> (CircuitBreakerLayer, ManualClock) {
    let time = ManualClock::new();
    (CircuitBreakerLayer::new(policy).with_clock(Clock::from(time.clone())), time)
}

#[tokio::test]
async fn cb_04_and_cb_05_a_supplier_that_is_down_sees_the_probes_alone_and_comes_back_by_itself() {
    let (layer, time) = layer(supplier_policy());
    let supplier = Upstream::new(200);
    for _ in 0..5 {
        assert_eq!(supplier.call(&layer, HOST).await, 200);
    }
    supplier.says(503);
    for _ in 0..5 {
        assert_eq!(supplier.call(&layer, HOST).await, 503);
    }
    assert_eq!((supplier.calls(), state(&layer)), (10, State::Open), "half of ten");
    // A minute of a hundred calls a second.
    for tick in 1..=6_000 {
        time.advance(SECOND / 100);
        supplier.call(&layer, HOST).await;
        let periods = tick / 500;
        assert!(supplier.calls() <= 10 + 3 * periods, "tick {tick}: {} calls", supplier.calls());
    }
    assert_eq!(supplier.calls(), 10 + 3 * 11, "three probes each 5.02 s, the last two of them a tick later");
    supplier.says(200);
    let mut refused = 0;
    while supplier.call(&layer, HOST).await != 200 {
        time.advance(SECOND / 100);
        refused += 1;
    }
    assert!(refused <= 500, "well again within the open time");
    for _ in 0..100 {
        assert_eq!(supplier.call(&layer, HOST).await, 200);
    }
    assert_eq!(state(&layer), State::Closed);
}

#[tokio::test]
async fn cb_05_a_crowd_that_waits_for_the_end_of_the_open_time_is_no_herd() {
    let (layer, time) = layer(supplier_policy());
    let supplier = Upstream::new(503);
    for _ in 0..10 {
        supplier.call(&layer, HOST).await;
    }
    time.advance(5 * SECOND);
    // A thousand calls at once; the supplier is slow to answer.
    let script = Script::ready();
    let mut calls: Vec<_> = (0..1_000)
        .map(|_| {
            let request = Request::get(HOST).body(TestBody::empty()).unwrap();
            Box::pin(layer.layer(script.service()).oneshot(request))
        })
        .collect();
    let mut waiting = 0;
    for call in &mut calls {
        waiting += usize::from(futures_util::poll!(call.as_mut()).is_pending());
    }
    assert_eq!((waiting, script.called()), (3, 3), "three probes, and all others are refused");
    while let Some(probe) = script.next_call() {
        probe.reply.send(Ok(Response::new(TestBody::empty())));
    }
    for call in calls.iter_mut().take(3) {
        assert_eq!(call.await.unwrap().status(), 200);
    }
    assert_eq!(state(&layer), State::Closed);
}

#[tokio::test]
async fn a_ramp_lets_a_crowd_in_step_by_step() {
    let policy = supplier_policy().with_ramp_up([10, 25, 50], SECOND).unwrap();
    let (layer, time) = layer(policy);
    let supplier = Upstream::new(503);
    for _ in 0..10 {
        supplier.call(&layer, HOST).await;
    }
    time.advance(5 * SECOND);
    supplier.says(200);
    for _ in 0..3 {
        supplier.call(&layer, HOST).await;
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        let before = supplier.calls();
        for _ in 0..1_000 {
            supplier.call(&layer, HOST).await;
        }
        seen.push(supplier.calls() - before);
        time.advance(SECOND);
    }
    assert_eq!(seen, [100, 250, 500, 1_000]);
    assert_eq!(state(&layer), State::Closed);
}

#[tokio::test]
async fn cb_05_a_probe_that_hangs_does_not_wedge_the_breaker() {
    let (layer, time) = layer(supplier_policy().with_probes(1).unwrap());
    let supplier = Upstream::new(503);
    for _ in 0..10 {
        supplier.call(&layer, HOST).await;
    }
    time.advance(5 * SECOND);
    let script = Script::ready();
    let request = Request::get(HOST).body(TestBody::empty()).unwrap();
    let mut hung = Box::pin(layer.layer(script.service()).oneshot(request));
    assert!(futures_util::poll!(hung.as_mut()).is_pending());
    supplier.says(200);
    assert_eq!(supplier.call(&layer, HOST).await, 503);
    time.advance(5 * SECOND);
    assert_eq!(supplier.call(&layer, HOST).await, 503);
    assert_eq!(state(&layer), State::Open, "given up");
    time.advance(5 * SECOND);
    assert_eq!(supplier.call(&layer, HOST).await, 200);
    assert_eq!(state(&layer), State::Closed);
    script.next_call().expect("it hangs still").reply.send(Err(TestError::new("at last")));
    assert!(hung.await.is_err());
    assert_eq!((state(&layer), layer.handle().report()[0].snapshot.failures), (State::Closed, 0));
}
