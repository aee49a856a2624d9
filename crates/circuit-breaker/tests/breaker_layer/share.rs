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
