//! A bucket that retries take from.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::ConfigError;

/// What a retry takes, what one after a timeout takes, and what a call gives that needed none.
const RETRY: u32 = 5;
const AFTER_TIMEOUT: u32 = 10;
const SUCCESS: u32 = 1;

/// A bucket of tokens that retries take from and successes fill: a retry takes 5, one after a timeout 10. If it succeeds
/// it gives back what it took; a call that succeeds at once gives 1.
///
/// The values are those of the AWS SDKs' standard mode. The decision without tower; there is no time in it.
///
/// ```
/// use bartizan_retry::CostBudget;
///
/// let budget = CostBudget::new(10)?;
/// let first = budget.take(false).expect("there are ten");
/// assert_eq!(budget.take(true), None, "five are left, and a timeout costs ten");
/// budget.give_back(first);
/// assert_eq!(budget.take(true), Some(10));
/// # Ok::<(), bartizan_retry::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct CostBudget {
    max: u32,
    tokens: AtomicU32,
}

impl CostBudget {
    /// A full bucket.
    ///
    /// # Errors
    ///
    /// When `tokens` are fewer than one retry takes after a timeout.
    pub fn new(tokens: u32) -> Result<Self, ConfigError> {
        if tokens < AFTER_TIMEOUT {
            return Err(ConfigError::new("tokens", format!("must be at least {AFTER_TIMEOUT}")));
        }
        Ok(Self { max: tokens, tokens: AtomicU32::new(tokens) })
    }

    /// Takes what a retry costs, and says how much that is; `None` when there is not enough.
    pub fn take(&self, after_timeout: bool) -> Option<u32> {
        let cost = if after_timeout { AFTER_TIMEOUT } else { RETRY };
        self.tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| tokens.checked_sub(cost))
            .is_ok()
            .then_some(cost)
    }

    /// An attempt succeeded for which `taken` was taken: 0 for the first of a call. Or it was not made after all.
    #[inline]
    pub fn give_back(&self, taken: u32) {
        // Most often it is full: to see that, nothing is written.
        if self.tokens.load(Ordering::Relaxed) < self.max {
            let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| {
                Some(tokens.saturating_add(taken.max(SUCCESS)).min(self.max))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn rt_07_a_retry_costs_5_and_10_after_a_timeout() {
        let budget = CostBudget::new(500).unwrap();
        assert_eq!((0..200).filter(|_| budget.take(false).is_some()).count(), 100);
        (0..9).for_each(|_| budget.give_back(0));
        assert_eq!(budget.take(true), None, "nine first successes give nine");
        budget.give_back(0);
        assert_eq!(budget.take(true), Some(10));
        budget.give_back(10);
        assert_eq!(budget.take(true), Some(10), "what succeeded gives back what it took");
        (0..1_000).for_each(|_| budget.give_back(10));
        assert_eq!((0..200).filter(|_| budget.take(true).is_some()).count(), 50, "and never more than all");
    }

    #[test]
    fn rt_07_threads_that_take_at_once_get_no_more_than_there_is() {
        let budget = CostBudget::new(500).unwrap();
        let taken: usize = thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|_| budget.take(false).is_some()).count()))
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 100);
    }

    #[test]
    fn lay_06_a_bucket_smaller_than_a_retry_is_refused() {
        assert_eq!(CostBudget::new(9).unwrap_err().field(), "tokens");
    }
}
