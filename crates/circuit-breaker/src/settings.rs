//! What all breakers of a layer have in common.

use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{
    Classify, ClientClassifier, Clock, Ending, GrpcCode, Outcome, PathSet, RecorderChoice, Verdict,
};
use http::StatusCode;

use crate::{BreakerPolicy, TransitionEvent, subscription::Subscribers, telemetry::Telemetry};

/// What may be set, before any breaker is made from it.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) name: Arc<str>,
    pub(crate) policy: Arc<BreakerPolicy>,
    pub(crate) clock: Clock,
    pub(crate) classifier: Classifier,
    /// The longest pause that an upstream may ask for.
    pub(crate) most_pause: Option<Duration>,
    pub(crate) max_breakers: usize,
    pub(crate) exempt: PathSet,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) recorder: RecorderChoice,
}

pub(crate) type Listener = Arc<dyn Fn(&TransitionEvent) + Send + Sync>;

impl Settings {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            name: "default".into(),
            policy: Arc::new(policy),
            clock: Clock::system(),
            classifier: Classifier::Client { limited_is_failure: false },
            most_pause: None,
            max_breakers: 1024,
            exempt: PathSet::default(),
            listeners: Vec::new(),
            recorder: RecorderChoice::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The settings, and what is counted and told for all breakers of a layer together.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) telemetry: Telemetry,
    pub(crate) subscribers: Subscribers,
}

impl Common {
    pub(crate) fn new(settings: Settings) -> Self {
        let telemetry = Telemetry::new(&settings.name, &settings.recorder);
        Self { settings, telemetry, subscribers: Subscribers::default() }
    }
}

/// What is a failure.
#[derive(Clone)]
pub(crate) enum Classifier {
    /// CB-07.
    Client {
        limited_is_failure: bool,
    },
    Own(Arc<dyn Classify + Send + Sync>),
}

impl Classifier {
    #[inline(always)]
    pub(crate) fn verdict(&self, outcome: Outcome) -> Verdict {
        match self {
            Self::Client { limited_is_failure } => {
                if *limited_is_failure && is_limited(&outcome) {
                    Verdict::Failure
                } else {
                    ClientClassifier.classify(&outcome)
                }
            }
            // Moved, so that only here it must stand in memory.
            Self::Own(classifier) => {
                let outcome = outcome;
                classifier.classify(&outcome)
            }
        }
    }
}

/// Whether the upstream, and not a layer of this side, says that it gets too much.
#[cold]
fn is_limited(outcome: &Outcome) -> bool {
    let says_so = match outcome.grpc {
        Some(code) => code == GrpcCode::ResourceExhausted,
        None => outcome.status == Some(StatusCode::TOO_MANY_REQUESTS),
    };
    // Hardly anybody reads the body of an error.
    let was_said = matches!(outcome.ending, Ending::Completed | Ending::ClientAborted);
    says_so && was_said && outcome.rejection.is_none()
}
