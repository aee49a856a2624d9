//! What an adaptive limit holds back for a moment, and from whom.

use std::time::Duration;

use bartizan_bulkhead::{AdaptiveConcurrencyLayer, BulkheadHandle, Vegas};
use bartizan_testkit::TestBody;
use http::Response;
use tokio::time::advance;
use tower::Layer;

use crate::support::{Flight, Harness, clock, get, secs};

const TICK: Duration = Duration::from_millis(10);

/// Twenty at once, of which each probe holds back half.
fn twenty() -> AdaptiveConcurrencyLayer {
    let limit = Vegas::new(1, 20).and_then(|limit| limit.with_initial(20)).unwrap();
    AdaptiveConcurrencyLayer::learning(limit).with_clock(clock())
}

fn answer(status: u16) -> Response<TestBody> {
    Response::builder().status(status).body(TestBody::empty()).unwrap()
}

type Service = <AdaptiveConcurrencyLayer as Layer<bartizan_testkit::Inner>>::Service;

/// A request that takes a tick; whether it was let in.
async fn quick(harness: &mut Harness<Service>) -> bool {
    let mut flight = harness.send(get("/quick"));
    let Some(call) = harness.calls().pop() else { return false };
    advance(TICK).await;
    call.reply.send(Ok(answer(200)));
    flight.answer();
    true
}

/// Sends quick requests until a probe begins.
async fn until_a_probe(harness: &mut Harness<Service>, handle: &BulkheadHandle) {
    for _ in 0..10_000 {
        assert!(quick(harness).await);
        if handle.limit() < 20 {
            return;
        }
    }
    panic!("no probe within 100 s");
}

#[tokio::test(start_paused = true)]
async fn long_streams_do_not_turn_a_probe_into_a_lockout() {
    let layer = twenty();
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    let mut streams = Vec::new();
    for _ in 0..12 {
        let mut flight = harness.send(get("/watch"));
        let (sender, body) = TestBody::channel();
        advance(TICK).await;
        harness.calls()[0].reply.send(Ok(Response::new(body)));
        streams.push((flight.answer(), sender));
    }
    until_a_probe(&mut harness, &handle).await;
    let at_once: Vec<_> = (0..8).map(|_| harness.send(get("/"))).collect();
    assert_eq!(harness.calls().len(), 4, "half of what the streams leave");
    drop(at_once);
    for _ in 0..10_000 {
        assert!(quick(&mut harness).await, "three probes in a hundred seconds");
    }
    streams.truncate(2);
    until_a_probe(&mut harness, &handle).await;
    let _at_once: Vec<_> = (0..18).map(|_| harness.send(get("/"))).collect();
    assert_eq!(harness.calls().len(), 9, "the streams that have ended are not counted any more");
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_a_service_that_only_fails_ends_by_time() {
    let layer = twenty();
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    until_a_probe(&mut harness, &handle).await;
    for _ in 0..100 {
        let mut flights: Vec<_> = (0..12).map(|_| harness.send(get("/"))).collect();
        let calls = harness.calls();
        assert_eq!((calls.len(), handle.limit()), (10, 10));
        advance(TICK).await;
        for call in calls {
            call.reply.send(Ok(answer(500)));
        }
        flights.iter_mut().for_each(|flight| drop(flight.answer()));
    }
    advance(5 * TICK).await;
    let _flights: Vec<_> = (0..21).map(|_| harness.send(get("/"))).collect();
    assert_eq!((harness.calls().len(), handle.limit()), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn when_a_probe_ends_by_time_those_who_waited_come_first() {
    let layer = twenty().with_queue(5, secs(60)).unwrap();
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    until_a_probe(&mut harness, &handle).await;
    let _hanging: Vec<_> = (0..10).map(|_| harness.send(get("/hangs"))).collect();
    let mut waiting = ["/first", "/second"].map(|path| harness.send(get(path)));
    assert_eq!(harness.calls().len(), 10);
    advance(secs(2)).await;
    let mut late = harness.send(get("/late"));
    assert_eq!(harness.paths(), ["/late"]);
    // They were woken, and have a place already.
    assert!(waiting.iter_mut().chain([&mut late]).all(Flight::is_waiting));
    assert_eq!(harness.paths(), ["/first", "/second"]);
    assert_eq!((handle.in_flight(), handle.queued(), handle.limit()), (13, 0, 20));
}
