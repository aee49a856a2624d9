//! The answer of a limiter.

use std::time::Duration;

use crate::Rate;

/// What a limiter says to one request, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody obeys limits nothing"]
pub struct Decision {
    allowed: bool,
    cost: u32,
    /// Nanoseconds until the bucket is full again, after this decision.
    backlog: u64,
    rate: Rate,
}

impl Decision {
    pub(crate) fn new(rate: Rate, cost: u32, allowed: bool, backlog: u64) -> Self {
        Self { allowed, cost, backlog, rate }
    }

    /// Whether the request may pass.
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// How many requests may follow at once.
    pub fn remaining(&self) -> u32 {
        let room = self.rate.depth_nanos().saturating_sub(self.backlog);
        u32::try_from(room / self.rate.interval_nanos()).unwrap_or(u32::MAX)
    }

    /// When a request of the same cost will be let through, if nobody comes before it. `None` when this one was,
    /// and when its cost is more than the bucket holds: that one never will be.
    pub fn retry_after(&self) -> Option<Duration> {
        if self.allowed || self.cost > self.rate.capacity() {
            return None;
        }
        // A cost within the capacity keeps this below twice the depth, far from overflow.
        let needed = self.backlog + u64::from(self.cost) * self.rate.interval_nanos();
        Some(Duration::from_nanos(needed.saturating_sub(self.rate.depth_nanos())))
    }

    /// When the bucket will be full again.
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.backlog)
    }

    /// The rate that was applied.
    pub fn rate(&self) -> Rate {
        self.rate
    }
}
