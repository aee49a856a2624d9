//! Metric, fact and event names are API.
#![cfg(feature = "metrics")]

mod support;

use std::collections::BTreeMap;

use bartizan_auth::{ApiKey, ApiKeyLayer, RequireLayer, StaticKeys};
use bartizan_core::{Fact, Principal, RequestContext};
use http::Request;
use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use self::support::{get, send, with_key};

/// Runs on this thread, where the local recorder is.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What was counted since the last look, as `scheme outcome reason`.
fn counted(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let series = snapshotter.snapshot().into_vec().into_iter().map(|(key, .., value)| {
        let (_, key) = key.into_parts();
        assert_eq!(key.name(), "bartizan_auth_decisions_total");
        let names: Vec<_> = key.labels().map(metrics::Label::key).collect();
        assert_eq!(names, ["scheme", "outcome", "reason"]);
        let DebugValue::Counter(count) = value else { panic!("not a counter") };
        (key.labels().map(metrics::Label::value).collect::<Vec<_>>().join(" "), count)
    });
    series.filter(|(_, count)| *count > 0).collect()
}

fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.into_iter().map(|(labels, count)| (labels.to_owned(), count)).collect()
}

fn text(value: &str) -> Request<String> {
    get("/").header("x-api-key", value).body(String::new()).unwrap()
}

#[test]
fn every_decision_is_counted_by_scheme_outcome_and_reason() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let key = ApiKey::generate("orders").unwrap();
    let keys = StaticKeys::new([key.record("billing").with_scopes(["a"])]).unwrap();
    let layer = ApiKeyLayer::new(keys).with_bypass("/health").unwrap();
    let optional = layer.clone().optional();
    let require = RequireLayer::scope("b");
    with_local_recorder(&recorder, || {
        wait(async {
            for _ in 0..2 {
                send(&layer, with_key(&key)).await;
            }
            send(&layer, get("/health").body(String::new()).unwrap()).await;
            send(&optional, Request::default()).await;
            send(&layer, Request::default()).await;
            send(&layer, text("nonsense")).await;
            send(&layer, with_key(&ApiKey::generate("orders").unwrap())).await;
            send(&layer, with_key(&key.record("x").rotate().unwrap())).await;
            send(&layer, text("a,b")).await;
            send(&require, Request::default()).await;
            for scope in ["a", "b"] {
                let mut request = Request::default();
                let principal = Principal::service("x").scopes([scope]).build();
                RequestContext::of(&mut request).set_principal(principal);
                send(&require, request).await;
            }
            send(&RequireLayer::role("admin"), {
                let mut request = Request::default();
                RequestContext::of(&mut request).set_principal(Principal::service("x").build());
                request
            })
            .await;
        });
    });
    let expected = counts([
        ("api_key accepted none", 2),
        ("api_key anonymous none", 1),
        ("api_key bypassed none", 1),
        ("api_key refused ambiguous", 1),
        ("api_key refused malformed", 1),
        ("api_key refused missing", 1),
        ("api_key refused unknown_key", 1),
        ("api_key refused wrong_secret", 1),
        ("require accepted none", 1),
        ("require refused insufficient_role", 1),
        ("require refused insufficient_scope", 1),
        ("require refused no_principal", 1),
    ]);
    assert_eq!(counted(&snapshotter), expected);
}

#[test]
fn obs_09_ten_thousand_callers_make_a_constant_number_of_series() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    with_local_recorder(&recorder, || {
        wait(async {
            for _ in 0..10_000 {
                send(&layer, with_key(&ApiKey::generate("orders").unwrap())).await;
            }
        });
    });
    assert_eq!(counted(&snapshotter), counts([("api_key refused unknown_key", 10_000)]));
}

#[test]
fn a_recorder_that_is_installed_later_is_found_and_a_pinned_one_stays() {
    let (first, second, pinned) =
        (DebuggingRecorder::new(), DebuggingRecorder::new(), DebuggingRecorder::new());
    let snapshotters = [first.snapshotter(), second.snapshotter(), pinned.snapshotter()];
    let layer = ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let own = layer.clone().with_recorder(pinned);
    let one = |layer| wait(send(layer, Request::default()));
    one(&layer);
    for recorder in [&first, &second, &first] {
        with_local_recorder(recorder, || (one(&layer), one(&own)));
    }
    let missing = |count| counts([("api_key refused missing", count)]);
    assert_eq!(snapshotters.map(|snapshotter| counted(&snapshotter)), [missing(2), missing(1), missing(3)]);
}

#[test]
fn log_06_the_wide_event_names_the_key_and_the_reason() {
    let key = ApiKey::generate("orders").unwrap();
    let forgery = key.record("x").rotate().unwrap();
    let layer = ApiKeyLayer::new(StaticKeys::new([key.record("billing")]).unwrap());
    let facts = |mut request: Request<String>| {
        let context = RequestContext::of(&mut request);
        context.event().enable();
        wait(send(&layer, request));
        context.event().read(|facts| facts.iter().cloned().collect::<BTreeMap<&str, Fact>>())
    };
    let id = || Fact::from(key.id().to_owned());
    let scheme = ("auth.scheme", Fact::from("api_key"));
    let accepted = [scheme.clone(), ("auth.outcome", "accepted".into()), ("auth.key_id", id())];
    assert_eq!(facts(with_key(&key)), accepted.into());
    let refused = ("auth.outcome", Fact::from("refused"));
    let wrong =
        [scheme.clone(), refused.clone(), ("auth.failure", "wrong_secret".into()), ("auth.key_id", id())];
    assert_eq!(facts(with_key(&forgery)), wrong.into());
    let missing = [scheme, refused, ("auth.failure", "missing".into())];
    assert_eq!(facts(Request::default()), missing.into());
}
