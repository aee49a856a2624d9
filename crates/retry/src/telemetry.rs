//! Every metric of the crate, and the names in the wide event.

pub(crate) const EVENT_ATTEMPTS: &str = "retry.attempts";
pub(crate) const EVENT_REASON: &str = "retry.reason";
pub(crate) const EVENT_SKIPPED: &str = "retry.skipped";
pub(crate) const EVENT_HEDGES: &str = "hedge.attempts";

#[cfg(feature = "metrics")]
pub(crate) use self::enabled::{Target, Telemetry};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::{Target, Telemetry};

#[cfg(feature = "metrics")]
mod enabled {
    use std::fmt;

    use bartizan_core::PerRecorder;
    use metrics::{Counter, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};

    use crate::{RetryReason, SkipReason};

    const ATTEMPTS: &str = "bartizan_retry_attempts_total";
    const SKIPPED: &str = "bartizan_retry_skipped_total";
    const EXHAUSTED: &str = "bartizan_retry_budget_exhausted_total";

    /// The reasons of attempts that are no retries.
    const FIRST: &str = "first";
    const HEDGE: &str = "hedge";

    const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

    /// The recorder that a layer counts in: the one in force, unless it was given its own.
    #[derive(Debug, Default)]
    pub(crate) struct Target(PerRecorder<()>);

    impl Target {
        pub(crate) fn pinned(recorder: impl Recorder + Send + Sync + 'static) -> Self {
            Self(PerRecorder::pinned(recorder))
        }
    }

    impl Clone for Target {
        fn clone(&self) -> Self {
            Self(self.0.fork())
        }
    }

    /// The metrics of one layer.
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
        pub(crate) fn new(name: &str, target: &Target) -> Self {
            Self { name: name.to_owned().into(), handles: target.0.fork() }
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
            describe(recorder);
            let name = Label::new("name", name.clone());
            let counter = |metric, reason| {
                let labels = vec![name.clone(), Label::from_static_parts("reason", reason)];
                recorder
                    .register_counter(&Key::from_parts(KeyName::from_const_str(metric), labels), &METADATA)
            };
            let exhausted = Key::from_parts(KeyName::from_const_str(EXHAUSTED), vec![name.clone()]);
            Self {
                first: counter(ATTEMPTS, FIRST),
                hedge: counter(ATTEMPTS, HEDGE),
                attempts: RetryReason::ALL.iter().map(|reason| counter(ATTEMPTS, reason.as_str())).collect(),
                skipped: SkipReason::ALL.iter().map(|reason| counter(SKIPPED, reason.as_str())).collect(),
                exhausted: recorder.register_counter(&exhausted, &METADATA),
            }
        }
    }

    fn describe(recorder: &dyn Recorder) {
        let counter = |name, text: &'static str| {
            recorder.describe_counter(KeyName::from_const_str(name), Some(Unit::Count), text.into());
        };
        counter(ATTEMPTS, "Attempts of outgoing calls, by what they were made for.");
        counter(SKIPPED, "Attempts that failed and were not repeated, by why not.");
        counter(EXHAUSTED, "Retries that the budget did not cover.");
    }

    impl fmt::Debug for Telemetry {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Telemetry").field("name", &self.name).finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use crate::{RetryReason, SkipReason};

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Target;

    #[derive(Debug)]
    pub(crate) struct Telemetry;

    impl Telemetry {
        pub(crate) fn new(_name: &str, _target: &Target) -> Self {
            Self
        }

        pub(crate) fn called(&self) {}

        pub(crate) fn retried(&self, _reason: RetryReason) {}

        pub(crate) fn hedged(&self) {}

        pub(crate) fn skipped(&self, _reason: SkipReason) {}
    }
}
