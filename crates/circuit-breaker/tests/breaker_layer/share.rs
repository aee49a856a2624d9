//! CB-08: at most a share of the breakers is open, and what that means for those that would be.

use bartizan_circuit_breaker::{BreakerPolicy, Cause, CircuitBreakerLayer, HungProbes, State};
use bartizan_core::ManualClock;
use bartizan_testkit::{Script, TestBody};
use http::{Request, Response};
use tower::{Layer, ServiceExt};

use super::{SECOND, Upstream, touchy};

const A: &str = "http://a.internal/";
const B: &str = "http://b.internal/";

/// Half of the breakers may be open, and one in any case.
fn half() -> (CircuitBreakerLayer, ManualClock) {
    let (layer, time) = touchy();
    let policy = BreakerPolicy::consecutive(1)
        .and_then(|policy| policy.with_probes(1)?.with_open_share(50.0, true))
        .and_then(|policy| policy.with_half_open_wait(5 * SECOND, HungProbes::Reopen))
        .unwrap();
    (layer.with_policy(policy), time)
}

fn states(layer: &CircuitBreakerLayer) -> [State; 2] {
    ["a.internal", "b.internal"].map(|key| layer.handle().get(key).unwrap().state())
}

#[tokio::test]
async fn cb_05_probes_that_fail_while_no_more_may_be_open_close_the_breaker() {
    let (layer, time) = half();
    let mut changes = layer.handle().subscribe(16).unwrap();
    let (down, well, slow) = (Upstream::new(503), Upstream::new(200), Script::ready());
    well.call(&layer, B).await;
    for answers in [true, false] {
        down.call(&layer, A).await;
        assert_eq!(states(&layer), [State::Open, State::Closed]);
        time.advance(30 * SECOND);
        let request = Request::get(A).body(TestBody::empty()).unwrap();
        let mut probe = Box::pin(layer.layer(slow.service()).oneshot(request));
        assert!(futures_util::poll!(probe.as_mut()).is_pending());
        // While it is under way the other one takes the place.
        down.call(&layer, B).await;
        assert_eq!(states(&layer), [State::HalfOpen, State::Open]);
        if answers {
            let response = Response::builder().status(503).body(TestBody::empty()).unwrap();
            slow.next_call().expect("the probe").reply.send(Ok(response));
            assert_eq!(probe.await.unwrap().status(), 503);
        } else {
            time.advance(5 * SECOND);
        }
        assert_eq!(well.call(&layer, A).await, 200, "what may not be open is called");
        assert_eq!(states(&layer), [State::Closed, State::Open]);
        let last = std::iter::from_fn(|| changes.try_next()).last().unwrap();
        assert_eq!((&*last.key, last.transition.cause), ("a.internal", Cause::OpenShareReached));
        down.call(&layer, A).await;
        assert_eq!(states(&layer), [State::Closed, State::Open], "still");
        time.advance(30 * SECOND);
        well.call(&layer, B).await;
        assert_eq!(states(&layer), [State::Closed, State::Closed]);
    }
}

#[tokio::test]
async fn cb_08_a_host_that_went_away_while_it_was_open_takes_no_share() {
    let (layer, time) = half();
    let (down, well) = (Upstream::new(503), Upstream::new(200));
    well.call(&layer, B).await;
    down.call(&layer, A).await;
    time.advance(30 * SECOND - SECOND / 1_000);
    down.call(&layer, B).await;
    assert_eq!(states(&layer), [State::Open, State::Closed], "it is still open, for a moment");
    assert!(!layer.handle().is_all_well());
    time.advance(SECOND / 1_000);
    assert!(layer.handle().is_all_well(), "nobody would be refused");
    down.call(&layer, B).await;
    assert_eq!(states(&layer), [State::Open, State::Open], "nobody has called the first one since");
    // It comes back, and gives back no place that it does not have any more.
    well.call(&layer, A).await;
    assert_eq!(states(&layer), [State::Closed, State::Open]);
    down.call(&layer, A).await;
    assert_eq!(states(&layer), [State::Closed, State::Open]);
}

#[tokio::test]
async fn cb_08_envoy_ejects_hosts_again_when_those_it_ejected_are_gone() {
    let (layer, time) = touchy();
    let layer = layer.with_policy(BreakerPolicy::envoy());
    let (down, well) = (Upstream::new(503), Upstream::new(200));
    let host = |host: u32| format!("http://host-{host}.internal/");
    for number in 0..10 {
        well.call(&layer, &host(number)).await;
    }
    let state = |number: u32| layer.handle().get(&format!("host-{number}.internal")).unwrap().state();
    for number in 0..5 {
        for _ in 0..5 {
            down.call(&layer, &host(number)).await;
        }
        assert_eq!(state(number), State::Open, "none of those before is in force");
        time.advance(30 * SECOND);
    }
}
