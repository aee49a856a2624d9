//! The metrics: names, labels and values are API.

use crate::support::{post, send};
use bartizan_validate::{JsonLayer, OtherMedia};
use http::Request;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

#[tokio::test]
async fn obs_09_failures_are_counted_by_place_and_code() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = JsonLayer::new().with_recorder(recorder).with_other_media(OtherMedia::Refuse);
    send(&layer, post("{}")).await;
    send(&layer, post("[")).await;
    send(&layer.clone().with_report_only(), post("[1,")).await;
    let plain = Request::post("/").header("content-type", "text/plain");
    send(&layer, plain.body(bartizan_testkit::TestBody::full("x")).unwrap()).await;

    let mut series: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let DebugValue::Counter(value) = value else { panic!("only counters") };
            (format!("{}{{{}}}", key.key().name(), labels.join(",")), value)
        })
        .collect();
    series.sort();
    assert_eq!(
        series,
        [
            ("bartizan_validation_failures_total{location=body,code=json_syntax}".to_owned(), 2),
            ("bartizan_validation_failures_total{location=header,code=unsupported_media_type}".to_owned(), 1),
        ]
    );
}
