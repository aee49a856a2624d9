//! What may be set, and what may not.

use std::{borrow::Cow, error::Error, fmt};

use bartizan_core::{Clock, RecorderChoice};

use crate::{HeaderFields, exempt::Exempt};

/// A setting that can never work. Refused where it is made, never on a request.
///
/// ```
/// use bartizan_rate_limit::Rate;
///
/// let error = Rate::per_second(0).unwrap_err();
/// assert_eq!(error.to_string(), "rate limit: `limit` must be at least 1");
/// assert_eq!(error.field(), "limit");
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

    /// The setting: `limit`, `period`, `burst`, `rate` (its text), `name`, `max_keys`, `cost`, `tier`, `rates`,
    /// `exempt_paths`, `allow_list`, `max`, `queue`, `max_wait`, `max_authorities`, `redis`, `prefix` or `timeout`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rate limit: `{}` {}", self.field, self.problem)
    }
}

impl Error for ConfigError {}

/// What to do with a request that has no key: no known address, no principal, no such header.
///
/// It is never unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingKey {
    /// All such requests share one bucket of the usual rate. The default.
    #[default]
    Shared,
    /// Refused with 403 (PERMISSION_DENIED).
    Refuse,
}

/// The settings of a layer that are not of one limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    pub(crate) recorder: RecorderChoice,
    pub(crate) exempt: Exempt,
    pub(crate) headers: Option<HeaderFields>,
    pub(crate) extension: bool,
    /// Where charges go for what was decided there.
    #[cfg(feature = "redis")]
    pub(crate) redis: Option<crate::RedisStore>,
}

/// Enough for most services, in about 5 MB.
pub(crate) const DEFAULT_MAX_KEYS: usize = 100_000;

/// Slots are counted in 32 bits, shared by all shards.
const MOST_KEYS: usize = 1 << 30;

pub(crate) fn checked_max_keys(max_keys: usize) -> Result<usize, ConfigError> {
    match max_keys {
        0 => Err(ConfigError::new("max_keys", "must be at least 1")),
        1..=MOST_KEYS => Ok(max_keys),
        _ => Err(ConfigError::new("max_keys", format!("must be at most {MOST_KEYS}"))),
    }
}

/// A name ends up in a metric's label, in a problem and in a Structured Field: nothing to be escaped in any.
pub(crate) fn checked_name(name: Cow<'static, str>) -> Result<Cow<'static, str>, ConfigError> {
    const LONGEST: usize = 64;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name)
    } else {
        Err(ConfigError::new("name", "must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`"))
    }
}
