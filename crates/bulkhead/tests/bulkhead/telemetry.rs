//! The metrics: names, labels and values are API.

use std::collections::BTreeMap;

use bartizan_bulkhead::{AdaptiveConcurrencyLayer, BulkheadLayer, Key, KeyFn, Priority};
use bartizan_testkit::TestBody;
use http::Response;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::advance;

use crate::support::{Harness, clock, get, secs};

fn series(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let snapshot = snapshotter.snapshot().into_vec();
    snapshot
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let value = match value {
                DebugValue::Counter(value) => value as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => {
                    values.iter().map(|value| value.into_inner()).sum::<f64>().round()
                }
            };
            (value != 0.0).then_some((format!("{}{{{}}}", key.key().name(), labels.join(",")), value))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn obs_09_decisions_waits_and_overflows_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = BulkheadLayer::new(1)
        .unwrap()
        .by(KeyFn::new(|head| head.uri().query().map(Key::from)))
        .with_name("suppliers")
        .unwrap()
        .with_queue(2, secs(5))
        .unwrap()
        .with_max_keys(1)
        .unwrap()
        .with_priority(|head| match head.uri().path() {
            "/live" => Priority::Exempt,
            "/low" => Priority::Low,
            _ => Priority::Normal,
        })
        .with_clock(clock())
        .with_recorder(recorder);
    let mut harness = Harness::new(&layer);
    let _exempt = harness.send(get("/live"));
    let held = harness.send(get("/"));
    let (mut low, mut waits) = (harness.send(get("/low")), harness.send(get("/")));
    let mut late = harness.send(get("/"));
    harness.send(get("/")).answer();
    low.answer();
    advance(secs(2)).await;
    drop(held);
    assert!(waits.is_waiting());
    advance(secs(4)).await;
    late.answer();
    let _keyed = [harness.send(get("/?a")), harness.send(get("/?b"))];
    let name = |name: &str, labels: &str| format!("bartizan_bulkhead_{name}{{name=suppliers{labels}}}");
    let decided = |outcome: &str| name("decisions_total", &format!(",outcome={outcome}"));
    let expected = [
        (decided("exempt"), 1.0),
        // The first, and the one of the key that has room. That of the other waits, as the shared place is taken.
        (decided("admitted"), 2.0),
        (decided("waited"), 1.0),
        (decided("full"), 1.0),
        (decided("shed"), 1.0),
        (decided("timed_out"), 1.0),
        (name("queued", ""), 1.0),
        (name("wait_seconds", ""), 8.0),
        (name("overflows_total", ""), 1.0),
    ];
    assert_eq!(series(&snapshotter), expected.into());
}

#[tokio::test(start_paused = true)]
async fn obs_09_who_stops_waiting_is_taken_from_the_recorder_that_it_was_counted_in() {
    let (before, after) = (DebuggingRecorder::new(), DebuggingRecorder::new());
    let layer = BulkheadLayer::new(1).unwrap().with_queue(9, secs(5)).unwrap().with_clock(clock());
    let mut harness = Harness::new(&layer);
    let queued = |recorder: &DebuggingRecorder| {
        series(&recorder.snapshotter()).get("bartizan_bulkhead_queued{name=bulkhead}").copied()
    };
    let (held, mut waits, leaves) = metrics::with_local_recorder(&before, || {
        (harness.send(get("/")), harness.send(get("/")), harness.send(get("/")))
    });
    assert_eq!((queued(&before), queued(&after)), (Some(2.0), None));
    metrics::with_local_recorder(&after, || {
        drop(leaves);
        drop(held);
        assert!(waits.poll().is_pending());
        assert_eq!(harness.calls().len(), 2, "it has its place now");
    });
    // A snapshot sets what it shows back to zero.
    assert_eq!((queued(&before), queued(&after)), (Some(-2.0), None));
}

#[tokio::test(start_paused = true)]
async fn obs_09_a_limit_that_moves_is_told() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer =
        AdaptiveConcurrencyLayer::between(2, 200).unwrap().with_clock(clock()).with_recorder(recorder);
    let mut harness = Harness::new(&layer);
    for _ in 0..10 {
        let mut flights: Vec<_> = (0..20).map(|_| harness.send(get("/"))).collect();
        advance(std::time::Duration::from_millis(60)).await;
        for (flight, call) in flights.iter_mut().zip(harness.calls()) {
            call.reply.send(Ok(Response::new(TestBody::empty())));
            flight.answer();
        }
    }
    let seen = series(&snapshotter);
    let limit = seen["bartizan_bulkhead_limit{name=adaptive_concurrency}"];
    assert!(limit > 20.0 && limit == f64::from(layer.handle().limit()), "{seen:?}");
}
