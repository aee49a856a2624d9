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
pub(crate) use self::enabled::{Queued, Telemetry};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::{Queued, Telemetry};

fn tell_moved(name: &str, limit: u32) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "bartizan::bulkhead", name, limit, "the limit has moved");
    #[cfg(not(feature = "tracing"))]
    let _ = (name, limit);
}

#[cfg(feature = "metrics")]
mod enabled {
    use std::time::Duration;

    use bartizan_core::{PerRecorder, RecorderChoice, Series};
    use metrics::{Counter, Gauge, Histogram, Recorder, SharedString};

    use super::Outcome;

    const DECISIONS: &str = "bartizan_bulkhead_decisions_total";
    const QUEUED: &str = "bartizan_bulkhead_queued";
    const WAIT: &str = "bartizan_bulkhead_wait_seconds";
    const LIMIT: &str = "bartizan_bulkhead_limit";
    const OVERFLOWS: &str = "bartizan_bulkhead_overflows_total";

    /// The metrics of one layer.
    #[derive(Debug)]
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
        pub(crate) fn new(name: &str, recorder: &RecorderChoice) -> Self {
            Self { name: name.to_owned().into(), handles: PerRecorder::of(recorder) }
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

        /// One more waits.
        pub(crate) fn queued(&self) -> Queued {
            let gauge = self.with(|handles| handles.queued.clone());
            gauge.increment(1.0);
            Queued(gauge)
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
        fn with<T>(&self, count: impl FnOnce(&Handles) -> T) -> T {
            self.handles.with(|recorder| Handles::resolve(recorder, &self.name), |handles, _| count(handles))
        }
    }

    /// One who is counted as waiting, until it is dropped. It is so in the recorder of when it came, which may not be the
    /// one in force any more.
    #[derive(Debug)]
    pub(crate) struct Queued(Gauge);

    impl Drop for Queued {
        fn drop(&mut self) {
            self.0.decrement(1.0);
        }
    }

    impl Handles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, name: &SharedString) -> Self {
            let series = Series::new(recorder, module_path!()).labelled("name", name.clone());
            series.describe_counter(DECISIONS, "Requests that a bulkhead decided on.");
            series.describe_counter(
                OVERFLOWS,
                "Requests of keys that found no bulkhead of their own and shared one.",
            );
            series.describe_gauge(QUEUED, "Requests that wait for a place.");
            series.describe_gauge(LIMIT, "How many requests an adaptive limit without a key lets in.");
            series.describe_histogram(WAIT, "How long requests waited for a place.");
            let decisions = |outcome: Outcome| series.counter(DECISIONS, &[("outcome", outcome.as_str())]);
            Self {
                admitted: decisions(Outcome::Admitted),
                waited: decisions(Outcome::Waited),
                exempt: decisions(Outcome::Exempt),
                full: decisions(Outcome::Full),
                timed_out: decisions(Outcome::TimedOut),
                shed: decisions(Outcome::Shed),
                queued: series.gauge(QUEUED, &[]),
                wait: series.histogram(WAIT, &[]),
                limit: series.gauge(LIMIT, &[]),
                overflows: series.counter(OVERFLOWS, &[]),
            }
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use std::time::Duration;

    use bartizan_core::RecorderChoice;

    use super::Outcome;

    #[derive(Debug)]
    pub(crate) struct Telemetry {
        name: Box<str>,
    }

    /// One who waits.
    #[derive(Debug)]
    pub(crate) struct Queued;

    impl Telemetry {
        pub(crate) fn new(name: &str, _recorder: &RecorderChoice) -> Self {
            Self { name: name.into() }
        }

        pub(crate) fn decided(&self, _outcome: Outcome) {}

        pub(crate) fn queued(&self) -> Queued {
            Queued
        }

        pub(crate) fn waited(&self, _waited: Duration) {}

        pub(crate) fn moved(&self, limit: u32, _is_common: bool) {
            super::tell_moved(&self.name, limit);
        }

        pub(crate) fn overflowed(&self) {}
    }
}
