//! The decision for many keys, without tower.

use std::time::Instant;

use bartizan_core::Clock;

use crate::{
    Charge, ConfigError, Decision, Key, Rate,
    config::{DEFAULT_MAX_KEYS, checked_max_keys},
    fingerprint::Secret,
    limit::checked_windows,
    quota::Quota,
    store::Memory,
};

/// A bucket per key, in bounded memory: what [`RateLimitLayer`](crate::RateLimitLayer) asks, and you may too.
///
/// It is GCRA: a bucket of `burst` requests that fills by one every `period / limit`. A refused request takes
/// nothing. See the [crate's documentation](crate) for what happens when there are too many keys.
///
/// ```
/// use std::time::Duration;
/// use bartizan_core::{Clock, ManualClock};
/// use bartizan_rate_limit::{Key, Limiter, Rate};
///
/// let time = ManualClock::new();
/// let limiter = Limiter::new(Rate::per_minute(30)?.burst(2)?).with_clock(Clock::from(time.clone()));
/// let billing = Key::text("billing");
/// assert_eq!(limiter.check(&billing).remaining(), 1);
/// assert_eq!(limiter.check(&billing).remaining(), 0);
/// let refused = limiter.check(&billing);
/// assert!(!refused.is_allowed());
/// assert_eq!(refused.retry_after(), Some(Duration::from_secs(2)));
///
/// time.advance(Duration::from_secs(2));
/// assert!(limiter.check(&billing).is_allowed());
/// # Ok::<(), bartizan_rate_limit::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Limiter {
    quota: Quota,
    sliding: bool,
    clock: Clock,
    /// Where the memory's time starts.
    epoch: u64,
    memory: Memory,
}

impl Limiter {
    /// A limiter for at most 100 000 keys, with the system's clock.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::build(rate, false, DEFAULT_MAX_KEYS, Clock::system())
    }

    fn build(rate: Rate, sliding: bool, max_keys: usize, clock: Clock) -> Self {
        Self {
            quota: Quota::new("", rate, sliding),
            sliding,
            epoch: clock.nanos(),
            clock,
            memory: Memory::new(sliding, max_keys, Secret::random()),
        }
    }

    /// Remembers at most so many keys. Forgets those it has.
    ///
    /// # Errors
    ///
    /// When `max_keys` is 0 or more than 2^30.
    pub fn with_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        Ok(Self::build(self.quota.rate, self.sliding, checked_max_keys(max_keys)?, self.clock))
    }

    /// Counts by a sliding window rather than a bucket, see
    /// [`RateLimitLayer::with_sliding_window`](crate::RateLimitLayer::with_sliding_window). Forgets the keys it has.
    ///
    /// # Errors
    ///
    /// When the rate has a burst other than its limit.
    pub fn with_sliding_window(self) -> Result<Self, ConfigError> {
        checked_windows(&[self.quota.rate])?;
        Ok(Self::build(self.quota.rate, true, self.memory.max_keys(), self.clock))
    }

    /// Reads this clock. Forgets the keys it has: their times mean nothing to it.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self::build(self.quota.rate, self.sliding, self.memory.max_keys(), clock)
    }

    /// Asks for one request of `key`, now.
    pub fn check(&self, key: &Key<'_>) -> Decision {
        self.check_n(key, 1)
    }

    /// Asks for a request that costs `n`, now. 0 looks and takes nothing; more than the burst is always refused.
    pub fn check_n(&self, key: &Key<'_>, n: u32) -> Decision {
        self.spend(key, n, self.clock.nanos())
    }

    /// The same at a reading of the limiter's clock that the caller has already.
    pub fn check_n_at(&self, key: &Key<'_>, n: u32, now: Instant) -> Decision {
        self.spend(key, n, Clock::nanos_at(now))
    }

    fn spend(&self, key: &Key<'_>, n: u32, now: u64) -> Decision {
        let key = self.memory.fingerprint(key);
        let now = now.saturating_sub(self.epoch);
        let (allowed, level) = self.memory.spend(key, &self.quota, now, n);
        Decision::new(self.quota.rate, n, allowed, level)
    }

    /// Charges `key` or gives back to it, now, whatever its bucket holds. What is left then.
    ///
    /// A key may be in debt by one whole burst at most, and have its bucket full at most.
    pub fn settle(&self, key: &Key<'_>, charge: Charge) -> Decision {
        let now = self.clock.nanos().saturating_sub(self.epoch);
        let level = self.memory.settle(self.memory.fingerprint(key), self.quota.rate, now, charge);
        Decision::new(self.quota.rate, 0, true, level)
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.quota.rate
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.memory.keys()
    }
}
