//! What is said as `tracing` events.

use bartizan_testkit::TestLog;
use bartizan_validate::{JsonSchema, JsonSchemaLayer};
use serde_json::json;

use crate::support::{post, send};

#[tokio::test(flavor = "current_thread")]
async fn log_06_a_refused_input_is_told_by_its_fixed_name_and_nothing_of_it_is() {
    let log = TestLog::default();
    let _guard = log.listen(tracing::Level::INFO);
    let schema = JsonSchema::new(&json!({ "properties": { "email": { "type": "string" } } })).unwrap();
    let layer = JsonSchemaLayer::new(schema);
    assert_eq!(send(&layer, post(r#"{"email":"ada@example.com"}"#)).await.status(), 200);
    assert_eq!(log.text(), "", "nothing is wrong");
    assert_eq!(send(&layer, post(r#"{"email":4711}"#)).await.status(), 422);
    assert_eq!(send(&layer.with_report_only(), post(r#"{"email":4711}"#)).await.status(), 200);
    let text = log.text();
    let said: Vec<_> = text.lines().collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    for (line, told) in said.iter().zip(["refused", "this request would be refused"]) {
        assert!(line.contains(&format!("INFO bartizan::validate: {told} ")), "{line}");
        assert!(line.contains("event=\"input_validation_fail\" location=\"body\" code=\"type\""), "{line}");
        assert!(!line.contains("4711"), "{line}");
    }
}
