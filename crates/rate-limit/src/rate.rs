//! How much a limit lets pass.

use std::{num::NonZeroU32, time::Duration};

use governor::Quota;

use crate::ConfigError;

/// How many requests pass in how much time, and how many of them at once.
///
/// A bucket holds `burst` requests and fills by one every `period / limit`. A caller that was idle may send
/// `burst` requests at once, and `limit` per `period` on average. `per_second(n)` means n per second.
///
/// The time between two requests is kept in whole nanoseconds, rounded down: exact for every limit that divides
/// its period, and off by less than 0.1 % below a million per second.
///
/// As text: see [`FromStr`](#impl-FromStr-for-Rate).
///
/// ```
/// use std::time::Duration;
/// use bartizan_rate_limit::Rate;
///
/// let rate = Rate::per_second(50)?.burst(100)?;
/// assert_eq!(rate.interval(), Duration::from_millis(20));
/// assert_eq!(rate, "50/s burst 100".parse()?);
/// assert!(Rate::per_minute(0).is_err());
/// # Ok::<(), bartizan_rate_limit::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct Rate {
    limit: NonZeroU32,
    burst: NonZeroU32,
    /// Nanoseconds, at most [`LONGEST`].
    period: u64,
    /// Nanoseconds from one request to the next, at least 1.
    interval: u64,
}

/// 73 years: no sum of two such spans and the age of a process leaves 64 bits of nanoseconds.
const LONGEST: u64 = u64::MAX / 8;

impl Rate {
    /// `limit` requests per second, all of which may come at once.
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than a billion.
    pub fn per_second(limit: u32) -> Result<Self, ConfigError> {
        Self::new(limit, Duration::from_secs(1))
    }

    /// `limit` requests per minute, all of which may come at once.
    ///
    /// # Errors
    ///
    /// When `limit` is 0.
    pub fn per_minute(limit: u32) -> Result<Self, ConfigError> {
        Self::new(limit, Duration::from_secs(60))
    }

    /// `limit` requests per hour, all of which may come at once.
    ///
    /// # Errors
    ///
    /// When `limit` is 0.
    pub fn per_hour(limit: u32) -> Result<Self, ConfigError> {
        Self::new(limit, Duration::from_secs(3_600))
    }

    /// `limit` requests per `period`, all of which may come at once.
    ///
    /// # Errors
    ///
    /// When `limit` is 0, when `period` is 0 or longer than 73 years, or when less than a nanosecond would lie
    /// between two requests.
    pub fn new(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        let limit = NonZeroU32::new(limit).ok_or(ConfigError::new("limit", "must be at least 1"))?;
        if period.is_zero() {
            return Err(ConfigError::new("period", "must be longer than zero"));
        }
        let period = u64::try_from(period.as_nanos())
            .ok()
            .filter(|period| *period <= LONGEST)
            .ok_or(ConfigError::new("period", "must be at most 73 years"))?;
        let interval = period / u64::from(limit.get());
        if interval == 0 {
            return Err(ConfigError::new("limit", "must be at most one per nanosecond of the period"));
        }
        Ok(Self { limit, burst: limit, period, interval })
    }

    /// Lets `burst` requests come at once. Default: as many as the limit.
    ///
    /// # Errors
    ///
    /// When `burst` is 0, or when an empty bucket would need more than 73 years to fill.
    pub fn burst(self, burst: u32) -> Result<Self, ConfigError> {
        let burst = NonZeroU32::new(burst).ok_or(ConfigError::new("burst", "must be at least 1"))?;
        match self.interval.checked_mul(u64::from(burst.get())) {
            Some(..=LONGEST) => Ok(Self { burst, ..self }),
            _ => Err(ConfigError::new("burst", "must be one that this rate refills within 73 years")),
        }
    }

    /// How many requests pass per [`period`](Self::period) on average.
    pub fn limit(self) -> u32 {
        self.limit.get()
    }

    /// The time in which [`limit`](Self::limit) requests pass.
    pub fn period(self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// How many requests may come at once.
    pub fn capacity(self) -> u32 {
        self.burst.get()
    }

    /// The time in which the bucket fills by one request.
    pub fn interval(self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// The period in nanoseconds.
    pub(crate) fn period_nanos(self) -> u64 {
        self.period
    }

    /// The interval in nanoseconds.
    pub(crate) fn interval_nanos(self) -> u64 {
        self.interval
    }

    /// The nanoseconds in which an empty bucket fills: no overflow, as construction has checked.
    pub(crate) fn depth_nanos(self) -> u64 {
        self.interval * u64::from(self.burst.get())
    }

    /// The same for governor.
    pub(crate) fn quota(self) -> Quota {
        // It refuses no interval but zero, which construction has refused before.
        Quota::with_period(self.interval()).unwrap_or(Quota::per_second(self.limit)).allow_burst(self.burst)
    }
}
