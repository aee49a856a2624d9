//! `X-RateLimit-*`, which no standard defines.

use std::time::{Duration, SystemTime};

use bartizan_core::Clock;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Reset, draft10::seconds};
use crate::Decision;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The fields of one limit.
#[derive(Debug)]
pub(super) struct Legacy {
    limit: u32,
    remaining: u32,
    reset: u64,
}

impl Legacy {
    pub(super) fn new(decision: &Decision, reset: Reset, clock: &Clock) -> Self {
        let delta = decision.reset_after();
        let reset = match reset {
            Reset::Delta => delta,
            Reset::Epoch => {
                clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO) + delta
            }
        };
        Self { limit: decision.rate().capacity(), remaining: decision.remaining(), reset: seconds(reset) }
    }

    /// There is one of each in a response: that of the tightest layer stays.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let tighter = headers
            .get(REMAINING)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .is_some_and(|remaining: u32| remaining <= self.remaining);
        if !tighter {
            headers.insert(LIMIT, HeaderValue::from(self.limit));
            headers.insert(REMAINING, HeaderValue::from(self.remaining));
            headers.insert(RESET, HeaderValue::from(self.reset));
        }
    }
}
