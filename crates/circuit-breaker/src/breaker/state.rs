//! What a breaker is, says and tells.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::word::Word;

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// All calls pass, and are counted.
    Closed,
    /// No call passes.
    Open,
    /// A few calls pass, as probes.
    HalfOpen,
    /// The probes have succeeded, and a growing share of the calls passes. Only with a
    /// [ramp-up](crate::BreakerPolicy::with_ramp_up).
    Recovering,
    /// No call passes until someone says so.
    ForcedOpen,
    /// All calls pass, and none is counted.
    ForcedClosed,
    /// All calls pass and are counted, and the breaker never opens.
    MetricsOnly,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::Recovering,
        Self::ForcedOpen,
        Self::ForcedClosed,
        Self::MetricsOnly,
    ];

    /// The name in metrics, events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Recovering => "recovering",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::MetricsOnly => "metrics_only",
        }
    }

    /// The place in [`ALL`](Self::ALL).
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Too many calls failed.
    FailureRate,
    /// Too many calls were slow.
    SlowCallRate,
    /// Too many calls failed one after the other.
    ConsecutiveFailures,
    /// The open time is over.
    OpenTimeOver,
    /// The probes have failed.
    ProbesFailed,
    /// The probes did not end.
    ProbesHung,
    /// The probes have succeeded.
    ProbesSucceeded,
    /// The probes have failed or hung, but no more breakers may be [open](crate::BreakerPolicy::with_open_share): closed,
    /// for what may not be open is called.
    OpenShareReached,
    /// The last step of the ramp-up is over.
    RampOver,
    /// Somebody said so.
    Forced,
    /// Nobody had called it for long, and its place was [wanted](crate::CircuitBreakerLayer::with_max_breakers): the last
    /// change of a breaker that was not closed.
    Forgotten,
}

impl Cause {
    /// The name in events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::OpenTimeOver => "open_time_over",
            Self::ProbesFailed => "probes_failed",
            Self::ProbesHung => "probes_hung",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::OpenShareReached => "open_share_reached",
            Self::RampOver => "ramp_over",
            Self::Forced => "forced",
            Self::Forgotten => "forgotten",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of state. Whoever causes it gets it, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Instant,
    /// The number of this change: 1 for the first of a breaker. Two threads may tell of two changes the other way round.
    pub number: u64,
}

/// A call that may be made. Give it back with [`Breaker::record`](crate::Breaker::record), whatever became of the call.
///
/// A probe that is not given back holds its permit until it [hangs](crate::BreakerPolicy::with_half_open_wait).
#[derive(Debug)]
#[must_use = "a permit that is not given back is a probe that hangs"]
pub struct Permit {
    /// The state in which it was given, and its generation.
    pub(super) word: Word,
    /// When the call began, in the clock's nanoseconds, if that matters.
    pub(super) started: u64,
}

impl Permit {
    /// One that nobody gave.
    pub(crate) fn unused() -> Self {
        Self { word: Word::new(0, State::Closed), started: 0 }
    }

    /// The state in which the call was let through: [`State::HalfOpen`] for a probe.
    pub fn state(&self) -> State {
        self.word.state()
    }
}

/// A call that may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The state in which it was refused.
    pub state: State,
    /// When to come again: the rest of the open time; a second while probes are under way or the breaker ramps up; the
    /// whole open time when it is forced open, which nobody knows the end of.
    pub retry_after: Duration,
}

/// What a breaker says to a call.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "a permit that is not given back is a probe that hangs"]
pub struct Admission {
    /// Whether the call may be made.
    pub result: Result<Permit, Refused>,
    /// The change of state that came with it: time had passed.
    pub transition: Option<Transition>,
}

/// What is known of a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// For how long it has been in it.
    pub since: Duration,
    /// The rest of the open time; `None` in any other state.
    pub remaining: Option<Duration>,
    /// The calls in the window.
    pub calls: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How many of them were slow.
    pub slow_calls: u64,
}

impl Snapshot {
    /// The share of failed calls in the window, in percent; `None` without calls.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn failure_rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.failures as f64 * 100.0 / self.calls as f64)
    }
}
