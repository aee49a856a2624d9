//! What may be set, and what may not.

use std::{borrow::Cow, error::Error, fmt};

/// A setting that can never work. Refused where it is made, never on a request.
///
/// ```
/// use std::time::Duration;
/// use bartizan_retry::Backoff;
///
/// let error = Backoff::full_jitter(Duration::from_secs(20), Duration::from_secs(10)).unwrap_err();
/// assert_eq!(error.to_string(), "retry: `base` must not be longer than the cap");
/// assert_eq!(error.field(), "base");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// The setting, as the parameter that holds it is called: `max_attempts`, `base`, `ratio`, `name` and so on.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry: `{}` {}", self.field, self.problem)
    }
}

impl Error for ConfigError {}

/// A name ends up in a metric's label: nothing to be escaped.
pub(crate) fn checked_name(name: Cow<'static, str>) -> Result<Cow<'static, str>, ConfigError> {
    const LONGEST: usize = 64;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name)
    } else {
        Err(ConfigError::new("name", "must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`"))
    }
}
