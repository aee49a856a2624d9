//! One request on its way, and when it must be where.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_core::{Clock, Face, Reason, Rejection, RequestContext};

use crate::telemetry::{Stage, Telemetry};

/// What the requests of one layer share.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) layer: &'static str,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

/// When a request must be where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// At the end of its response.
    pub(crate) end: Option<Instant>,
    /// At the head of its response.
    pub(crate) head: Option<Instant>,
    /// How long the response may rest.
    pub(crate) idle: Option<Duration>,
}

/// Whom a refusal answers.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A request to this service.
    Inbound(RequestContext),
    /// A call of this service's own.
    Outbound(Face),
}

impl Origin {
    fn face(&self) -> Face {
        match self {
            Self::Inbound(context) => context.face(),
            Self::Outbound(face) => face.clone(),
        }
    }

    fn record(&self, stage: Stage) {
        match self {
            Self::Inbound(context) => context.event().record("deadline.exceeded", stage.as_str()),
            Self::Outbound(_) => {
                if let Some(context) = bartizan_core::served() {
                    context.event().record("deadline.call_exceeded", stage.as_str());
                }
            }
        }
    }
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) due: Due,
    pub(crate) origin: Origin,
}

impl Call {
    /// When the head must be there.
    pub(crate) fn head_due(&self) -> Option<Instant> {
        [self.due.head, self.due.end].into_iter().flatten().min()
    }

    pub(crate) fn face(&self) -> Face {
        self.origin.face()
    }

    /// It took too long.
    #[cold]
    pub(crate) fn exceeded(&self, stage: Stage) -> Rejection {
        self.keeper.telemetry.exceeded(stage);
        self.origin.record(stage);
        Rejection::new(Reason::DeadlineExceeded).with_layer(self.keeper.layer)
    }

    /// Whether its deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.due.end.is_some_and(|end| end <= self.keeper.clock.now())
    }

    /// Whether what has just failed is a gRPC call of ours whose deadline has passed: then that is why it failed.
    ///
    /// The other side knows the deadline too. It may be the first to give up, and then cancels.
    #[cold]
    pub(crate) fn failed_late(&self) -> bool {
        matches!(&self.origin, Origin::Outbound(face) if face.protocol().is_grpc()) && self.is_over()
    }
}
