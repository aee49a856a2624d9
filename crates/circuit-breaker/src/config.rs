//! What may be set, and what may not.

use std::{error::Error, fmt};

/// A setting that can never work. Refused where it is made, never on a request.
///
/// ```
/// use bartizan_circuit_breaker::BreakerPolicy;
///
/// let error = BreakerPolicy::new().with_failure_rate(0.0).unwrap_err();
/// assert_eq!(error.to_string(), "circuit breaker: `failure_rate` must be above 0 and at most 100 percent");
/// assert_eq!(error.field(), "failure_rate");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }

    /// The setting: `count_window`, `time_window`, `minimum_calls`, `failure_rate`, `slow_calls`,
    /// `consecutive_failures`, `open_time`, `open_growth`, `probes`, `half_open_wait`, `ramp_up`, `open_share`,
    /// `name`, `max_breakers`, `retry_after`, `exempt_paths` or `capacity`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "circuit breaker: `{}` {}", self.field, self.problem)
    }
}

impl Error for ConfigError {}
