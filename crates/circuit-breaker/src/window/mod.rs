//! The calls that a rate is taken of.

mod count;
mod time;

use std::time::Duration;

use self::count::CountWindow;
pub(crate) use self::time::TimeWindow;
use crate::policy::WindowSize;

/// What a window holds, or one call of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

/// The calls that a rate is taken of. They belong to a generation: those of an earlier one are as if they were not
/// there, and cost nothing to forget.
#[derive(Debug)]
pub(crate) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    pub(crate) fn new(size: WindowSize) -> Self {
        match size {
            WindowSize::Calls(calls) => Self::Count(CountWindow::new(calls)),
            WindowSize::Time { bucket, buckets } => Self::Time(TimeWindow::new(bucket, buckets)),
        }
    }

    /// Adds what one call was; `nanos` is the time since the breaker was made. The totals if they are at hand: else a
    /// later [`totals`](Self::totals) says them.
    pub(crate) fn add(&self, generation: u64, nanos: u64, call: Totals) -> Option<Totals> {
        match self {
            Self::Time(window) => {
                window.add(generation, nanos, call);
                None
            }
            Self::Count(window) => window.add(generation, nanos, call),
        }
    }

    /// What is in the window.
    pub(crate) fn totals(&self, generation: u64, nanos: u64) -> Totals {
        match self {
            Self::Time(window) => window.totals(generation, nanos),
            Self::Count(window) => window.totals(generation),
        }
    }

    /// Whether nothing is in the window that is worth keeping. Time makes a window of time empty; the last calls of a
    /// count window never leave it, so there it is the failed and slow ones that count, until nobody has called for `rest`.
    pub(crate) fn is_idle(&self, generation: u64, nanos: u64, rest: Duration) -> bool {
        match self {
            Self::Time(window) => window.totals(generation, nanos) == Totals::default(),
            Self::Count(window) => window.is_idle(generation, nanos, rest),
        }
    }
}
