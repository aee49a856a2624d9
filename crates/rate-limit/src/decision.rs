//! The answer of a limiter.

use std::{borrow::Cow, time::Duration};

use crate::Rate;

/// What a limiter says to one request, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody obeys limits nothing"]
pub struct Decision {
    allowed: bool,
    cost: u32,
    level: Level,
    rate: Rate,
}

/// How much of a quota is used, after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Nanoseconds until the bucket is full again.
    Bucket { backlog: u64 },
    /// The counts of this window and of the one before it, and the nanoseconds of this one that have passed.
    Window { current: u32, previous: u32, elapsed: u64 },
}

impl Decision {
    pub(crate) fn new(rate: Rate, cost: u32, allowed: bool, level: Level) -> Self {
        Self { allowed, cost, level, rate }
    }

    /// Whether the request may pass.
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// How many requests may follow at once.
    pub fn remaining(&self) -> u32 {
        self.level.remaining(self.rate)
    }

    /// When a request of the same cost will be let through, if nobody comes before it. `None` when this one was,
    /// and when its cost is more than the quota ever holds: that one never will be.
    pub fn retry_after(&self) -> Option<Duration> {
        let wait = || self.level.wait(self.rate, self.cost);
        if self.allowed { None } else { wait().map(Duration::from_nanos) }
    }

    /// When one more request than [`remaining`](Self::remaining) may follow; `None` when nothing is used.
    pub fn more_after(&self) -> Option<Duration> {
        self.more_than(self.remaining()).map(Duration::from_nanos)
    }

    /// The nanoseconds until one more than so many requests may follow; `None` when that is more than it ever holds.
    pub(crate) fn more_than(&self, remaining: u32) -> Option<u64> {
        self.level.wait(self.rate, remaining.checked_add(1)?)
    }

    /// When nothing will be used any more.
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.level.reset(self.rate))
    }

    /// The rate that was applied.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// What was asked for.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

impl Level {
    fn remaining(self, rate: Rate) -> u32 {
        match self {
            Self::Bucket { backlog } => {
                let room = rate.depth_nanos().saturating_sub(backlog);
                u32::try_from(room / rate.interval_nanos()).unwrap_or(u32::MAX)
            }
            Self::Window { .. } => {
                let room = self.window_room(rate).max(0) / i128::from(rate.period_nanos());
                u32::try_from(room).unwrap_or(u32::MAX)
            }
        }
    }

    /// The nanoseconds until `cost` fits; `None` when it never does.
    pub(crate) fn wait(self, rate: Rate, cost: u32) -> Option<u64> {
        if cost > rate.capacity() {
            return None;
        }
        match self {
            Self::Bucket { backlog } => {
                // A cost within the capacity keeps this below three times the depth, far from overflow.
                let needed = backlog + u64::from(cost) * rate.interval_nanos();
                Some(needed.saturating_sub(rate.depth_nanos()))
            }
            Self::Window { current, previous, elapsed } => {
                let period = i128::from(rate.period_nanos());
                let lacking = i128::from(cost) * period - self.window_room(rate);
                let left = period - i128::from(elapsed);
                let nanos = |nanos: i128| u64::try_from(nanos.max(0)).ok();
                if lacking <= 0 {
                    return Some(0);
                }
                // What was before this window fades out until its end,
                if let Some(wait) = ceiling(lacking, previous)
                    && wait <= left
                {
                    return nanos(wait);
                }
                // and what is in this one during the next.
                let lacking =
                    (i128::from(cost) + i128::from(current)) * period - i128::from(rate.capacity()) * period;
                nanos(left + ceiling(lacking.max(0), current).unwrap_or(0))
            }
        }
    }

    /// The same after so many nanoseconds in which nothing was taken.
    #[cfg(feature = "redis")]
    pub(crate) fn aged(self, rate: Rate, nanos: u64) -> Self {
        match self {
            Self::Bucket { backlog } => Self::Bucket { backlog: backlog.saturating_sub(nanos) },
            Self::Window { current, previous, elapsed } => {
                let (period, elapsed) = (rate.period_nanos(), elapsed.saturating_add(nanos));
                match elapsed / period {
                    0 => Self::Window { current, previous, elapsed },
                    1 => Self::Window { current: 0, previous: current, elapsed: elapsed - period },
                    _ => Self::Window { current: 0, previous: 0, elapsed: elapsed % period },
                }
            }
        }
    }

    /// The same after so much was given back.
    #[cfg(feature = "redis")]
    pub(crate) fn given_back(self, rate: Rate, cost: u32) -> Self {
        match self {
            Self::Bucket { backlog } => Self::Bucket {
                backlog: backlog.saturating_sub(u64::from(cost).saturating_mul(rate.interval_nanos())),
            },
            Self::Window { current, previous, elapsed } => {
                Self::Window { current: current.saturating_sub(cost), previous, elapsed }
            }
        }
    }

    fn reset(self, rate: Rate) -> u64 {
        match self {
            Self::Bucket { backlog } => backlog,
            Self::Window { current: 0, previous: 0, .. } => 0,
            Self::Window { current, elapsed, .. } => {
                rate.period_nanos() * if current > 0 { 2 } else { 1 } - elapsed
            }
        }
    }

    /// What a window has room for, in requests times nanoseconds of its period.
    pub(crate) fn window_room(self, rate: Rate) -> i128 {
        let Self::Window { current, previous, elapsed } = self else { return 0 };
        let period = i128::from(rate.period_nanos());
        (i128::from(rate.capacity()) - i128::from(current)) * period
            - i128::from(previous) * (period - i128::from(elapsed))
    }
}

fn ceiling(dividend: i128, divisor: u32) -> Option<i128> {
    let divisor = i128::from(divisor);
    (divisor > 0).then(|| (dividend + divisor - 1) / divisor)
}

/// What the limits of a request decided, for its handler: an extension of the request, if
/// [`with_extension`](crate::RateLimitLayer::with_extension) asked for it.
#[derive(Clone, Debug, Default)]
pub struct Decisions(pub(crate) Vec<(Cow<'static, str>, Decision)>);

impl Decisions {
    /// Each limit's name and decision, of the outermost layer first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Decision)> {
        self.0.iter().map(|(name, decision)| (&**name, decision))
    }

    /// The decision of the limit of this name.
    pub fn get(&self, name: &str) -> Option<&Decision> {
        self.iter().find_map(|(known, decision)| (known == name).then_some(decision))
    }
}
