//! Who is shed last.

use std::{fmt, sync::Arc};

use bartizan_core::RequestHead;

/// How important a request is when there is not room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Served when nobody else waits, and the first to be shed.
    Low,
    /// What most requests are.
    #[default]
    Normal,
    /// Served before all that wait, may take the [reserved](crate::BulkheadLayer::with_reserved) places, and is shed
    /// last: critical tenants, health checks that must not fail because the service is busy.
    High,
    /// Takes no place, and is never refused: for what costs nothing, such as a probe of liveness.
    Exempt,
}

/// Says how important requests are.
#[derive(Clone)]
pub(crate) struct Priorities(Arc<Choose>);

type Choose = dyn Fn(&RequestHead<'_>) -> Priority + Send + Sync;

impl Priorities {
    pub(crate) fn new(choose: impl Fn(&RequestHead<'_>) -> Priority + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    pub(crate) fn of(&self, head: &RequestHead<'_>) -> Priority {
        (self.0)(head)
    }
}

impl Default for Priorities {
    /// gRPC's own health checks come before all else (GRPC-15).
    fn default() -> Self {
        Self::new(|head| {
            if head.uri().path().starts_with("/grpc.health.v1.Health/") {
                Priority::High
            } else {
                Priority::Normal
            }
        })
    }
}

impl fmt::Debug for Priorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Priorities").finish_non_exhaustive()
    }
}
