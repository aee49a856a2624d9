//! The sliding window counter.
//!
//! Time is cut into windows of one period. The estimate of what a caller used within the last period is the count
//! of this window, and of the one before it the share that still lies within: `current + previous × (1 − elapsed /
//! period)`. It is exact for callers that spread their requests evenly.

use crate::{
    Charge, Rate,
    decision::Level,
    quota::Quota,
    store::{Algorithm, Bucket},
};

/// The counts of one key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// When nothing of it counts any more.
    empty_at: u64,
    started: u64,
    current: u32,
    previous: u32,
}

impl Bucket for Window {
    fn full_at(&self) -> u64 {
        self.empty_at
    }
}

impl Window {
    /// The same as of `now`: what was this window may be the one before by now.
    fn at(self, rate: Rate, now: u64) -> Self {
        let period = rate.period_nanos();
        match now.saturating_sub(self.started) / period {
            0 if self.started != 0 || self.current != 0 => self,
            1 => Self { started: self.started + period, current: 0, previous: self.current, ..self },
            _ => Self { started: now - now % period, current: 0, previous: 0, ..self },
        }
    }

    fn level(self, now: u64) -> Level {
        let elapsed = now.saturating_sub(self.started);
        Level::Window { current: self.current, previous: self.previous, elapsed }
    }

    fn with_current(self, current: u32, rate: Rate) -> Self {
        let windows = match (current, self.previous) {
            (0, 0) => 0,
            (0, _) => 1,
            _ => 2,
        };
        Self { current, empty_at: self.started.saturating_add(windows * rate.period_nanos()), ..self }
    }
}

/// Decides by [`Window`]s.
#[derive(Debug)]
pub(crate) struct SlidingWindow;

impl Algorithm for SlidingWindow {
    type Bucket = Window;

    fn level(rate: Rate, window: Window, now: u64) -> Level {
        window.at(rate, now).level(now)
    }

    fn spend(quota: &Quota, window: Window, now: u64, cost: u32) -> Option<Window> {
        let window = window.at(quota.rate, now);
        let room = window.level(now).window_room(quota.rate);
        let fits = room >= i128::from(cost) * i128::from(quota.rate.period_nanos());
        fits.then(|| window.with_current(window.current.saturating_add(cost), quota.rate))
    }

    fn drain(rate: Rate, window: Window, now: u64, cost: u32) -> Window {
        let window = window.at(rate, now);
        let counted = window.current.saturating_add(cost).min(rate.capacity()).max(window.current);
        window.with_current(counted, rate)
    }

    fn settle(rate: Rate, window: Window, now: u64, charge: Charge) -> Window {
        let window = window.at(rate, now);
        let current = match charge {
            Charge::Nothing => window.current,
            Charge::More(n) => {
                let most = rate.capacity().saturating_mul(2).max(window.current);
                window.current.saturating_add(n).min(most)
            }
            Charge::Refund(n) => window.current.saturating_sub(n),
        };
        window.with_current(current, rate)
    }
}
