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

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::StateStore,
};

/// The algorithm with its parameters, and no state.
#[derive(Debug)]
pub(crate) struct Gcra {
    limiter: RateLimiter<Bucket, Passed, StandingStill, NoOpMiddleware<Nanos>>,
}

impl Gcra {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { limiter: RateLimiter::new(quota, Passed, StandingStill) }
    }

    /// Takes `cost` from a bucket; its backlog then, or `None`, and no change, when the bucket holds less.
    ///
    /// `cost` must not exceed the burst of the quota.
    #[inline]
    pub(crate) fn take(&self, backlog: u64, cost: NonZeroU32) -> Option<u64> {
        let bucket = Bucket(Cell::new(backlog));
        match self.limiter.check_key_n(&bucket, cost) {
            Ok(Ok(())) => Some(bucket.0.get()),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// The backlog of one bucket, which is locked by whoever made this. To governor it is a key, the one thing of a
/// call that reaches the store.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bucket(Cell<u64>);

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

/// A store without state: the bucket is passed in.
#[derive(Debug)]
struct Passed;

impl StateStore for Passed {
    type Key = Bucket;

    #[inline]
    fn measure_and_replace<T, F, E>(&self, bucket: &Bucket, decide: F) -> Result<T, E>
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
