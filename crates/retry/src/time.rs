//! The clock that tokio sleeps by.

use std::time::{Instant, SystemTime};

use bartizan_core::{Clock, TimeSource};

/// tokio's clock, which a test may pause.
pub(crate) fn tokio_clock() -> Clock {
    Clock::new(TokioTime)
}

struct TokioTime;

impl TimeSource for TokioTime {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        Clock::system().wall()
    }
}
