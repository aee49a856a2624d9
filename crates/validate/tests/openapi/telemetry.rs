//! The metrics: names, labels and values are API.

use bartizan_validate::{OpenApi, Unlisted};
use metrics_util::debugging::DebuggingRecorder;

use crate::{get, layer_with, send};

#[tokio::test]
async fn obs_09_failures_are_counted_by_place_and_code_and_never_by_a_callers_text() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let paths = "
security: [{ key: [] }]
paths:
  /x/{id}:
    get:
      security: []
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer } }
        - { name: n, in: query, schema: { type: integer } }
  /y: { get: {} }
components: { securitySchemes: { key: { type: apiKey, in: header, name: k } } }
";
    let options = OpenApi::options().with_unlisted(Unlisted::Refuse).with_strict_query();
    let layer = layer_with(paths, options).with_recorder(recorder);
    for caller in 0..50 {
        for uri in [
            format!("/x/a{caller}?n=b{caller}"),
            format!("/x/1?c{caller}=1"),
            format!("/{caller}"),
            "/y".to_owned(),
        ] {
            send(&layer, get(&uri)).await;
        }
    }
    let mut series: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, ..)| {
            key.key().labels().map(|label| label.value().to_owned()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    series.sort();
    assert_eq!(
        series,
        ["header unauthenticated", "path not_found", "path type", "query type", "query unknown_parameter"]
    );
}
