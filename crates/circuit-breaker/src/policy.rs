//! When a breaker opens, for how long, and how it recovers.

use std::time::Duration;

use crate::{ConfigError, window::Totals};

/// The longest time that a setting may name: nobody wants a breaker that stays open for longer by itself.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// When a breaker opens, for how long, and how it recovers.
///
/// The default, [`new`](Self::new):
///
/// | setting | value |
/// |---|---|
/// | window | the last 30 s, in 10 buckets |
/// | opens when | 50 % or more of at least 20 calls failed |
/// | slow calls | do not matter |
/// | stays open for | 30 s, each time |
/// | recovers with | 3 probes, all of which are waited for |
/// | a probe hangs after | as long as the breaker was to stay open; then it opens again |
/// | ramp-up | none: recovered is closed |
///
/// [`resilience4j`](Self::resilience4j), [`polly`](Self::polly), [`opossum`](Self::opossum) and
/// [`envoy`](Self::envoy) behave as the libraries of these names do with their defaults; each setting can be changed
/// from there.
///
/// ```
/// use std::time::Duration;
/// use bartizan_circuit_breaker::BreakerPolicy;
///
/// let supplier = BreakerPolicy::new()
///     .with_time_window(Duration::from_secs(10), 10)?
///     .with_minimum_calls(10)?
///     .with_failure_rate(50.0)?
///     .with_open_time(Duration::from_secs(5))?
///     .with_open_growth(2.0, Duration::from_secs(60))?
///     .with_ramp_up([10, 25, 50], Duration::from_secs(2))?;
/// # Ok::<(), bartizan_circuit_breaker::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct BreakerPolicy {
    pub(crate) window: WindowSize,
    pub(crate) minimum_calls: u32,
    /// What `minimum_calls` may not be below.
    pub(crate) least_minimum: u32,
    pub(crate) failure_rate: Option<Threshold>,
    pub(crate) slow: Option<SlowCalls>,
    pub(crate) consecutive_failures: Option<u32>,
    pub(crate) open_time: Duration,
    pub(crate) growth: Growth,
    pub(crate) recovery: Recovery,
    pub(crate) ramp: Option<Ramp>,
    pub(crate) open_share: Option<OpenShare>,
    /// A success never opens the breaker, even if it is the call that reaches the minimum.
    pub(crate) opens_on_failures_only: bool,
    /// Calls count when they start, those that are refused too, and the window outlives every change of state.
    pub(crate) counts_fires: bool,
}

/// Which calls are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowSize {
    Calls(u32),
    Time { bucket: Duration, buckets: u32 },
}

/// A rate in percent that is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Threshold {
    pub(crate) percent: f64,
    /// Whether the rate itself is not too much yet: `>` rather than `>=`.
    pub(crate) above: bool,
}

impl Threshold {
    /// Whether `part` of `whole` is too much.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub(crate) fn is_reached(self, part: u64, whole: u64) -> bool {
        let (is, limit) = (part as f64 * 100.0, whole as f64 * self.percent);
        if self.above { is > limit } else { is >= limit }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SlowCalls {
    pub(crate) rate: Threshold,
    pub(crate) longer_than: Duration,
}

/// How the open time grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Growth {
    None,
    /// By this factor whenever a recovery failed.
    Factor {
        factor: f64,
        cap: Duration,
    },
    /// By itself each time, and back by one each interval that the breaker is closed.
    Times {
        cap: Duration,
        interval: Duration,
    },
}

/// How a breaker comes back from being open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    Probes {
        permits: u32,
        wait: Option<Duration>,
        hung: HungProbes,
    },
    /// Straight to closed, at the next full interval.
    Sweep {
        interval: Duration,
    },
}

/// What becomes of a half-open breaker whose probes do not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HungProbes {
    /// It opens again: what does not answer is not well. The default.
    #[default]
    Reopen,
    /// Their permits are given to other calls.
    Reissue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ramp {
    pub(crate) percents: Box<[u8]>,
    pub(crate) step: Duration,
}

impl Ramp {
    /// How long it takes as a whole.
    pub(crate) fn length(&self) -> Duration {
        self.step * u32::try_from(self.percents.len()).unwrap_or(u32::MAX)
    }
}

/// How many breakers of a layer may be open at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OpenShare {
    pub(crate) percent: f64,
    pub(crate) at_least_one: bool,
}

impl BreakerPolicy {
    /// The defaults of the table above.
    pub fn new() -> Self {
        Self {
            window: WindowSize::Time { bucket: Duration::from_secs(3), buckets: 10 },
            minimum_calls: 20,
            least_minimum: 1,
            failure_rate: Some(Threshold { percent: 50.0, above: false }),
            slow: None,
            consecutive_failures: None,
            open_time: Duration::from_secs(30),
            growth: Growth::None,
            recovery: Recovery::Probes { permits: 3, wait: None, hung: HungProbes::Reopen },
            ramp: None,
            open_share: None,
            opens_on_failures_only: false,
            counts_fires: false,
        }
    }

    /// Opens after `failures` failed calls in a row, whatever the rates are; the other settings as in [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// When `failures` is 0.
    pub fn consecutive(failures: u32) -> Result<Self, ConfigError> {
        Self { failure_rate: None, ..Self::new() }.with_consecutive_failures(failures)
    }

    /// Looks at the last `calls` calls. They are counted one by one under a short lock; a time window is not.
    ///
    /// [`with_minimum_calls`](Self::with_minimum_calls) counts for no more than `calls`. A call counts when it has ended,
    /// also for [`opossum`](Self::opossum).
    ///
    /// # Errors
    ///
    /// When `calls` is 0 or more than 100 000.
    pub fn with_count_window(mut self, calls: u32) -> Result<Self, ConfigError> {
        if !(1..=100_000).contains(&calls) {
            return Err(ConfigError::new("count_window", "must be 1 to 100000 calls"));
        }
        self.window = WindowSize::Calls(calls);
        self.counts_fires = false;
        Ok(self)
    }

    /// Looks at the calls of the last `length`, in so many buckets: the oldest is forgotten at once. Default: 30 s in
    /// 10 buckets.
    ///
    /// # Errors
    ///
    /// When there are no buckets or more than 100, or one is shorter than 10 ms or longer than a minute.
    pub fn with_time_window(mut self, length: Duration, buckets: u32) -> Result<Self, ConfigError> {
        if !(1..=100).contains(&buckets) {
            return Err(ConfigError::new("time_window", "must have 1 to 100 buckets"));
        }
        let bucket = length / buckets;
        if bucket < Duration::from_millis(10) || bucket > Duration::from_secs(60) {
            return Err(ConfigError::new("time_window", "must have buckets of 10 ms to one minute"));
        }
        self.window = WindowSize::Time { bucket, buckets };
        Ok(self)
    }

    /// No rate counts before so many calls are in the window. Default: 20.
    ///
    /// # Errors
    ///
    /// When `calls` is 0; for [`polly`](Self::polly), when it is 1, as Polly does.
    pub fn with_minimum_calls(mut self, calls: u32) -> Result<Self, ConfigError> {
        if calls < self.least_minimum {
            let problem = if self.least_minimum == 1 { "must be at least 1" } else { "must be at least 2" };
            return Err(ConfigError::new("minimum_calls", problem));
        }
        self.minimum_calls = calls;
        Ok(self)
    }

    /// Opens when this share of the calls failed, or more. Default: 50 percent.
    ///
    /// For [`opossum`](Self::opossum) it must be more.
    ///
    /// # Errors
    ///
    /// When it is not above 0 and at most 100.
    pub fn with_failure_rate(mut self, percent: f64) -> Result<Self, ConfigError> {
        let percent = checked_percent("failure_rate", percent)?;
        let above = self.failure_rate.is_some_and(|rate| rate.above);
        self.failure_rate = Some(Threshold { percent, above });
        Ok(self)
    }

    /// Opens when more than this share of the calls failed, as opossum does: an upstream that fails exactly so often is
    /// left to retries.
    ///
    /// # Errors
    ///
    /// When it is not above 0 and below 100.
    pub fn with_failure_rate_above(mut self, percent: f64) -> Result<Self, ConfigError> {
        let percent = checked_percent("failure_rate", percent)?;
        if percent >= 100.0 {
            return Err(ConfigError::new("failure_rate", "must be below 100, or no share is above it"));
        }
        self.failure_rate = Some(Threshold { percent, above: true });
        Ok(self)
    }

    /// Opens when this share of the calls, or more, took longer than `longer_than`, to the end of the response body.
    /// Default: no call is slow.
    ///
    /// # Errors
    ///
    /// When `percent` is not above 0 and at most 100, or `longer_than` is 0 or more than a day.
    pub fn with_slow_calls(mut self, percent: f64, longer_than: Duration) -> Result<Self, ConfigError> {
        let percent = checked_percent("slow_calls", percent)?;
        let longer_than = checked_time("slow_calls", longer_than)?;
        self.slow = Some(SlowCalls { rate: Threshold { percent, above: false }, longer_than });
        Ok(self)
    }

    /// Opens after so many failed calls in a row, too. Default: the rates alone count.
    ///
    /// # Errors
    ///
    /// When it is 0.
    pub fn with_consecutive_failures(mut self, failures: u32) -> Result<Self, ConfigError> {
        if failures == 0 {
            return Err(ConfigError::new("consecutive_failures", "must be at least 1"));
        }
        self.consecutive_failures = Some(failures);
        Ok(self)
    }

    /// How long the breaker stays open. Default: 30 s.
    ///
    /// # Errors
    ///
    /// When it is 0, more than a day, or more than the cap it may grow to.
    pub fn with_open_time(mut self, time: Duration) -> Result<Self, ConfigError> {
        self.open_time = checked_time("open_time", time)?;
        self.check_cap()
    }

    /// Each time a recovery fails the breaker stays open longer by this factor, up to `cap`; once it is closed it starts
    /// again with [`with_open_time`](Self::with_open_time). Default: always the same time.
    ///
    /// # Errors
    ///
    /// When `factor` is below 1 or above 100, or `cap` is below the open time or more than a day.
    pub fn with_open_growth(mut self, factor: f64, cap: Duration) -> Result<Self, ConfigError> {
        if !(1.0..=100.0).contains(&factor) {
            return Err(ConfigError::new("open_growth", "must be by a factor of 1 to 100"));
        }
        self.growth = Growth::Factor { factor, cap: checked_time("open_growth", cap)? };
        self.check_cap()
    }

    fn check_cap(self) -> Result<Self, ConfigError> {
        let cap = match self.growth {
            Growth::None => return Ok(self),
            Growth::Factor { cap, .. } | Growth::Times { cap, .. } => cap,
        };
        if cap < self.open_time {
            return Err(ConfigError::new(
                "open_growth",
                "must be up to a cap that is not below the open time",
            ));
        }
        Ok(self)
    }

    /// So many calls probe whether all is well again; what they say decides once all of them have ended. Default: 3.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 1000.
    pub fn with_probes(mut self, probes: u32) -> Result<Self, ConfigError> {
        if !(1..=1_000).contains(&probes) {
            return Err(ConfigError::new("probes", "must be 1 to 1000"));
        }
        let (_, wait, hung) = self.probes();
        self.recovery = Recovery::Probes { permits: probes, wait, hung };
        Ok(self)
    }

    /// Probes that have not ended so long after the last of them began hang. Default: as long as the breaker was to stay
    /// open. `then` says what becomes of the breaker.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than a day.
    pub fn with_half_open_wait(mut self, wait: Duration, then: HungProbes) -> Result<Self, ConfigError> {
        let wait = checked_time("half_open_wait", wait)?;
        let (permits, ..) = self.probes();
        self.recovery = Recovery::Probes { permits, wait: Some(wait), hung: then };
        Ok(self)
    }

    fn probes(&self) -> (u32, Option<Duration>, HungProbes) {
        match self.recovery {
            Recovery::Probes { permits, wait, hung } => (permits, wait, hung),
            Recovery::Sweep { .. } => (3, None, HungProbes::Reopen),
        }
    }

    /// After the probes have succeeded only so many percent of the calls pass, step by step, each for `step`; then all.
    /// The rules that open the breaker hold meanwhile. Default: all at once.
    ///
    /// # Errors
    ///
    /// When there are no steps or more than 16, when they are not 1 to 99 percent and rising, or when `step` is 0 or more
    /// than a day.
    pub fn with_ramp_up<const N: usize>(
        mut self,
        percents: [u8; N],
        step: Duration,
    ) -> Result<Self, ConfigError> {
        if !(1..=16).contains(&N) {
            return Err(ConfigError::new("ramp_up", "must have 1 to 16 steps"));
        }
        let in_range = percents.iter().all(|percent| (1..=99).contains(percent));
        if !in_range || !percents.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(ConfigError::new("ramp_up", "must rise, from 1 percent or more to 99 or less"));
        }
        let step = checked_time("ramp_up", step)?;
        self.ramp = Some(Ramp { percents: percents.into(), step });
        Ok(self)
    }

    /// At most this share of the breakers of one layer is open at once; with `at_least_one`, one may be even where that
    /// is less than one. What would be open stays closed, and is looked at again with the next failure; what is half-open,
    /// and would open again, is closed. One whose open time is over takes no part of the share, also if nobody has called
    /// it since. Default: all may be open.
    ///
    /// # Errors
    ///
    /// When it is not above 0 and at most 100.
    pub fn with_open_share(mut self, percent: f64, at_least_one: bool) -> Result<Self, ConfigError> {
        let percent = checked_percent("open_share", percent)?;
        self.open_share = Some(OpenShare { percent, at_least_one });
        Ok(self)
    }

    /// The calls that a rate is taken of at least.
    pub(crate) fn minimum(&self) -> u64 {
        match self.window {
            WindowSize::Calls(calls) => self.minimum_calls.min(calls).into(),
            WindowSize::Time { .. } => self.minimum_calls.into(),
        }
    }

    /// Whether so much is bad that a good call could be the one that reaches the minimum and opens the breaker.
    pub(crate) fn suspects(&self, totals: Totals) -> bool {
        let minimum = self.minimum().max(1);
        self.failure_rate.is_some_and(|rate| rate.is_reached(totals.failures, minimum))
            || self.slow.is_some_and(|slow| slow.rate.is_reached(totals.slow, minimum))
    }

    /// How long the breaker is open the time after `failed` recoveries.
    pub(crate) fn open_time(&self, failed: u32) -> Duration {
        match self.growth {
            Growth::None => self.open_time,
            Growth::Factor { factor, cap } => {
                let exponent = i32::try_from(failed).unwrap_or(i32::MAX);
                // Too much for a duration is more than the cap.
                Duration::try_from_secs_f64(self.open_time.as_secs_f64() * factor.powi(exponent))
                    .map_or(cap, |time| time.min(cap))
            }
            Growth::Times { cap, .. } => self.open_time.saturating_mul(failed.saturating_add(1)).min(cap),
        }
    }

    /// After how long a probe hangs.
    pub(crate) fn half_open_wait(&self, open_for: Duration) -> Duration {
        match self.recovery {
            Recovery::Probes { wait: Some(wait), .. } => wait,
            _ => open_for,
        }
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self::new()
    }
}

fn checked_percent(field: &'static str, percent: f64) -> Result<f64, ConfigError> {
    if percent > 0.0 && percent <= 100.0 {
        Ok(percent)
    } else {
        Err(ConfigError::new(field, "must be above 0 and at most 100 percent"))
    }
}

fn checked_time(field: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time.is_zero() || time > LONGEST {
        return Err(ConfigError::new(field, "must be longer than zero and at most a day"));
    }
    Ok(time)
}
