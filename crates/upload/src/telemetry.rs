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
        if report_only {
            tracing::info!(target: "bartizan::upload", code, "this file would be refused");
        }
    }
}

#[cfg(feature = "metrics")]
mod enabled {
    use std::{
        fmt,
        sync::{Mutex, PoisonError},
    };

    use bartizan_core::PerRecorder;
    use metrics::{Counter, Key, KeyName, Label, Level, Metadata, Recorder, Unit};

    const FAILURES: &str = "bartizan_upload_failures_total";
    const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

    /// A counter for each code that was met: texts of the program, so that there are few.
    #[derive(Default)]
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
                let labels = vec![Label::from_static_parts("code", code)];
                let counter = recorder.register_counter(&Key::from_parts(FAILURES, labels), &METADATA);
                counter.increment(1);
                known.push((code, counter));
            });
        }
    }

    #[cold]
    fn describe(recorder: &dyn Recorder) -> Mutex<Vec<(&'static str, Counter)>> {
        let text = "What was wrong with uploads, by rule.";
        recorder.describe_counter(KeyName::from_const_str(FAILURES), Some(Unit::Count), text.into());
        Mutex::default()
    }

    impl fmt::Debug for Counters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Counters").finish_non_exhaustive()
        }
    }
}
