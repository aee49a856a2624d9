//! Metric, fact and event names are API.
#![cfg(feature = "metrics")]

mod support;

use std::collections::BTreeMap;

use bartizan_auth::{ApiKey, ApiKeyLayer, AuthorizeLayer, FileKeys, Require, RequireLayer, StaticKeys};
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
fn every_decision_of_a_table_is_counted_and_a_rehearsal_apart() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let table = AuthorizeLayer::table()
        .public("GET", "/health")
        .route("GET", "/orders", Require::scope("a"))
        .route("GET", "/tenant", Require::tenant("acme"))
        .build()
        .unwrap();
    let by = |target: &str| {
        let mut request = get(target).body(String::new()).unwrap();
        RequestContext::of(&mut request).set_principal(Principal::user("x").scopes(["a"]).build());
        request
    };
    let rehearsal = table.clone().with_dry_run();
    with_local_recorder(&recorder, || {
        wait(async {
            for target in ["/health", "/orders", "/tenant", "/other", "/a//b"] {
                send(&table, by(target)).await;
                send(&rehearsal, by(target)).await;
            }
            send(&table, get("/orders").body(String::new()).unwrap()).await;
        });
    });
    let expected = counts([
        ("authorize bypassed none", 2),
        ("authorize accepted none", 2),
        ("authorize refused wrong_tenant", 1),
        ("authorize refused uncovered", 1),
        ("authorize refused ambiguous_path", 1),
        ("authorize refused no_principal", 1),
        ("authorize would_refuse wrong_tenant", 1),
        ("authorize would_refuse uncovered", 1),
        ("authorize would_refuse ambiguous_path", 1),
    ]);
    assert_eq!(counted(&snapshotter), expected);
}

#[test]
fn obs_09_ten_thousand_paths_without_a_rule_make_one_series() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let table = AuthorizeLayer::table().public("GET", "/health").build().unwrap();
    with_local_recorder(&recorder, || {
        wait(async {
            for index in 0..10_000 {
                send(&table, get(&format!("/{index}")).body(String::new()).unwrap()).await;
            }
        });
    });
    assert_eq!(counted(&snapshotter), counts([("authorize refused uncovered", 10_000)]));
}

#[test]
fn readings_of_a_key_file_are_counted_by_outcome() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let path = std::env::temp_dir().join(format!("bartizan-telemetry-{}", std::process::id()));
    with_local_recorder(&recorder, || {
        std::fs::write(&path, "[]").unwrap();
        let (keys, _watch) = FileKeys::open(&path).unwrap();
        keys.reload().unwrap();
        std::fs::write(&path, "rubbish").unwrap();
        keys.reload().unwrap_err();
        std::fs::remove_file(&path).unwrap();
        keys.reload().unwrap_err();
    });
    let seen: BTreeMap<_, _> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, .., value)| {
            let (_, key) = key.into_parts();
            assert_eq!(key.name(), "bartizan_auth_key_file_reloads_total");
            let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
            (format!("{labels:?}"), value)
        })
        .collect();
    let expected = [("failed", 2), ("loaded", 1)]
        .map(|(outcome, count)| (format!("{:?}", [("outcome", outcome)]), DebugValue::Counter(count)));
    assert_eq!(seen, expected.into());
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

#[test]
fn log_06_a_rehearsal_is_a_fact_of_its_own() {
    let layer = RequireLayer::scope("b").with_dry_run();
    let mut request = Request::default();
    let context = RequestContext::of(&mut request);
    context.set_principal(Principal::user("x").build());
    context.event().enable();
    assert_eq!(wait(send(&layer, request)).status(), 200);
    let facts = context.event().read(|facts| facts.to_vec());
    assert_eq!(facts, [("auth.would_refuse", Fact::from("insufficient_scope"))]);
}
