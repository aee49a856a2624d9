//! The metrics: names, labels and values are API.

#![cfg(feature = "metrics")]

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use bartizan_core::{Clock, ManualClock};
use bartizan_rate_limit::{Key, KeyExtractor, KeyFn, MissingKey, Rate, RateLimitLayer};
use http::{Request, Response};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::{Layer, Service, service_fn};

fn by_device() -> impl KeyExtractor {
    KeyFn::<bartizan_core::phase::Load, _>::new(|head| {
        head.headers().get("x-device").map(|value| Key::bytes(value.as_bytes()))
    })
}

fn layer(time: &ManualClock) -> RateLimitLayer<impl KeyExtractor + use<>> {
    let rate = Rate::new(1, Duration::from_secs(60)).unwrap();
    RateLimitLayer::new(rate)
        .by(by_device())
        .with_name("per-device")
        .unwrap()
        .with_max_keys(2)
        .unwrap()
        .with_clock(Clock::from(time.clone()))
}

fn send<K: KeyExtractor>(layer: &RateLimitLayer<K>, device: Option<&str>) {
    let mut request = Request::get("/");
    if let Some(device) = device {
        request = request.header("x-device", device);
    }
    let inner = service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new())));
    // The decision is made in the call: the future need not be polled.
    drop(layer.layer(inner).call(request.body(String::new()).unwrap()));
}

/// Every series as `name{label=value,…}` with its value, since the last time.
fn series(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let snapshot = snapshotter.snapshot().into_vec();
    snapshot
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let value = match value {
                DebugValue::Counter(value) => value,
                DebugValue::Gauge(value) => value.into_inner() as u64,
                DebugValue::Histogram(_) => panic!("there is none"),
            };
            let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
            (value > 0).then_some((name, value))
        })
        .collect()
}

fn expected<const N: usize>(pairs: [(&str, u64); N]) -> BTreeMap<String, u64> {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn obs_09_decisions_keys_evictions_and_overflows_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let time = ManualClock::new();
    let layer = layer(&time);
    metrics::with_local_recorder(&recorder, || {
        send(&layer, Some("a"));
        send(&layer, Some("a"));
        send(&layer, Some("b"));
        send(&layer, Some("c"));
        send(&layer, Some("d"));
        time.advance(Duration::from_secs(60));
        send(&layer, Some("c"));
    });
    assert_eq!(
        series(&snapshotter),
        expected([
            ("bartizan_rate_limit_decisions_total{policy=per-device,outcome=allowed}", 4),
            ("bartizan_rate_limit_decisions_total{policy=per-device,outcome=limited}", 2),
            ("bartizan_rate_limit_keys{policy=per-device}", 2),
            ("bartizan_rate_limit_overflows_total{policy=per-device}", 2),
            ("bartizan_rate_limit_evictions_total{policy=per-device}", 1),
        ])
    );
}

#[test]
fn a_recorder_that_comes_when_the_store_is_full_is_told_how_many_keys_there_are() {
    let time = ManualClock::new();
    let layer = layer(&time);
    send(&layer, Some("a"));
    send(&layer, Some("b"));
    // Both live to the end: recorders are told apart by their addresses.
    let recorders = [DebuggingRecorder::new(), DebuggingRecorder::new()];
    let keys = |recorder: &DebuggingRecorder, device| {
        metrics::with_local_recorder(recorder, || send(&layer, Some(device)));
        series(&recorder.snapshotter()).get("bartizan_rate_limit_keys{policy=per-device}").copied()
    };
    assert_eq!(keys(&recorders[0], "c"), Some(2), "an overflow");
    time.advance(Duration::from_secs(60));
    assert_eq!(keys(&recorders[1], "d"), Some(2), "an eviction");
}

#[test]
fn a_recorder_of_its_own_gets_it_all_and_the_one_in_force_nothing() {
    let (own, in_force) = (DebuggingRecorder::new(), DebuggingRecorder::new());
    let (own_series, in_force_series) = (own.snapshotter(), in_force.snapshotter());
    // Set before another setting, to see that it is kept.
    let layer = layer(&ManualClock::new()).with_recorder(own).with_name("own").unwrap();
    metrics::with_local_recorder(&in_force, || send(&layer, Some("a")));
    let keys = series(&own_series);
    assert_eq!(keys["bartizan_rate_limit_decisions_total{policy=own,outcome=allowed}"], 1);
    assert!(series(&in_force_series).is_empty());
}

#[test]
fn obs_09_requests_without_a_key_are_told_apart_when_refused() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = layer(&ManualClock::new()).with_missing_key(MissingKey::Refuse);
    metrics::with_local_recorder(&recorder, || send(&layer, None));
    assert_eq!(
        series(&snapshotter),
        expected([("bartizan_rate_limit_decisions_total{policy=per-device,outcome=no_key}", 1)])
    );
}

#[test]
fn obs_09_callers_cannot_make_series() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = layer(&ManualClock::new());
    metrics::with_local_recorder(&recorder, || {
        for device in 0..10_000 {
            send(&layer, Some(&device.to_string()));
        }
    });
    assert_eq!(snapshotter.snapshot().into_vec().len(), 7, "four outcomes, keys, evictions, overflows");
}

#[test]
fn each_recorder_in_force_gets_what_happens_under_it() {
    let recorders: Vec<_> = (0..7).map(|_| DebuggingRecorder::new()).collect();
    let layer = RateLimitLayer::new("100/s".parse().unwrap()).by(by_device());
    send(&layer, Some("before any recorder was installed"));
    for round in 1..=2 {
        for recorder in &recorders {
            metrics::with_local_recorder(recorder, || send(&layer, Some("a")));
            let name = "bartizan_rate_limit_decisions_total{policy=custom,outcome=allowed}";
            assert_eq!(series(&recorder.snapshotter())[name], 1, "round {round}");
        }
    }
}
