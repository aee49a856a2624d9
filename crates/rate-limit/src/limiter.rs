//! The decision for many keys, without tower.

use std::{num::NonZeroU32, time::Instant};

use bartizan_core::Clock;

use crate::{
    ConfigError, Decision, Key, Rate,
    config::{DEFAULT_MAX_KEYS, checked_max_keys},
    fingerprint::Secret,
    gcra::Gcra,
    store::{Place, Store},
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
    rate: Rate,
    gcra: Gcra,
    clock: Clock,
    /// Where the store's time starts.
    epoch: Instant,
    store: Store,
}

impl Limiter {
    /// A limiter for at most 100 000 keys, with the system's clock.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::build(rate, DEFAULT_MAX_KEYS, Clock::system(), Secret::random())
    }

    pub(crate) fn build(rate: Rate, max_keys: usize, clock: Clock, secret: Secret) -> Self {
        let epoch = clock.now();
        Self { rate, gcra: Gcra::new(rate.quota()), clock, epoch, store: Store::new(max_keys, secret) }
    }

    /// Remembers at most so many keys. Forgets those it has.
    ///
    /// # Errors
    ///
    /// When `max_keys` is 0 or more than 2^30.
    pub fn with_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        let store = Store::new(checked_max_keys(max_keys)?, Secret::random());
        Ok(Self { store, ..self })
    }

    /// Reads this clock. Forgets the keys it has: their times mean nothing to it.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        let store = Store::new(self.store.max_keys(), Secret::random());
        Self { epoch: clock.now(), clock, store, ..self }
    }

    /// Asks for one request of `key`, now.
    pub fn check(&self, key: &Key<'_>) -> Decision {
        self.check_n(key, 1)
    }

    /// Asks for a request that costs `n`, now. 0 looks and takes nothing; more than the burst is always refused.
    pub fn check_n(&self, key: &Key<'_>, n: u32) -> Decision {
        self.check_n_at(key, n, self.clock.now())
    }

    /// The same at a reading of the limiter's clock that the caller has already.
    pub fn check_n_at(&self, key: &Key<'_>, n: u32, now: Instant) -> Decision {
        self.explain(n, &self.decide(key, n, now))
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.store.keys()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[inline]
    pub(crate) fn decide(&self, key: &Key<'_>, n: u32, now: Instant) -> Verdict {
        // After 584 years of nanoseconds it starts again, and the store, whose time never goes back, stands still.
        let age = now.saturating_duration_since(self.epoch);
        let now = age.as_secs().wrapping_mul(1_000_000_000).wrapping_add(age.subsec_nanos().into());
        // Neither zero nor more than the bucket ever holds is a question for the algorithm.
        let cost = NonZeroU32::new(n).filter(|cost| cost.get() <= self.rate.capacity());
        let measured = self.store.measure(key, now, |backlog| self.gcra.take(backlog, cost?));
        Verdict { allowed: n == 0 || measured.taken, backlog: measured.backlog, place: measured.place }
    }

    /// All that a verdict on a request of cost `n` tells.
    pub(crate) fn explain(&self, n: u32, verdict: &Verdict) -> Decision {
        Decision::new(self.rate, n, verdict.allowed, verdict.backlog)
    }
}

/// The part of a decision that every request needs.
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// Nanoseconds until the bucket is full again.
    backlog: u64,
    pub(crate) place: Place,
}
