//! How long the parts of a request may take.

use std::time::Duration;

use crate::{ConfigError, config::checked};

/// How long a request may take, as a whole and in its parts.
///
/// Every request has a total, so that none is for ever. A stream of events gets a long one, and short ones for its
/// parts:
///
/// ```
/// use std::time::Duration;
/// use bartizan_deadline::Timeouts;
///
/// let stream = Timeouts::new(Duration::from_secs(4 * 3_600))?
///     .with_head(Duration::from_secs(5))?
///     .with_idle(Duration::from_secs(60))?;
/// # let _ = stream;
/// # Ok::<(), bartizan_deadline::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) total: Duration,
    pub(crate) head: Option<Duration>,
    pub(crate) idle: Option<Duration>,
}

impl Timeouts {
    /// From the arrival of the request to the end of the body of its response.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn new(total: Duration) -> Result<Self, ConfigError> {
        Ok(Self { total: checked("total", total)?, head: None, idle: None })
    }

    /// From the arrival to the head of the response. Default: the total alone.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than the total.
    pub fn with_head(mut self, head: Duration) -> Result<Self, ConfigError> {
        self.head = Some(self.within_total("head", head)?);
        Ok(self)
    }

    /// For each frame of the body of the response, from when it is wanted: while the client is slow to take what is
    /// there, no time passes. Default: the total alone.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than the total.
    pub fn with_idle(mut self, idle: Duration) -> Result<Self, ConfigError> {
        self.idle = Some(self.within_total("idle", idle)?);
        Ok(self)
    }

    fn within_total(&self, field: &'static str, time: Duration) -> Result<Duration, ConfigError> {
        if time > self.total {
            return Err(ConfigError::new(field, "must not be longer than the total"));
        }
        checked(field, time)
    }
}
