//! What a layer says is heard, whoever else says it.
#![cfg(feature = "tracing")]

use std::thread;

use bartizan_testkit::TestLog;
use tracing::Level;

fn say() {
    tracing::info!(whom = "all", "said");
}

#[test]
fn what_a_thread_without_a_log_said_first_is_heard_of_one_with_a_log() {
    let log = TestLog::default();
    let guard = log.listen(Level::INFO);
    thread::spawn(say).join().unwrap();
    assert_eq!(log.text(), "", "each thread has a log of its own");
    say();
    tracing::debug!("not at this level");
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("INFO") && text.contains("said") && text.contains("whom=\"all\""), "{text}");
    drop(guard);
    say();
    assert_eq!(log.text(), text, "nobody listens any more");
}
