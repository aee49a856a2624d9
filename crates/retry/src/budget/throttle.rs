//! gRPC's throttle.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::ConfigError;

/// A token, in thousandths of one: the precision of gRPC's configuration.
const TOKEN: u32 = 1_000;

/// gRPC's throttle ([gRFC A6]): a failure takes a token, a success gives back a part of one, and there are retries only
/// while more than half of the tokens are there.
///
/// The decision without tower; there is no time in it.
///
/// ```
/// use bartizan_retry::GrpcThrottle;
///
/// let throttle = GrpcThrottle::new(10, 0.1)?;
/// (0..4).for_each(|_| throttle.failed());
/// assert!(throttle.allows());
/// throttle.failed();
/// assert!(!throttle.allows(), "half of the tokens are gone");
/// throttle.succeeded();
/// assert!(throttle.allows());
/// # Ok::<(), bartizan_retry::ConfigError>(())
/// ```
///
/// [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
#[derive(Debug)]
pub struct GrpcThrottle {
    max: u32,
    ratio: u32,
    tokens: AtomicU32,
}

impl GrpcThrottle {
    /// A full throttle: `max_tokens`, of which a success gives back `token_ratio`.
    ///
    /// # Errors
    ///
    /// When `max_tokens` is not between 1 and 1000, or `token_ratio` is not above 0 or rounds to 0 at three decimals.
    pub fn new(max_tokens: u32, token_ratio: f64) -> Result<Self, ConfigError> {
        if !(1..=1_000).contains(&max_tokens) {
            return Err(ConfigError::new("max_tokens", "must be between 1 and 1000"));
        }
        let max = max_tokens * TOKEN;
        // More than all tokens is no more than all.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped; not a number is 0"
        )]
        let ratio = (token_ratio * f64::from(TOKEN)).round().clamp(0.0, f64::from(max)) as u32;
        if ratio == 0 {
            return Err(ConfigError::new("token_ratio", "must be at least 0.001"));
        }
        Ok(Self { max, ratio, tokens: AtomicU32::new(max) })
    }

    /// An attempt failed with a code that may be retried, or with a negative pushback.
    pub fn failed(&self) {
        self.change(|tokens| tokens.saturating_sub(TOKEN));
    }

    /// An attempt succeeded.
    #[inline]
    pub fn succeeded(&self) {
        // Most often it is full: to see that, nothing is written.
        if self.tokens.load(Ordering::Relaxed) < self.max {
            self.change(|tokens| tokens.saturating_add(self.ratio).min(self.max));
        }
    }

    /// Whether a retry may be made.
    pub fn allows(&self) -> bool {
        self.tokens.load(Ordering::Relaxed) > self.max / 2
    }

    fn change(&self, change: impl Fn(u32) -> u32) {
        let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| Some(change(tokens)));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn rt_07_at_half_of_the_tokens_there_is_no_retry() {
        let throttle = GrpcThrottle::new(10, 0.1).unwrap();
        (0..100).for_each(|_| throttle.succeeded());
        (0..4).for_each(|_| throttle.failed());
        assert!(throttle.allows(), "six of ten");
        throttle.failed();
        assert!(!throttle.allows(), "five of ten");
        (0..100).for_each(|_| throttle.failed());
        (0..50).for_each(|_| throttle.succeeded());
        assert!(!throttle.allows(), "it never falls below none: fifty tenths are five again");
        throttle.succeeded();
        assert!(throttle.allows());
    }

    #[test]
    fn rt_07_an_odd_maximum_is_halved_exactly() {
        let throttle = GrpcThrottle::new(1, 0.5).unwrap();
        assert!(throttle.allows());
        throttle.failed();
        assert!(!throttle.allows());
        throttle.succeeded();
        assert!(!throttle.allows(), "0.5 is not more than half of 1");
        throttle.succeeded();
        assert!(throttle.allows());
    }

    #[test]
    fn rt_07_threads_lose_no_token() {
        let throttle = GrpcThrottle::new(1_000, 1.0).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| throttle.failed()));
                scope.spawn(|| (0..50).for_each(|_| throttle.failed()));
            }
        });
        assert_eq!(throttle.tokens.load(Ordering::Relaxed), 400 * TOKEN);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| throttle.succeeded()));
            }
        });
        assert_eq!(throttle.tokens.load(Ordering::Relaxed), 500 * TOKEN);
    }

    #[test]
    fn lay_06_a_throttle_that_cannot_work_is_refused() {
        let field = |max, ratio| GrpcThrottle::new(max, ratio).unwrap_err().field();
        assert_eq!(field(0, 0.1), "max_tokens");
        assert_eq!(field(1_001, 0.1), "max_tokens");
        for ratio in [0.0, -1.0, 0.0004, f64::NAN] {
            assert_eq!(field(10, ratio), "token_ratio");
        }
    }
}
