//! A rate, ready to be applied.

use std::sync::OnceLock;

use bartizan_core::stripe::{self, Padded};
use bytes::Bytes;
use http::HeaderValue;

use crate::{Rate, gcra::Gcra, headers::draft10};

/// What one rate of a limit needs on each request, made once.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(crate) rate: Rate,
    pub(crate) gcra: Gcra,
    /// The item of `RateLimit-Policy`.
    policy: Box<str>,
    /// The same as a value for each stripe, made when it is first told.
    values: OnceLock<Box<[HeaderValue]>>,
}

impl Quota {
    pub(crate) fn new(name: &str, rate: Rate, sliding: bool) -> Self {
        Self {
            rate,
            gcra: Gcra::new(rate.quota()),
            policy: draft10::policy(name, rate, sliding).into(),
            values: OnceLock::new(),
        }
    }

    /// The item of `RateLimit-Policy`.
    pub(crate) fn policy(&self) -> &str {
        &self.policy
    }

    /// The same as a value, which is copied by a reference count that threads do not fight over.
    pub(crate) fn policy_value(&self) -> Option<&HeaderValue> {
        self.values.get_or_init(|| self.make_values()).get(stripe::of_thread())
    }

    #[cold]
    fn make_values(&self) -> Box<[HeaderValue]> {
        let value = |_| HeaderValue::from_maybe_shared(Bytes::from_owner(Apart(Padded(self.policy.clone()))));
        // Names have been checked, so there is one for each stripe.
        (0..stripe::count()).map_while(|stripe| value(stripe).ok()).collect()
    }
}

/// A text whose owners are counted on cache lines of its own.
struct Apart(Padded<Box<str>>);

impl AsRef<[u8]> for Apart {
    fn as_ref(&self) -> &[u8] {
        self.0.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_tells_the_same_policy() {
        let quota = Quota::new("a", "100/min".parse().unwrap(), false);
        std::thread::scope(|scope| {
            for _ in 0..2 * stripe::count() {
                scope.spawn(|| assert_eq!(quota.policy_value().unwrap(), "\"a\";q=100;w=60"));
            }
        });
    }
}
