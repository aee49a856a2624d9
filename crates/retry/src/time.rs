//! Where time comes from.

use std::time::{Instant, SystemTime};

use bartizan_core::Clock;

/// The source of time of a layer.
#[derive(Clone, Default)]
pub(crate) enum Time {
    /// tokio's clock, which a test may pause, and by which all waiting is done. No `Clock`, which would be called
    /// through a pointer for each reading.
    #[default]
    Tokio,
    Injected(Clock),
}

impl Time {
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::Tokio => tokio::time::Instant::now().into_std(),
            Self::Injected(clock) => clock.now(),
        }
    }

    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Self::Tokio => Clock::system().wall(),
            Self::Injected(clock) => clock.wall(),
        }
    }
}
