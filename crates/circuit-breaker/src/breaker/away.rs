//! What a breaker knows when it is not simply closed. All of it is behind one lock, and so is every change of state.

use std::time::{Duration, Instant};

use crate::policy::{BreakerPolicy, Growth, Ramp, Recovery};

#[derive(Debug)]
pub(super) struct Away {
    /// The number of the last change of state.
    pub(super) number: u64,
    /// Since when the breaker is in its state.
    pub(super) since: Instant,
    /// When it may be called again, while it is open.
    pub(super) until: Instant,
    /// For how long it was, or is, to stay open.
    pub(super) open_for: Duration,
    /// How many recoveries failed since it was closed; for a sweep, how many times it was open.
    pub(super) failed: u32,
    pub(super) probes: Probes,
    pub(super) climb: Climb,
}

/// The probes of a half-open breaker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    pub(super) issued: u32,
    ended: u32,
    failed: u32,
    slow: u32,
    /// When the last of them was issued, or the first could have been.
    pub(super) last: Instant,
}

/// What the probes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdicts {
    /// Not all of them have ended.
    Pending,
    Good,
    Bad,
}

/// Where a breaker is in its ramp-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climb {
    step: usize,
    step_began: Instant,
    /// The calls of this step.
    seen: u64,
}

impl Away {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            number: 0,
            since: now,
            until: now,
            open_for: Duration::ZERO,
            failed: 0,
            probes: Probes::new(now),
            climb: Climb::new(now),
        }
    }

    /// Says how long the breaker is open this time, `epoch` being when it was made, and `at_least` what the upstream
    /// asked for.
    pub(super) fn open(&mut self, policy: &BreakerPolicy, epoch: Instant, now: Instant, at_least: Duration) {
        if let Growth::Times { interval, .. } = policy.growth {
            let sweeps = sweeps(epoch, now, interval).saturating_sub(sweeps(epoch, self.since, interval));
            self.failed = self.failed.saturating_sub(u32::try_from(sweeps).unwrap_or(u32::MAX));
        }
        self.open_for = policy.open_time(self.failed).max(at_least);
        self.until = now + self.open_for;
        if let Recovery::Sweep { interval } = policy.recovery {
            let full = sweeps(epoch, self.until, interval);
            let sweep = epoch + interval.saturating_mul(u32::try_from(full).unwrap_or(u32::MAX));
            self.until = if sweep < self.until { sweep + interval } else { sweep };
        }
        self.failed = match policy.growth {
            Growth::Times { cap, .. } if policy.open_time.saturating_mul(self.failed) >= cap => self.failed,
            _ => self.failed.saturating_add(1),
        };
    }
}

/// How many full intervals have passed.
fn sweeps(epoch: Instant, now: Instant, interval: Duration) -> u128 {
    now.saturating_duration_since(epoch).as_nanos() / interval.as_nanos().max(1)
}

impl Probes {
    pub(super) fn new(now: Instant) -> Self {
        Self { issued: 0, ended: 0, failed: 0, slow: 0, last: now }
    }

    /// A permit, if one is left.
    pub(super) fn issue(&mut self, permits: u32, now: Instant) -> bool {
        let left = self.issued < permits;
        if left {
            self.issued += 1;
            self.last = now;
        }
        left
    }

    /// A permit comes back unused: the probe was cancelled, or says nothing.
    pub(super) fn give_back(&mut self) {
        self.issued = self.issued.saturating_sub(1);
    }

    pub(super) fn end(&mut self, failed: bool, slow: bool) {
        self.ended += 1;
        self.failed += u32::from(failed);
        self.slow += u32::from(slow);
    }

    pub(super) fn are_under_way(&self) -> bool {
        self.issued > self.ended
    }

    /// When permits that are not back yet are given up.
    pub(super) fn given_up_at(&self, wait: Duration) -> Option<Instant> {
        self.are_under_way().then(|| self.last + wait)
    }

    pub(super) fn verdict(&self, policy: &BreakerPolicy, permits: u32) -> Verdicts {
        if self.ended < permits {
            return Verdicts::Pending;
        }
        let (ended, failed, slow) = (self.ended.into(), self.failed.into(), self.slow.into());
        // All failed is too many also where only more than all would be; and where no rate counts, one is.
        let failing = match policy.failure_rate {
            Some(rate) => self.failed == self.ended || rate.is_reached(failed, ended),
            None => self.failed > 0,
        };
        let slow = policy.slow.is_some_and(|limit| limit.rate.is_reached(slow, ended));
        if failing || slow { Verdicts::Bad } else { Verdicts::Good }
    }
}

impl Climb {
    pub(super) fn new(now: Instant) -> Self {
        Self { step: 0, step_began: now, seen: 0 }
    }

    /// Goes on to the step of `now`; false when there is none any more.
    pub(super) fn go_on(&mut self, ramp: &Ramp, now: Instant) -> bool {
        while now.saturating_duration_since(self.step_began) >= ramp.step {
            if self.step + 1 >= ramp.percents.len() {
                return false;
            }
            *self = Self { step: self.step + 1, step_began: self.step_began + ramp.step, seen: 0 };
        }
        true
    }

    /// Whether one more call is within the share that passes. They are spread evenly.
    pub(super) fn admit(&mut self, ramp: &Ramp) -> bool {
        let Some(percent) = ramp.percents.get(self.step) else { return true };
        let passed = |calls: u64| calls.saturating_mul(u64::from(*percent)).div_ceil(100);
        let admitted = passed(self.seen + 1) > passed(self.seen);
        self.seen += 1;
        admitted
    }
}
