//! Waiting for a place.

use std::time::Duration;

use bartizan_bulkhead::BulkheadLayer;
use bartizan_core::{Deadline, Fact, RequestContext};
use bartizan_testkit::TestBody;
use http::{Request, Response};
use tokio::time::advance;

use crate::support::{Harness, clock, get, secs};

fn layer(limit: u32, queue: usize) -> BulkheadLayer {
    BulkheadLayer::new(limit).unwrap().with_queue(queue, secs(5)).unwrap().with_clock(clock())
}

#[tokio::test(start_paused = true)]
async fn lay_03_those_who_wait_are_served_in_their_order_by_the_instance_that_was_ready() {
    let layer = layer(2, 3);
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    let mut flights: Vec<_> = (0..5).map(|index| harness.send(get(&format!("/{index}")))).collect();
    assert_eq!(harness.send(get("/5")).refusal(), "overloaded", "the queue is full");
    assert_eq!((handle.in_flight(), handle.queued(), handle.limit()), (2, 3, 2));
    assert_eq!(harness.paths(), ["/0", "/1"]);
    for next in 2..5 {
        drop(flights.remove(0));
        // All are polled, and the first of those who wait is called.
        assert!(flights.iter_mut().all(|flight| flight.is_waiting()));
        assert_eq!(harness.paths(), [format!("/{next}")]);
    }
    drop(flights);
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_longest_wait_or_beyond_its_deadline() {
    let layer = layer(1, 3);
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    let _held = harness.send(get("/"));
    let mut patient = harness.send(get("/"));
    let mut hurried = get("/");
    RequestContext::of(&mut hurried).tighten_deadline(Deadline::after(&clock(), secs(2)).unwrap());
    let mut hurried = harness.send(hurried);
    advance(Duration::from_millis(1_990)).await;
    assert!(hurried.is_waiting());
    advance(Duration::from_millis(20)).await;
    assert_eq!(hurried.refusal(), "overloaded");
    advance(Duration::from_millis(2_980)).await;
    assert!(patient.is_waiting());
    advance(Duration::from_millis(20)).await;
    assert_eq!(patient.refusal(), "overloaded");
    assert_eq!((handle.in_flight(), handle.queued()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn lay_01_giving_up_gives_up_the_place_in_the_line_and_one_that_was_got_meanwhile() {
    let layer = layer(1, 3);
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    let held = harness.send(get("/0"));
    let (first, second, mut third) =
        (harness.send(get("/1")), harness.send(get("/2")), harness.send(get("/3")));
    drop(second);
    assert_eq!(handle.queued(), 2);
    drop(held);
    assert_eq!((handle.in_flight(), handle.queued()), (1, 1), "the first has it, and does not know yet");
    drop(first);
    assert_eq!((handle.in_flight(), handle.queued()), (1, 0), "the third has it");
    assert!(third.is_waiting());
    assert_eq!(harness.paths(), ["/0", "/3"]);
    drop(third);
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_in_the_last_moment_is_taken() {
    let layer = layer(1, 1);
    let mut harness = Harness::new(&layer);
    let held = harness.send(get("/0"));
    let mut waits = harness.send(get("/1"));
    advance(secs(6)).await;
    drop(held);
    assert!(waits.is_waiting(), "it is under way");
    assert_eq!(harness.paths(), ["/0", "/1"]);
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_is_woken_and_answered() {
    let layer = layer(1, 1);
    let mut harness = Harness::new(&layer);
    let held = harness.send(get("/0"));
    let waits = harness.send(get("/1"));
    let script = harness.script.clone();
    let answered = tokio::task::LocalSet::new()
        .run_until(async move {
            let waiting = tokio::task::spawn_local(async move { waits.into_response().await });
            tokio::task::yield_now().await;
            drop(held);
            tokio::task::yield_now().await;
            for call in std::iter::from_fn(|| script.next_call()) {
                call.reply.send(Ok(Response::new(TestBody::empty())));
            }
            waiting.await.unwrap()
        })
        .await;
    assert_eq!(answered.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_wide_event_tells_who_waited_and_who_was_refused() {
    let layer = layer(1, 1);
    let mut harness = Harness::new(&layer);
    let watched = || {
        let mut request: Request<TestBody> = get("/");
        let context = RequestContext::of(&mut request);
        context.event().enable();
        (context, request)
    };
    let _held = harness.send(get("/"));
    let (waited, request) = watched();
    let mut waits = harness.send(request);
    let (full, request) = watched();
    harness.send(request).answer();
    advance(secs(5)).await;
    advance(Duration::from_millis(1)).await;
    waits.answer();
    full.event().read(|facts| assert_eq!(facts, [("bulkhead.refused", Fact::from("full"))]));
    waited.event().read(|facts| {
        let Some((name, Fact::Float(seconds))) = facts.first() else { panic!("{facts:?}") };
        assert_eq!((*name, seconds.round()), ("bulkhead.waited_seconds", 5.0));
        assert_eq!(facts[1], ("bulkhead.refused", Fact::from("timed_out")));
    });
}

#[test]
fn who_finds_a_place_needs_no_runtime() {
    let mut harness = Harness::new(&layer(1, 1));
    let mut flight = harness.send(get("/"));
    harness.calls()[0].reply.send(Ok(Response::new(TestBody::empty())));
    assert_eq!(flight.answer().status(), 200);
}
