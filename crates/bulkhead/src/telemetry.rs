//! Every metric and event of the crate.

use crate::rooms::Refused;

/// What was decided about a request, as the label `outcome` and in the wide event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was a place.
    Admitted,
    /// It waited, and got one.
    Waited,
    /// It needs none.
    Exempt,
    /// There was none, and no place to wait.
    Full,
    /// It waited, and got none in time.
    TimedOut,
    /// It waited, and made room for one who is more important.
    Shed,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Waited => "waited",
            Self::Exempt => "exempt",
            Self::Full => "full",
            Self::TimedOut => "timed_out",
            Self::Shed => "shed",
        }
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::TimedOut => Self::TimedOut,
            Refused::Shed => Self::Shed,
        }
    }
}

#[cfg(feature = "metrics")]
pub(crate) use self::enabled::{Target, Telemetry};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::{Target, Telemetry};

fn tell_moved(name: &str, limit: u32) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "bartizan::bulkhead", name, limit, "the limit has moved");
    #[cfg(not(feature = "tracing"))]
    let _ = (name, limit);
}

#[cfg(feature = "metrics")]
mod enabled {
    use std::{fmt, time::Duration};

    use bartizan_core::PerRecorder;
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
    };

    use super::Outcome;

    const DECISIONS: &str = "bartizan_bulkhead_decisions_total";
    const QUEUED: &str = "bartizan_bulkhead_queued";
    const WAIT: &str = "bartizan_bulkhead_wait_seconds";
    const LIMIT: &str = "bartizan_bulkhead_limit";
    const OVERFLOWS: &str = "bartizan_bulkhead_overflows_total";

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
        admitted: Counter,
        waited: Counter,
        exempt: Counter,
        full: Counter,
        timed_out: Counter,
        shed: Counter,
        queued: Gauge,
        wait: Histogram,
        limit: Gauge,
        overflows: Counter,
    }

    impl Telemetry {
        pub(crate) fn new(name: &str, target: &Target) -> Self {
            Self { name: name.to_owned().into(), handles: target.0.fork() }
        }

        #[inline]
        pub(crate) fn decided(&self, outcome: Outcome) {
            self.with(|handles| {
                match outcome {
                    Outcome::Admitted => &handles.admitted,
                    Outcome::Waited => &handles.waited,
                    Outcome::Exempt => &handles.exempt,
                    Outcome::Full => &handles.full,
                    Outcome::TimedOut => &handles.timed_out,
                    Outcome::Shed => &handles.shed,
                }
                .increment(1);
            });
        }

        /// One more waits, or one less.
        pub(crate) fn queued(&self, by: f64) {
            self.with(|handles| handles.queued.increment(by));
        }

        pub(crate) fn waited(&self, waited: Duration) {
            self.with(|handles| handles.wait.record(waited.as_secs_f64()));
        }

        /// The limit has moved. Keys are no labels: of theirs there are too many.
        pub(crate) fn moved(&self, limit: u32, is_common: bool) {
            super::tell_moved(&self.name, limit);
            if is_common {
                self.with(|handles| handles.limit.set(f64::from(limit)));
            }
        }

        pub(crate) fn overflowed(&self) {
            self.with(|handles| handles.overflows.increment(1));
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
            let decisions = |outcome: Outcome| {
                let labels = vec![name.clone(), Label::from_static_parts("outcome", outcome.as_str())];
                recorder.register_counter(&Key::from_parts(DECISIONS, labels), &METADATA)
            };
            let own = |metric| Key::from_parts(KeyName::from_const_str(metric), vec![name.clone()]);
            Self {
                admitted: decisions(Outcome::Admitted),
                waited: decisions(Outcome::Waited),
                exempt: decisions(Outcome::Exempt),
                full: decisions(Outcome::Full),
                timed_out: decisions(Outcome::TimedOut),
                shed: decisions(Outcome::Shed),
                queued: recorder.register_gauge(&own(QUEUED), &METADATA),
                wait: recorder.register_histogram(&own(WAIT), &METADATA),
                limit: recorder.register_gauge(&own(LIMIT), &METADATA),
                overflows: recorder.register_counter(&own(OVERFLOWS), &METADATA),
            }
        }
    }

    fn describe(recorder: &dyn Recorder) {
        let counter = |name: &'static str, text: &'static str| {
            recorder.describe_counter(KeyName::from_const_str(name), Some(Unit::Count), text.into());
        };
        counter(DECISIONS, "Requests that a bulkhead decided on.");
        counter(OVERFLOWS, "Requests of keys that found no bulkhead of their own and shared one.");
        let gauge = |name: &'static str, text: &'static str| {
            recorder.describe_gauge(KeyName::from_const_str(name), Some(Unit::Count), text.into());
        };
        gauge(QUEUED, "Requests that wait for a place.");
        gauge(LIMIT, "How many requests an adaptive limit without a key lets in.");
        recorder.describe_histogram(
            KeyName::from_const_str(WAIT),
            Some(Unit::Seconds),
            "How long requests waited for a place.".into(),
        );
    }

    impl fmt::Debug for Telemetry {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Telemetry").field("name", &self.name).finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use std::time::Duration;

    use super::Outcome;

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Target;

    #[derive(Debug)]
    pub(crate) struct Telemetry {
        name: Box<str>,
    }

    impl Telemetry {
        pub(crate) fn new(name: &str, _target: &Target) -> Self {
            Self { name: name.into() }
        }

        pub(crate) fn decided(&self, _outcome: Outcome) {}

        pub(crate) fn queued(&self, _by: f64) {}

        pub(crate) fn waited(&self, _waited: Duration) {}

        pub(crate) fn moved(&self, limit: u32, _is_common: bool) {
            super::tell_moved(&self.name, limit);
        }

        pub(crate) fn overflowed(&self) {}
    }
}
