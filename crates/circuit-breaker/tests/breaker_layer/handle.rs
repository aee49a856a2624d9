//! Breakers from outside, and who is told of their changes.

use std::sync::{Arc, Mutex};

use bartizan_circuit_breaker::{Cause, Single, State};

use super::{HOST, KEY, SECOND, Upstream, state, touchy};

#[tokio::test]
async fn a_report_says_what_every_breaker_is() {
    let (layer, time) = touchy();
    let layer = layer.with_name("suppliers").unwrap();
    let upstream = Upstream::new(200);
    let handle = layer.handle();
    assert!(handle.report().is_empty());
    upstream.call(&layer, "http://billing.internal/").await;
    assert!(handle.is_all_well());
    upstream.says(503);
    upstream.call(&layer, HOST).await;
    time.advance(10 * SECOND);
    assert!(!handle.is_all_well());
    let report = handle.report();
    assert_eq!(report.len(), 2);
    assert_eq!((&*report[0].name, &*report[0].key), ("suppliers", "billing.internal"));
    assert_eq!((report[0].snapshot.state, report[0].snapshot.failure_rate()), (State::Closed, Some(0.0)));
    let open = report[1].snapshot;
    assert_eq!((open.state, open.since, open.remaining), (State::Open, 10 * SECOND, Some(20 * SECOND)));
    time.advance(20 * SECOND);
    assert_eq!(state(&layer), State::Open);
    handle.advance();
    assert_eq!(state(&layer), State::HalfOpen, "without a call");
}

#[tokio::test]
async fn a_breaker_can_be_forced_and_reset_by_its_key() {
    let (layer, _) = touchy();
    let upstream = Upstream::new(503);
    let breaker = layer.handle().breaker(KEY);
    breaker.force_closed();
    for _ in 0..3 {
        assert_eq!(upstream.call(&layer, HOST).await, 503);
    }
    assert_eq!((upstream.calls(), breaker.state()), (3, State::ForcedClosed));
    breaker.metrics_only();
    upstream.call(&layer, HOST).await;
    assert_eq!((breaker.state(), breaker.report().snapshot.failures), (State::MetricsOnly, 1));
    breaker.force_open();
    upstream.call(&layer, HOST).await;
    assert_eq!(upstream.calls(), 4);
    breaker.reset();
    upstream.says(200);
    assert_eq!(upstream.call(&layer, HOST).await, 200);
    assert_eq!(breaker.report().snapshot.calls, 1);
}

#[tokio::test]
async fn cb_09_listeners_and_subscribers_are_told_of_each_change_once_and_in_order() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let (layer, time) = touchy();
    let layer = layer.with_name("suppliers").unwrap().with_listener(move |event| {
        listener.lock().unwrap().push((event.transition.from, event.transition.to));
    });
    let mut transitions = layer.handle().subscribe(16).unwrap();
    let upstream = Upstream::new(503);
    upstream.call(&layer, HOST).await;
    time.advance(30 * SECOND);
    upstream.call(&layer, HOST).await;
    time.advance(30 * SECOND);
    upstream.says(200);
    upstream.call(&layer, HOST).await;
    let expected = [
        (State::Closed, State::Open),
        (State::Open, State::HalfOpen),
        (State::HalfOpen, State::Open),
        (State::Open, State::HalfOpen),
        (State::HalfOpen, State::Closed),
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
    for (number, (from, to)) in (1..).zip(expected) {
        let event = transitions.next().await.unwrap();
        assert_eq!((&*event.name, &*event.key), ("suppliers", KEY));
        let transition = event.transition;
        assert_eq!((transition.from, transition.to, transition.number), (from, to, number));
        assert!(number > 1 || transition.cause == Cause::ConsecutiveFailures);
    }
    drop(layer);
    assert!(transitions.next().await.is_none(), "the layer is gone");
}

#[tokio::test]
async fn a_listener_may_change_the_breaker() {
    let (layer, _) = touchy();
    let slot = Arc::new(Mutex::new(None::<bartizan_circuit_breaker::CircuitBreakerHandle>));
    let handle = Arc::clone(&slot);
    let layer = layer.by(Single).with_listener(move |event| {
        let handle = handle.lock().unwrap().clone();
        if let Some(handle) = handle.filter(|_| event.transition.to == State::Open) {
            handle.breaker("*").force_closed();
        }
    });
    *slot.lock().unwrap() = Some(layer.handle());
    let upstream = Upstream::new(503);
    upstream.call(&layer, HOST).await;
    assert_eq!(layer.handle().breaker("*").state(), State::ForcedClosed);
}
