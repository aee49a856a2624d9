//! How many retries an upstream is asked to bear.

mod cost;
mod throttle;
mod window;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::{cost::CostBudget, throttle::GrpcThrottle, window::RatioBudget};
use crate::ConfigError;

/// What keeps retries from making an outage worse: a retry that the budget does not cover is not made.
///
/// A retry is paid for when it is decided on, before its wait, so that nobody waits for one that is not covered then. If it
/// is not sent after all, as time runs out, the caller leaves or the service fails before, or if a layer on this side
/// refuses it, what it took is given back.
///
/// A handle: clones share the budget, and so do all layers that were given one. Share it among the clients of one
/// upstream, and not between upstreams. A call, a success and a retry each cost a few atomic operations and no lock.
///
/// ```
/// use bartizan_retry::{Budget, RetryLayer};
///
/// // One supplier, and two clients of it.
/// let supplier = Budget::default();
/// let quotes = RetryLayer::new().with_budget(supplier.clone());
/// let orders = RetryLayer::new().with_budget(supplier);
/// # let _ = (quotes, orders);
/// ```
#[derive(Clone)]
pub struct Budget(Arc<Kind>);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, and it is shared")]
enum Kind {
    Ratio(RatioBudget),
    Throttle(GrpcThrottle),
    Cost(CostBudget),
    Unlimited,
}

/// What a retry took from a budget, to be given back if it succeeds and the budget does that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken(u32);

/// A retry that a budget has paid for. Dropped before it was sent, it gives back what it took.
#[derive(Debug)]
pub(crate) struct Paid {
    budget: Budget,
    taken: Taken,
    at: Instant,
    is_sent: bool,
}

impl Paid {
    /// What it took.
    pub(crate) fn taken(&self) -> Taken {
        self.taken
    }

    /// It is sent.
    pub(crate) fn sent(&mut self) {
        self.is_sent = true;
    }

    /// It was sent no further than to a layer of ours.
    pub(crate) fn refused(&mut self) {
        self.is_sent = false;
    }
}

impl Drop for Paid {
    fn drop(&mut self) {
        if self.is_sent {
            return;
        }
        match &*self.budget.0 {
            Kind::Ratio(ratio) => ratio.give_back(self.at),
            Kind::Cost(cost) => cost.give_back(self.taken.0),
            Kind::Throttle(_) | Kind::Unlimited => {}
        }
    }
}

impl Budget {
    /// No more retries within `window` than `ratio` of the calls in it, and `min_per_second` on top, so that few calls
    /// can be retried too.
    ///
    /// # Errors
    ///
    /// When `ratio` is not a finite number from 0 to 1000, `window` is not between a second and an hour, or both ratio
    /// and minimum are 0.
    pub fn ratio(ratio: f64, min_per_second: u32, window: Duration) -> Result<Self, ConfigError> {
        Ok(Self::of(Kind::Ratio(RatioBudget::new(ratio, min_per_second, window)?)))
    }

    /// gRPC's throttle ([gRFC A6]): failures take a token, successes give back `token_ratio` of one, and nothing is
    /// retried at half of `max_tokens` or less.
    ///
    /// [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
    ///
    /// # Errors
    ///
    /// When `max_tokens` is not between 1 and 1000, or `token_ratio` is not above 0 or rounds to 0 at three decimals.
    pub fn grpc_throttle(max_tokens: u32, token_ratio: f64) -> Result<Self, ConfigError> {
        Ok(Self::of(Kind::Throttle(GrpcThrottle::new(max_tokens, token_ratio)?)))
    }

    /// A bucket of `tokens`, of which a retry takes 5 and one after a timeout 10. A retry that succeeds gives back what
    /// it took, and a call that succeeds at once gives 1: as the SDKs of AWS do in their standard mode, there with 500.
    ///
    /// # Errors
    ///
    /// When `tokens` are fewer than one retry takes after a timeout.
    pub fn cost(tokens: u32) -> Result<Self, ConfigError> {
        Ok(Self::of(Kind::Cost(CostBudget::new(tokens)?)))
    }

    /// No budget. While the upstream is down it gets the load of all attempts: only for an upstream that can bear that.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::of(Kind::Unlimited)
    }

    fn of(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }

    /// The first attempt of a call has an outcome.
    #[inline]
    pub(crate) fn called(&self, now: Instant) {
        if let Kind::Ratio(ratio) = &*self.0 {
            ratio.deposit(now);
        }
    }

    /// Both at once: the first attempt of a call has succeeded.
    #[inline]
    pub(crate) fn called_and_succeeded(&self, now: impl FnOnce() -> Instant) {
        match &*self.0 {
            Kind::Ratio(ratio) => ratio.deposit(now()),
            Kind::Throttle(_) | Kind::Cost(_) => self.succeeded(Taken::default()),
            Kind::Unlimited => {}
        }
    }

    /// Whether successes count, so that it matters how a response ends.
    #[inline]
    pub(crate) fn counts_outcomes(&self) -> bool {
        matches!(&*self.0, Kind::Throttle(_) | Kind::Cost(_))
    }

    /// An attempt succeeded, for which `taken` was taken.
    #[inline]
    pub(crate) fn succeeded(&self, taken: Taken) {
        match &*self.0 {
            Kind::Throttle(throttle) => throttle.succeeded(),
            Kind::Cost(cost) => cost.give_back(taken.0),
            Kind::Ratio(_) | Kind::Unlimited => {}
        }
    }

    /// An attempt failed in a way that may be retried, and not transparently.
    pub(crate) fn failed(&self) {
        if let Kind::Throttle(throttle) = &*self.0 {
            throttle.failed();
        }
    }

    /// Takes what a retry costs; `None` when there is not enough. A transparent one is none to gRPC's throttle.
    pub(crate) fn take(&self, now: Instant, after_timeout: bool, transparent: bool) -> Option<Paid> {
        let taken = match &*self.0 {
            Kind::Ratio(ratio) => ratio.withdraw(now).then(Taken::default),
            Kind::Throttle(throttle) => (transparent || throttle.allows()).then(Taken::default),
            Kind::Cost(cost) => cost.take(after_timeout).map(Taken),
            Kind::Unlimited => Some(Taken::default()),
        }?;
        Some(Paid { budget: self.clone(), taken, at: now, is_sent: false })
    }
}

/// The fifth part of the calls in 10 seconds, and 10 per second on top.
impl Default for Budget {
    fn default() -> Self {
        Self::of(Kind::Ratio(RatioBudget::default()))
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
