//! The metrics: names, labels and values are API.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::support::{PNG, file, layer, part, upload};

#[tokio::test]
async fn obs_09_failures_are_counted_by_code() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = layer().with_recorder(recorder);
    upload(&layer, &[file("a.png", "image/png", PNG)]).await;
    upload(&layer, &[file("a.exe", "image/png", PNG)]).await;
    upload(&layer.clone().with_report_only(), &[file("a.exe", "image/png", PNG)]).await;
    upload(&layer, &[part("a", "; filename*=x", b"")]).await;
    upload(&layer, &[part("a", "", &vec![0; 1 << 20])]).await;
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
    let count = |code: &str, value| (format!("bartizan_upload_failures_total{{code={code}}}"), value);
    let expected =
        [count("content_too_large", 1), count("file_extension", 2), count("multipart_extended_name", 1)];
    assert_eq!(series, expected);
}
