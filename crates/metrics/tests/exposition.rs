//! What a scraper reads.

mod support;

use std::{collections::BTreeMap, convert::Infallible, future::ready, time::Duration};

use bartizan_core::{Clock, ManualClock, MatchedRoute, Reason, Rejection, ResponseBody};
use bartizan_metrics::{
    DURATION_BUCKETS, HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION, MetricsLayer, REJECTIONS, RPC_CLIENT_CALL_DURATION,
    RPC_SERVER_CALL_DURATION,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use support::{get, grpc, request};
use tower::{Layer, service_fn};

/// The buckets, each with its bound, and the count.
type Histogram = (Vec<(f64, u64)>, Option<u64>);

/// As `README.md` sets one up.
fn recorder() -> PrometheusRecorder {
    let durations = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(durations, &DURATION_BUCKETS);
    builder.unwrap().build_recorder()
}

/// The text after requests that took `millis` each, some refused.
fn exposition(millis: &[u64]) -> String {
    let recorder = recorder();
    let handle = recorder.handle();
    let manual = ManualClock::new();
    let layer = MetricsLayer::new()
        .with_recorder(recorder)
        .with_active_requests(true)
        .with_clock(Clock::from(manual.clone()));
    for millis in millis {
        let mut service = layer.layer(service_fn(|request: Request<()>| {
            manual.advance(Duration::from_millis(*millis));
            let refusal = Rejection::new(Reason::RateLimited).with_layer("rate_limit");
            let response = match request.uri().path() {
                "/refused" => refusal.answer(&request),
                _ => Response::new(ResponseBody::forward(Full::<Bytes>::from("hello"))),
            };
            ready(Ok::<_, Infallible>(response))
        }));
        for path in ["/fine", "/refused"] {
            let mut routed = get(path);
            routed.extensions_mut().insert(MatchedRoute::template("/a\"b\\c\nd"));
            request(&mut service, routed);
        }
        request(&mut service, grpc("/refused"));
    }
    handle.run_upkeep();
    handle.render()
}

#[test]
fn obs_10_the_text_has_help_and_type_once_per_family() {
    let text = exposition(&[1, 20, 300]);
    for (name, kind) in [
        (HTTP_SERVER_REQUEST_DURATION, "histogram"),
        (RPC_SERVER_CALL_DURATION, "histogram"),
        (HTTP_SERVER_ACTIVE_REQUESTS, "gauge"),
        (REJECTIONS, "counter"),
    ] {
        assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1, "{name}\n{text}");
        assert_eq!(text.matches(&format!("# TYPE {name} {kind}\n")).count(), 1, "{name}\n{text}");
    }
    assert!(text.contains("\nhttp_server_active_requests 0\n"), "{text}");
    assert!(
        text.contains("bartizan_rejections_total{layer=\"rate_limit\",code=\"rate_limited\"} 6"),
        "{text}"
    );
}

#[test]
fn obs_10_the_infinite_bucket_is_the_count_and_buckets_never_shrink() {
    let text = exposition(&[1, 20, 300, 60_000]);
    let mut histograms: BTreeMap<String, Histogram> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        if let Some(family) = name.strip_suffix("_bucket") {
            let (labels, bound) = labels.split_once("le=\"").unwrap();
            let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf").parse().unwrap();
            let key = format!("{family}{{{}", labels.trim_end_matches(','));
            histograms.entry(key).or_default().0.push((bound, value.parse().unwrap()));
        } else if let Some(family) = name.strip_suffix("_count") {
            let key = format!("{family}{{{}", labels.trim_end_matches('}'));
            histograms.entry(key).or_default().1 = Some(value.parse().unwrap());
        }
    }
    assert_eq!(histograms.len(), 3, "{histograms:?}");
    for (series, (buckets, count)) in histograms {
        let bounds: Vec<_> = buckets.iter().map(|(bound, _)| *bound).collect();
        assert_eq!(bounds[..14], DURATION_BUCKETS, "{series}");
        assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{series}: {buckets:?}");
        let (last, infinite) = buckets[14];
        assert!(last.is_infinite());
        assert_eq!(Some(infinite), count, "{series}");
        assert_eq!((count, buckets[13].1), (Some(4), 3), "{series}: a minute is beyond the last bound");
    }
}

#[test]
fn obs_07_every_duration_has_the_boundaries_whichever_layer_measures_it() {
    let recorder = recorder();
    let names = [
        HTTP_SERVER_REQUEST_DURATION,
        RPC_SERVER_CALL_DURATION,
        HTTP_CLIENT_REQUEST_DURATION,
        RPC_CLIENT_CALL_DURATION,
        // Of other layers.
        "bartizan_bulkhead_wait_seconds",
        "bartizan_layer_self_seconds",
    ];
    metrics::with_local_recorder(&recorder, || {
        names.iter().for_each(|name| metrics::histogram!(*name).record(0.02));
    });
    let handle = recorder.handle();
    handle.run_upkeep();
    let text = handle.render();
    for name in names {
        for bound in
            DURATION_BUCKETS.map(|bound| bound.to_string()).iter().map(String::as_str).chain(["+Inf"])
        {
            let line = format!("{name}_bucket{{le=\"{bound}\"}} ");
            assert_eq!(text.matches(&line).count(), 1, "{line}\n{text}");
        }
    }
}

#[test]
fn the_readme_shows_the_recorder_of_these_tests() {
    let readme = include_str!("../README.md");
    let shown = r#".set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)?"#;
    assert!(readme.contains(shown));
}

#[test]
fn obs_10_label_values_are_escaped() {
    let text = exposition(&[1]);
    assert!(text.contains(r#"http_route="/a\"b\\c\nd""#), "{text}");
}
