//! Every metric, event and fact of the crate.

use bartizan_core::RequestContext;

use crate::{Permit, Refused, TransitionEvent};

/// The facts of a request that the breaker looked at, beyond letting it through closed.
pub(crate) fn note_probe(context: Option<&RequestContext>, name: &str, permit: &Permit) {
    let Some(event) = context.map(RequestContext::event).filter(|event| event.is_enabled()) else { return };
    event.record("circuit_breaker.name", name.to_owned());
    event.record("circuit_breaker.state", permit.state().as_str());
}

pub(crate) fn note_refused(context: Option<&RequestContext>, name: &str, refused: Refused) {
    let Some(event) = context.map(RequestContext::event).filter(|event| event.is_enabled()) else { return };
    event.record("circuit_breaker.name", name.to_owned());
    event.record("circuit_breaker.state", refused.state.as_str());
    event.record("circuit_breaker.refused", true);
    event.record("circuit_breaker.retry_after_seconds", refused.retry_after.as_secs_f64());
}

pub(crate) fn note_fallback(context: Option<&RequestContext>) {
    if let Some(context) = context {
        context.event().record("circuit_breaker.fallback", true);
    }
}

/// A change of state, for the log.
#[cfg(feature = "tracing")]
pub(crate) fn log(event: &TransitionEvent) {
    let TransitionEvent { name, key, transition } = event;
    let (from, to, cause) = (transition.from.as_str(), transition.to.as_str(), transition.cause.as_str());
    if transition.to == crate::State::Open {
        tracing::warn!(target: "bartizan", layer = crate::LAYER, %name, %key, from, to, cause, "circuit breaker opened");
    } else {
        tracing::info!(target: "bartizan", layer = crate::LAYER, %name, %key, from, to, cause, "circuit breaker changed state");
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn log(_: &TransitionEvent) {}

#[cfg(feature = "metrics")]
pub(crate) use self::enabled::Telemetry;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::Telemetry;

#[cfg(feature = "metrics")]
mod enabled {
    use bartizan_core::{PerRecorder, RecorderChoice, Series};
    use metrics::{Counter, Gauge, Recorder, SharedString};
    use parking_lot::Mutex;

    use crate::{State, Transition};

    const STATE: &str = "bartizan_circuit_breaker_state";
    const TRANSITIONS: &str = "bartizan_circuit_breaker_transitions_total";
    const REFUSALS: &str = "bartizan_circuit_breaker_refusals_total";

    /// The metrics of one layer.
    #[derive(Debug)]
    pub(crate) struct Telemetry {
        name: SharedString,
        handles: PerRecorder<Handles>,
        /// How many breakers are in each state. The lock is held while gauges are set, so that the last number stays.
        census: Mutex<[u32; State::ALL.len()]>,
    }

    struct Handles {
        states: [Gauge; State::ALL.len()],
        refusals: Counter,
    }

    impl Telemetry {
        pub(crate) fn new(name: &str, recorder: &RecorderChoice) -> Self {
            Self {
                name: name.to_owned().into(),
                handles: PerRecorder::of(recorder),
                census: Mutex::default(),
            }
        }

        /// A breaker was made, and is closed.
        pub(crate) fn added(&self) {
            self.update(|census| census[State::Closed.index()] += 1);
        }

        /// A closed breaker was forgotten.
        pub(crate) fn removed(&self) {
            self.update(|census| {
                let closed = &mut census[State::Closed.index()];
                *closed = closed.saturating_sub(1);
            });
        }

        pub(crate) fn changed(&self, transition: &Transition) {
            self.update(|census| {
                let from = &mut census[transition.from.index()];
                *from = from.saturating_sub(1);
                census[transition.to.index()] += 1;
            });
            // So rare that its handle is not kept; that would be forty-nine of them.
            self.with(|_, recorder| {
                let labels = [("from", transition.from.as_str()), ("to", transition.to.as_str())];
                series(recorder, &self.name).counter(TRANSITIONS, &labels).increment(1);
            });
        }

        pub(crate) fn refused(&self) {
            self.with(|handles, _| handles.refusals.increment(1));
        }

        /// Says again how many breakers are in each state: to a recorder that came later.
        pub(crate) fn refresh(&self) {
            self.update(|_| {});
        }

        fn update(&self, change: impl FnOnce(&mut [u32; State::ALL.len()])) {
            let mut census = self.census.lock();
            change(&mut census);
            self.with(|handles, _| {
                for (gauge, count) in handles.states.iter().zip(&*census) {
                    gauge.set(f64::from(*count));
                }
            });
        }

        fn with(&self, count: impl FnOnce(&Handles, &dyn Recorder)) {
            self.handles.with(|recorder| Handles::resolve(recorder, &self.name), count);
        }
    }

    impl Handles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, name: &SharedString) -> Self {
            let series = series(recorder, name);
            series.describe_gauge(STATE, "Circuit breakers in this state.");
            series.describe_counter(TRANSITIONS, "Changes of state of circuit breakers.");
            series.describe_counter(
                REFUSALS,
                "Requests that a circuit breaker refused, or a fallback answered.",
            );
            let state = |state: State| series.gauge(STATE, &[("state", state.as_str())]);
            Self { states: State::ALL.map(state), refusals: series.counter(REFUSALS, &[]) }
        }
    }

    fn series<'a>(recorder: &'a dyn Recorder, name: &SharedString) -> Series<'a> {
        Series::new(recorder, module_path!()).labelled("name", name.clone())
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use bartizan_core::RecorderChoice;

    use crate::Transition;

    #[derive(Debug)]
    pub(crate) struct Telemetry;

    impl Telemetry {
        pub(crate) fn new(_name: &str, _recorder: &RecorderChoice) -> Self {
            Self
        }

        pub(crate) fn added(&self) {}

        pub(crate) fn removed(&self) {}

        pub(crate) fn changed(&self, _transition: &Transition) {}

        pub(crate) fn refused(&self) {}

        pub(crate) fn refresh(&self) {}
    }
}
