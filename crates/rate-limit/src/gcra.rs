//! The decision about one bucket: governor's, over our own state and time.
//!
//! A bucket is one number, the time at which it is full again (the theoretical arrival time of GCRA). The
//! algorithm does not care where zero is, so we place it at the reading of the request: governor's clock stands
//! still, and its state is the *backlog*, the nanoseconds until the bucket is full.

use std::{
    cell::Cell,
    hash::{Hash, Hasher},
    num::NonZeroU32,
};

use governor::{RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::StateStore};

use crate::{
    Charge, Rate,
    decision::Level,
    quota::Quota,
    store::{Algorithm, Bucket},
};

/// When the bucket of one key is full again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival(u64);

impl Bucket for Arrival {
    #[inline]
    fn full_at(&self) -> u64 {
        self.0
    }
}

impl Arrival {
    #[inline]
    fn backlog(self, now: u64) -> u64 {
        self.0.saturating_sub(now)
    }
}

/// Decides by [`Arrival`]s: governor where it has an answer, and plain arithmetic on the same number for what it
/// has no call for.
#[derive(Debug)]
pub(crate) struct TokenBucket;

impl Algorithm for TokenBucket {
    type Bucket = Arrival;

    #[inline(always)]
    fn level(_: Rate, bucket: Arrival, now: u64) -> Level {
        Level::Bucket { backlog: bucket.backlog(now) }
    }

    #[inline(always)]
    fn spend(quota: &Quota, bucket: Arrival, now: u64, cost: u32) -> Option<Arrival> {
        let backlog = bucket.backlog(now);
        let backlog = if cost == 1 {
            quota.gcra.take_one(backlog)?
        } else {
            // More than the bucket ever holds is no question for governor.
            let cost = NonZeroU32::new(cost).filter(|cost| cost.get() <= quota.rate.capacity())?;
            quota.gcra.take(backlog, cost)?
        };
        Some(Arrival(now.saturating_add(backlog)))
    }

    fn drain(rate: Rate, bucket: Arrival, now: u64, cost: u32) -> Arrival {
        let backlog = bucket.backlog(now);
        let taken = backlog.saturating_add(u64::from(cost).saturating_mul(rate.interval_nanos()));
        Arrival(now.saturating_add(taken.min(rate.depth_nanos()).max(backlog)))
    }

    fn settle(rate: Rate, bucket: Arrival, now: u64, charge: Charge) -> Arrival {
        let backlog = bucket.backlog(now);
        let nanos = |n: u32| u64::from(n).saturating_mul(rate.interval_nanos());
        let backlog = match charge {
            Charge::Nothing => backlog,
            // In debt by one burst at most, or as much as before under another rate.
            Charge::More(n) => backlog.saturating_add(nanos(n)).min(2 * rate.depth_nanos()).max(backlog),
            Charge::Refund(n) => backlog.saturating_sub(nanos(n)),
        };
        Arrival(now.saturating_add(backlog))
    }
}

/// The algorithm with its parameters, and no state.
#[derive(Debug)]
pub(crate) struct Gcra {
    limiter: RateLimiter<Backlog, Passed, StandingStill, NoOpMiddleware<Nanos>>,
}

impl Gcra {
    pub(crate) fn new(quota: governor::Quota) -> Self {
        Self { limiter: RateLimiter::new(quota, Passed, StandingStill) }
    }

    /// Takes one from a bucket; its backlog then, or `None`, and no change, when the bucket holds less.
    #[inline(always)]
    fn take_one(&self, backlog: u64) -> Option<u64> {
        let bucket = Backlog(Cell::new(backlog));
        self.limiter.check_key(&bucket).is_ok().then(|| bucket.0.get())
    }

    /// Takes `cost`, which must not exceed the burst of the quota.
    // Apart, since most requests cost one.
    #[inline(never)]
    fn take(&self, backlog: u64, cost: NonZeroU32) -> Option<u64> {
        let bucket = Backlog(Cell::new(backlog));
        match self.limiter.check_key_n(&bucket, cost) {
            Ok(Ok(())) => Some(bucket.0.get()),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// The backlog of one bucket, which is locked by whoever made this. To governor it is a key, the one thing of a
/// call that reaches the store.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Backlog(Cell<u64>);

impl Hash for Backlog {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

/// A store without state: the bucket is passed in.
#[derive(Debug)]
struct Passed;

impl StateStore for Passed {
    type Key = Backlog;

    #[inline]
    fn measure_and_replace<T, F, E>(&self, bucket: &Backlog, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, backlog) = decide(Some(Nanos::new(bucket.0.get())))?;
        bucket.0.set(backlog.as_u64());
        Ok(answer)
    }
}

/// A clock for decisions that are all made at time zero.
#[derive(Debug)]
struct StandingStill;

impl Clock for StandingStill {
    type Instant = Nanos;

    #[inline]
    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}
