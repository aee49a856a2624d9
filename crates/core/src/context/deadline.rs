use std::time::{Duration, Instant};

use crate::Clock;

/// The instant at which a request must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this instant.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// After this much time from now; `None` when that is later than time can tell.
    pub fn after(clock: &Clock, timeout: Duration) -> Option<Self> {
        clock.now().checked_add(timeout).map(Self)
    }

    /// The instant.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self, clock: &Clock) -> Duration {
        self.0.saturating_duration_since(clock.now())
    }
}
