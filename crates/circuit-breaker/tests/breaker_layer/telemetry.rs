//! Metrics, facts and events.
#![cfg(all(feature = "metrics", feature = "scope", feature = "tracing"))]

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use bartizan_circuit_breaker::Single;
use bartizan_core::{Fact, RequestContext};
use bartizan_testkit::TestBody;
use http::Request;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::{Layer, ServiceExt};
use tracing_subscriber::layer::SubscriberExt;

use super::{HOST, KEY, SECOND, Upstream, touchy};

/// The series of the breaker, as `name{label=value,…} value`, without gauges that are zero.
fn series(snapshotter: &Snapshotter) -> Vec<String> {
    let mut series: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let key = key.key();
            let mut labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            labels.sort();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.0,
                DebugValue::Histogram(_) => return None,
            };
            (value > 0.0).then(|| format!("{}{{{}}} {value}", key.name(), labels.join(",")))
        })
        .collect();
    series.sort();
    series
}

#[tokio::test]
async fn obs_09_states_changes_and_refusals_are_counted_without_keys() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let (layer, time) = touchy();
    let layer = layer.with_name("suppliers").unwrap().with_recorder(recorder);
    let upstream = Upstream::new(200);
    upstream.call(&layer, "http://billing.internal/").await;
    upstream.says(503);
    upstream.call(&layer, HOST).await;
    upstream.call(&layer, HOST).await;
    let expected = [
        "bartizan_circuit_breaker_refusals_total{name=suppliers} 1",
        "bartizan_circuit_breaker_state{name=suppliers,state=closed} 1",
        "bartizan_circuit_breaker_state{name=suppliers,state=open} 1",
        "bartizan_circuit_breaker_transitions_total{from=closed,name=suppliers,to=open} 1",
    ];
    assert_eq!(series(&snapshotter), expected);
    time.advance(30 * SECOND);
    upstream.says(200);
    upstream.call(&layer, HOST).await;
    let changed = series(&snapshotter);
    assert!(changed.contains(&"bartizan_circuit_breaker_state{name=suppliers,state=closed} 2".to_owned()));
    assert!(!changed.iter().any(|line| line.contains("state=open")), "{changed:?}");
    for host in 0..1_000 {
        upstream.call(&layer, &format!("http://host-{host}.internal/")).await;
    }
    let many = series(&snapshotter);
    assert!(many.len() < 10 && !many.iter().any(|line| line.contains("internal")), "{many:?}");
}

#[tokio::test]
async fn obs_09_a_recorder_that_comes_later_hears_of_the_states_with_the_next_report() {
    let (layer, _) = touchy();
    let upstream = Upstream::new(503);
    upstream.call(&layer, HOST).await;
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || layer.handle().report());
    assert_eq!(
        series(&recorder.snapshotter()),
        ["bartizan_circuit_breaker_state{name=default,state=open} 1"]
    );
}

#[tokio::test]
async fn the_wide_event_tells_of_refusals_and_probes() {
    let (layer, time) = touchy();
    let layer = layer.with_name("suppliers").unwrap().by(Single);
    let upstream = Upstream::new(503);
    let facts = async |inbound: bool| {
        let mut request = Request::get(HOST).body(TestBody::empty()).unwrap();
        let context = RequestContext::of(&mut Request::new(()));
        context.event().enable();
        if inbound {
            request.extensions_mut().insert(context.clone());
        }
        // An outgoing request has no context of its own; it is made within that of another.
        let call = layer.layer(upstream.script.service()).oneshot(request);
        drop(bartizan_core::Scoped::new(context.clone(), call).await);
        context.event().read(<[_]>::to_vec)
    };
    assert_eq!(facts(true).await, [], "closed: nothing to tell");
    let refused = [
        ("circuit_breaker.name", Fact::from("suppliers".to_owned())),
        ("circuit_breaker.state", Fact::from("open")),
        ("circuit_breaker.refused", Fact::from(true)),
        ("circuit_breaker.retry_after_seconds", Fact::from(30.0)),
    ];
    assert_eq!(facts(true).await, refused);
    assert_eq!(facts(false).await, refused, "in the event of the request it is made for");
    time.advance(30 * SECOND);
    let probe = facts(false).await;
    assert_eq!(probe[1], ("circuit_breaker.state", Fact::from("half_open")));
    assert_eq!(probe.len(), 2);
}

/// Keeps what events say.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
}

#[tokio::test]
async fn a_change_is_an_event_and_opening_is_a_warning() {
    let heard = Heard::default();
    let _guard = bartizan_testkit::listen(tracing_subscriber::registry().with(heard.clone()));
    let (layer, time) = touchy();
    let upstream = Upstream::new(503);
    upstream.call(&layer, HOST).await;
    time.advance(30 * SECOND);
    upstream.says(200);
    upstream.call(&layer, HOST).await;
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len(), 3, "{heard:?}");
    for part in
        ["WARN", "name=default", KEY, "from=\"closed\"", "to=\"open\"", "cause=\"consecutive_failures\""]
    {
        assert!(heard[0].contains(part), "{part}: {}", heard[0]);
    }
    assert!(heard[1].starts_with("INFO") && heard[2].contains("to=\"closed\""));
}
