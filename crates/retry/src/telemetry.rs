//! Every metric of the crate, and the names in the wide event.

pub(crate) const EVENT_ATTEMPTS: &str = "retry.attempts";
pub(crate) const EVENT_REASON: &str = "retry.reason";
pub(crate) const EVENT_SKIPPED: &str = "retry.skipped";
pub(crate) const EVENT_HEDGES: &str = "hedge.attempts";

#[cfg(feature = "metrics")]
pub(crate) use self::enabled::Telemetry;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::Telemetry;

#[cfg(feature = "metrics")]
mod enabled {
    use bartizan_core::{PerRecorder, RecorderChoice, Series};
    use metrics::{Counter, Recorder, SharedString};

    use crate::{RetryReason, SkipReason};

    const ATTEMPTS: &str = "bartizan_retry_attempts_total";
    const SKIPPED: &str = "bartizan_retry_skipped_total";
    const EXHAUSTED: &str = "bartizan_retry_budget_exhausted_total";

    /// The reasons of attempts that are no retries.
    const FIRST: &str = "first";
    const HEDGE: &str = "hedge";

    /// The metrics of one layer.
    #[derive(Debug)]
    pub(crate) struct Telemetry {
        name: SharedString,
        handles: PerRecorder<Handles>,
    }

    struct Handles {
        first: Counter,
        hedge: Counter,
        attempts: Vec<Counter>,
        skipped: Vec<Counter>,
        exhausted: Counter,
    }

    impl Telemetry {
        pub(crate) fn new(name: &str, recorder: &RecorderChoice) -> Self {
            Self { name: name.to_owned().into(), handles: PerRecorder::of(recorder) }
        }

        #[inline]
        pub(crate) fn called(&self) {
            self.with(|handles| handles.first.increment(1));
        }

        pub(crate) fn retried(&self, reason: RetryReason) {
            self.with(|handles| handles.attempts[reason as usize].increment(1));
        }

        pub(crate) fn hedged(&self) {
            self.with(|handles| handles.hedge.increment(1));
        }

        pub(crate) fn skipped(&self, reason: SkipReason) {
            self.with(|handles| {
                handles.skipped[reason as usize].increment(1);
                if reason == SkipReason::Budget {
                    handles.exhausted.increment(1);
                }
            });
        }

        #[inline]
        fn with(&self, count: impl FnOnce(&Handles)) {
            self.handles.with(|recorder| Handles::resolve(recorder, &self.name), |handles, _| count(handles));
        }
    }

    impl Handles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, name: &SharedString) -> Self {
            let series = Series::new(recorder, module_path!()).labelled("name", name.clone());
            series.describe_counter(ATTEMPTS, "Attempts of outgoing calls, by what they were made for.");
            series.describe_counter(SKIPPED, "Attempts that failed and were not repeated, by why not.");
            series.describe_counter(EXHAUSTED, "Retries that the budget did not cover.");
            let attempts = |reason| series.counter(ATTEMPTS, &[("reason", reason)]);
            let skipped = |reason: &SkipReason| series.counter(SKIPPED, &[("reason", reason.as_str())]);
            Self {
                first: attempts(FIRST),
                hedge: attempts(HEDGE),
                attempts: RetryReason::ALL.iter().map(|reason| attempts(reason.as_str())).collect(),
                skipped: SkipReason::ALL.iter().map(skipped).collect(),
                exhausted: series.counter(EXHAUSTED, &[]),
            }
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use bartizan_core::RecorderChoice;

    use crate::{RetryReason, SkipReason};

    #[derive(Debug)]
    pub(crate) struct Telemetry;

    impl Telemetry {
        pub(crate) fn new(_name: &str, _recorder: &RecorderChoice) -> Self {
            Self
        }

        pub(crate) fn called(&self) {}

        pub(crate) fn retried(&self, _reason: RetryReason) {}

        pub(crate) fn hedged(&self) {}

        pub(crate) fn skipped(&self, _reason: SkipReason) {}
    }
}
