//! Every metric, event and fact of the crate.

use bartizan_core::{Rejection, RequestContext};

/// Told of every refusal, and of what would have been one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "metrics")]
    counters: std::sync::Arc<enabled::Counters>,
}

impl Telemetry {
    #[cfg(feature = "metrics")]
    pub(crate) fn pinned(recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Self { counters: std::sync::Arc::new(enabled::Counters::pinned(recorder)) }
    }

    pub(crate) fn failed(&self, rejection: &Rejection, context: Option<&RequestContext>, report_only: bool) {
        // Never anything of the caller's.
        let code = rejection
            .violations()
            .first()
            .map_or_else(|| rejection.reason().code(), |violation| violation.code());
        if let Some(context) = context {
            context.event().record("upload.code", code);
            context.event().record("upload.report_only", report_only);
        }
        #[cfg(feature = "metrics")]
        self.counters.count(code);
        #[cfg(feature = "tracing")]
        {
            // The fixed name that OWASP's logging vocabulary has for it (LOG-06). A bug is none of the caller's.
            let event = rejection.reason().status().is_client_error().then_some("upload_validation_fail");
            if report_only {
                tracing::info!(target: "bartizan::upload", event, code, "this file would be refused");
            } else {
                tracing::info!(target: "bartizan::upload", event, code, "refused");
            }
        }
    }
}

#[cfg(feature = "metrics")]
mod enabled {
    use std::sync::{Mutex, PoisonError};

    use bartizan_core::{PerRecorder, Series};
    use metrics::{Counter, Recorder};

    const FAILURES: &str = "bartizan_upload_failures_total";

    /// A counter for each code that was met: texts of the program, so that there are few.
    #[derive(Debug, Default)]
    pub(crate) struct Counters(PerRecorder<Mutex<Vec<(&'static str, Counter)>>>);

    impl Counters {
        pub(crate) fn pinned(recorder: impl Recorder + Send + Sync + 'static) -> Self {
            Self(PerRecorder::pinned(recorder))
        }

        pub(crate) fn count(&self, code: &'static str) {
            self.0.with(describe, |known, recorder| {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, counter)) = known.iter().find(|(known, _)| *known == code) {
                    counter.increment(1);
                    return;
                }
                let counter = Series::new(recorder, module_path!()).counter(FAILURES, &[("code", code)]);
                counter.increment(1);
                known.push((code, counter));
            });
        }
    }

    #[cold]
    fn describe(recorder: &dyn Recorder) -> Mutex<Vec<(&'static str, Counter)>> {
        Series::new(recorder, module_path!())
            .describe_counter(FAILURES, "What was wrong with uploads, by rule.");
        Mutex::default()
    }
}
