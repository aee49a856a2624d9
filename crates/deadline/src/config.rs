//! What may be set, and what may not.

use std::{error::Error, fmt, time::Duration};

/// The longest time that may be set: longer ones are typing errors.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A setting that can never work. Refused where it is made, never on a request.
///
/// ```
/// use std::time::Duration;
/// use bartizan_deadline::TimeoutLayer;
///
/// let error = TimeoutLayer::new(Duration::ZERO).unwrap_err();
/// assert_eq!(error.to_string(), "deadline: `total` must be longer than zero and at most a year");
/// assert_eq!(error.field(), "total");
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

    /// The setting: `total`, `head`, `idle`, `route`, `header`, `limit`, `margin`, `floor`, `rate` or `grace`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deadline: `{}` {}", self.field, self.problem)
    }
}

impl Error for ConfigError {}

/// A time that can pass, within a year.
pub(crate) fn checked(field: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time.is_zero() || time > LONGEST {
        return Err(ConfigError::new(field, "must be longer than zero and at most a year"));
    }
    Ok(time)
}
