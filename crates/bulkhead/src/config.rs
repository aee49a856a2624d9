//! What may be set, and what may not.

use std::{error::Error, fmt};

/// A setting that can never work. Refused where it is made, never on a request.
///
/// ```
/// use bartizan_bulkhead::BulkheadLayer;
///
/// let error = BulkheadLayer::new(0).unwrap_err();
/// assert_eq!(error.to_string(), "bulkhead: `limit` must be at least 1");
/// assert_eq!(error.field(), "limit");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }

    /// The setting: `limit`, `min`, `max`, `initial`, `tolerance`, `probe_interval`, `queue`, `max_wait`, `reserved`,
    /// `name` or `max_keys`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulkhead: `{}` {}", self.field, self.problem)
    }
}

impl Error for ConfigError {}
