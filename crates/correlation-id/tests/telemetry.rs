//! The names and values that dashboards and log queries rely on.
#![cfg(any(feature = "metrics", feature = "tracing"))]

mod support;

use bartizan_correlation_id::CorrelationIdLayer;
use http::Request;
use support::send;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn request(id: &[u8]) -> Request<()> {
    Request::builder().header("x-request-id", id).body(()).unwrap()
}

#[cfg(feature = "metrics")]
mod metric {
    use bartizan_correlation_id::Trust;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    /// What was counted, as (reason, count).
    fn counted(run: impl FnOnce()) -> Vec<(String, u64)> {
        counted_by(&DebuggingRecorder::new(), run)
    }

    fn counted_by(recorder: &DebuggingRecorder, run: impl FnOnce()) -> Vec<(String, u64)> {
        let snapshotter = recorder.snapshotter();
        metrics::with_local_recorder(recorder, run);
        let mut counted = Vec::new();
        for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
            let key = key.key();
            assert_eq!(key.name(), "bartizan_request_ids_replaced_total");
            assert!(unit.is_some() && description.is_some());
            let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
            let [("reason", reason)] = labels[..] else { panic!("{labels:?}") };
            let DebugValue::Counter(count) = value else { panic!("{value:?} is no counter") };
            if count > 0 {
                counted.push((reason.to_owned(), count));
            }
        }
        counted.sort();
        counted
    }

    #[test]
    fn cid_02_replaced_ids_are_counted_by_reason() {
        let layer = CorrelationIdLayer::new();
        let counts = counted(|| {
            for id in [b"good".as_slice(), b"a b", b"a b", b"", &[b'x'; 129], b"a,b"] {
                block_on(send(&layer, request(id)));
            }
            block_on(send(&layer.clone().with_trust(Trust::Edge), request(b"good")));
        });
        let expected = [("bad_character", 2), ("empty", 1), ("list", 1), ("too_long", 1), ("untrusted", 1)];
        assert_eq!(counts, expected.map(|(reason, count)| (reason.to_owned(), count)));
    }

    #[test]
    fn a_recorder_installed_later_is_used() {
        let layer = CorrelationIdLayer::new();
        block_on(send(&layer, request(b"a b")));
        for recorder in &[DebuggingRecorder::new(), DebuggingRecorder::new()] {
            let counts = counted_by(recorder, || {
                block_on(send(&layer, request(b"a b")));
            });
            assert_eq!(counts, [("bad_character".to_owned(), 1)]);
        }
    }

    #[test]
    fn a_request_whose_id_is_good_counts_nothing() {
        assert_eq!(
            counted(|| {
                block_on(send(&CorrelationIdLayer::new(), request(b"good")));
            }),
            []
        );
    }
}

#[cfg(feature = "tracing")]
mod event {
    use bartizan_testkit::TestLog;

    use super::*;

    fn written(run: impl FnOnce()) -> String {
        let log = TestLog::default();
        let _guard = log.listen(tracing::Level::DEBUG);
        run();
        log.text()
    }

    #[test]
    fn cid_02_a_replacement_is_told_without_the_original() {
        let written = written(|| {
            block_on(send(&CorrelationIdLayer::new(), request(b"s3cret s3cret")));
        });
        assert_eq!(written.lines().count(), 1, "{written}");
        for part in ["DEBUG", "bartizan::correlation_id", "id=\"request_id\"", "reason=\"bad_character\""] {
            assert!(written.contains(part), "{part} in {written}");
        }
        assert!(!written.contains("s3cret"), "{written}");
    }

    #[test]
    fn cid_04_the_ids_are_on_the_span_that_has_room_for_them() {
        let written = written(|| {
            let empty = tracing::field::Empty;
            let span = tracing::info_span!("request", request_id = empty, correlation_id = empty);
            let _entered = span.enter();
            block_on(send(&CorrelationIdLayer::new(), request(b"r-1")));
            tracing::info!("handled");
        });
        assert!(written.contains("request{request_id=\"r-1\" correlation_id=\"r-1\"}: "), "{written}");
    }

    #[test]
    fn cid_04_a_layer_further_in_does_not_write_the_ids_again() {
        let written = written(|| {
            let span = tracing::info_span!("request", request_id = tracing::field::Empty);
            let _entered = span.enter();
            block_on(send(&(CorrelationIdLayer::new(), CorrelationIdLayer::new()), request(b"r-1")));
            tracing::info!("handled");
        });
        assert!(written.contains("request{request_id=\"r-1\"}: "), "{written}");
    }
}
