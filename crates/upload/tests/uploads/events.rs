//! What is said as `tracing` events.

use bartizan_testkit::TestLog;

use crate::support::{PNG, file, layer, upload};

#[tokio::test(flavor = "current_thread")]
async fn log_06_a_refused_file_is_told_by_its_fixed_name_and_not_by_its_own() {
    let log = TestLog::default();
    let _guard = log.listen(tracing::Level::INFO);
    let layer = layer();
    upload(&layer, &[file("a.png", "image/png", PNG)]).await;
    assert_eq!(log.text(), "", "nothing is wrong");
    upload(&layer, &[file("secret.exe", "image/png", PNG)]).await;
    upload(&layer.with_report_only(), &[file("secret.exe", "image/png", PNG)]).await;
    let text = log.text();
    let said: Vec<_> = text.lines().collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    for (line, told) in said.iter().zip(["refused", "this file would be refused"]) {
        assert!(line.contains(&format!("INFO bartizan::upload: {told} ")), "{line}");
        assert!(line.contains("event=\"upload_validation_fail\" code=\"file_extension\""), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
}
