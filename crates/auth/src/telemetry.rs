//! Every metric, event and fact of this crate, by name.

use bartizan_core::RequestContext;

use crate::Failure;

/// How many decisions were made, by scheme, outcome and reason.
#[cfg(feature = "metrics")]
const DECISIONS: &str = "bartizan_auth_decisions_total";

/// The facts of the wide event.
mod fact {
    pub(super) const SCHEME: &str = "auth.scheme";
    pub(super) const OUTCOME: &str = "auth.outcome";
    pub(super) const KEY_ID: &str = "auth.key_id";
    pub(super) const FAILURE: &str = "auth.failure";
}

/// Who decides: the label `scheme`.
pub(crate) mod scheme {
    pub(crate) const API_KEY: &str = "api_key";
    pub(crate) const REQUIRE: &str = "require";
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Accepted,
    /// Nothing was presented, and nothing is required.
    Anonymous,
    /// The path is open.
    Bypassed,
    Refused(Failure),
}

impl Decision {
    fn outcome(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Anonymous => "anonymous",
            Self::Bypassed => "bypassed",
            Self::Refused(_) => "refused",
        }
    }

    #[cfg(any(feature = "metrics", feature = "tracing"))]
    fn reason(self) -> &'static str {
        match self {
            Self::Refused(failure) => failure.as_str(),
            _ => "none",
        }
    }
}

/// Counts and tells what one layer decides. Clones count together.
#[derive(Clone)]
pub(crate) struct Telemetry {
    scheme: &'static str,
    #[cfg(feature = "metrics")]
    counters: std::sync::Arc<metric::Counters>,
}

impl Telemetry {
    pub(crate) fn new(scheme: &'static str) -> Self {
        Self {
            scheme,
            #[cfg(feature = "metrics")]
            counters: std::sync::Arc::default(),
        }
    }

    /// Counts in `recorder`, whatever recorder is in force.
    #[cfg(feature = "metrics")]
    pub(crate) fn pin(&mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) {
        self.counters = std::sync::Arc::new(metric::Counters::pinned(recorder));
    }

    /// A decision, and the public part of the key that it is about.
    #[inline]
    pub(crate) fn decided(&self, context: Option<&RequestContext>, decision: Decision, key_id: Option<&str>) {
        #[cfg(feature = "metrics")]
        self.counters.increment(self.scheme, decision);
        if let Some(context) = context
            && context.event().is_enabled()
        {
            self.record(context, decision, key_id);
        }
        self.tell(decision, key_id);
    }

    fn record(&self, context: &RequestContext, decision: Decision, key_id: Option<&str>) {
        let event = context.event();
        if let Decision::Refused(failure) = decision {
            event.record(fact::FAILURE, failure.as_str());
        }
        if self.scheme == scheme::REQUIRE {
            return; // The authentication layer's scheme, key and outcome stand.
        }
        event.record(fact::SCHEME, self.scheme);
        event.record(fact::OUTCOME, decision.outcome());
        if let Some(id) = key_id {
            event.record(fact::KEY_ID, id.to_owned());
        }
    }

    #[cfg(feature = "tracing")]
    #[inline]
    fn tell(&self, decision: Decision, key_id: Option<&str>) {
        let (outcome, reason) = (decision.outcome(), decision.reason());
        match decision {
            Decision::Refused(_) => {
                tracing::info!(target: "bartizan::auth", scheme = self.scheme, outcome, reason, key_id, "refused");
            }
            _ => {
                tracing::debug!(target: "bartizan::auth", scheme = self.scheme, outcome, reason, key_id, "let pass");
            }
        }
    }

    #[cfg(not(feature = "tracing"))]
    fn tell(&self, _: Decision, _: Option<&str>) {}
}

#[cfg(feature = "metrics")]
mod metric {
    use std::{
        ptr,
        sync::{Arc, OnceLock},
    };

    use arc_swap::ArcSwapOption;
    use metrics::{Counter, Key, Label, Level, Metadata, Recorder, Unit};

    use super::{DECISIONS, Decision, Failure};

    /// One place per decision: accepted, anonymous, bypassed, then the failures.
    const PLACES: usize = 3 + Failure::COUNT;

    fn place(decision: Decision) -> usize {
        match decision {
            Decision::Accepted => 0,
            Decision::Anonymous => 1,
            Decision::Bypassed => 2,
            Decision::Refused(failure) => 3 + failure as usize,
        }
    }

    /// A handle per decision, resolved on its first use for the recorder in force, and again when another one is.
    #[derive(Default)]
    pub(super) struct Counters {
        pinned: Option<Box<dyn Recorder + Send + Sync>>,
        /// For the first recorder met, which most often is the only one: cheaper to read.
        first: OnceLock<Resolved>,
        other: ArcSwapOption<Resolved>,
    }

    struct Resolved {
        recorder: usize,
        counters: [OnceLock<Counter>; PLACES],
    }

    impl Counters {
        pub(super) fn pinned(recorder: impl Recorder + Send + Sync + 'static) -> Self {
            Self { pinned: Some(Box::new(recorder)), ..Self::default() }
        }

        #[inline]
        pub(super) fn increment(&self, scheme: &'static str, decision: Decision) {
            match &self.pinned {
                Some(recorder) => self.increment_in(&**recorder, scheme, decision),
                None => {
                    metrics::with_recorder(|recorder| self.increment_in(recorder, scheme, decision));
                }
            }
        }

        #[inline]
        fn increment_in(&self, recorder: &dyn Recorder, scheme: &'static str, decision: Decision) {
            let address = ptr::from_ref(recorder).addr();
            let first = self.first.get_or_init(|| Resolved::new(address));
            if first.recorder == address {
                return first.increment(recorder, scheme, decision);
            }
            self.increment_in_other(recorder, address, scheme, decision);
        }

        fn increment_in_other(
            &self,
            recorder: &dyn Recorder,
            address: usize,
            scheme: &'static str,
            decision: Decision,
        ) {
            if let Some(resolved) = &*self.other.load()
                && resolved.recorder == address
            {
                return resolved.increment(recorder, scheme, decision);
            }
            let fresh = Resolved::new(address);
            fresh.increment(recorder, scheme, decision);
            self.other.store(Some(Arc::new(fresh)));
        }
    }

    impl Resolved {
        fn new(recorder: usize) -> Self {
            Self { recorder, counters: [const { OnceLock::new() }; PLACES] }
        }

        fn increment(&self, recorder: &dyn Recorder, scheme: &'static str, decision: Decision) {
            self.counters[place(decision)].get_or_init(|| resolve(recorder, scheme, decision)).increment(1);
        }
    }

    #[cold]
    fn resolve(recorder: &dyn Recorder, scheme: &'static str, decision: Decision) -> Counter {
        recorder.describe_counter(
            DECISIONS.into(),
            Some(Unit::Count),
            "Decisions over credentials and rights, by scheme, outcome and reason.".into(),
        );
        let labels = vec![
            Label::from_static_parts("scheme", scheme),
            Label::from_static_parts("outcome", decision.outcome()),
            Label::from_static_parts("reason", decision.reason()),
        ];
        let metadata = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
        recorder.register_counter(&Key::from_parts(DECISIONS, labels), &metadata)
    }
}
