//! The answer of an open breaker.

use bartizan_core::{Reason, Rejection};

use crate::{LAYER, Refused};

/// 503 with `Retry-After`, or UNAVAILABLE with `RetryInfo` (CB-04). Neither the key nor the upstream is told.
#[cold]
pub(crate) fn of(refused: Refused) -> Rejection {
    Rejection::new(Reason::CircuitOpen).with_layer(LAYER).with_retry_after(refused.retry_after)
}
