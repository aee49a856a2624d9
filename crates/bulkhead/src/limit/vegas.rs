//! A limit that finds itself: a plain type, with time passed in.

use std::time::{Duration, Instant};

use super::{Sample, sealed};
use crate::ConfigError;

/// A limit that finds itself from how long requests take, after TCP Vegas.
///
/// Vegas (Brakmo and Peterson, 1995) compares how long a round trip takes with how long it takes when nothing queues;
/// what is under way beyond that is a queue, which it keeps short. [Netflix's concurrency-limits] brought it to
/// requests. This is that algorithm, but for where the latency without a queue comes from. Theirs takes it anew from
/// time to time as it is at that moment, queue and all, and so creeps upwards under lasting load. Here, as in BBR's
/// `ProbeRTT` and in Envoy's adaptive concurrency filter, much of the limit is held back for a moment, so that no queue is
/// in what is measured.
///
/// 1. Requests are looked at in windows of at least 100 ms and ten requests.
/// 2. `queue = limit × (1 − base × (1 + tolerance) / latency)`, where `latency` is the window's mean to the head of the
///    response, and `base` the lowest that its moving average was since the last probe.
/// 3. With `s = max(1, log₁₀ limit)`: a queue of at most `s` raises the limit by `6 s`, one below `3 s` by `s`; one
///    above `6 s` lowers it by `s`; in between it stays. It is not raised while less than half of it is in use.
/// 4. When a tenth of the window's requests timed out or were refused for overload, the limit is cut to nine tenths.
/// 5. Each [`with_probe_interval`](Self::with_probe_interval), and when the limit has halved since the last time, half
///    of it is held back until one window of requests has passed that began after that; its mean is the new base. If
///    it is less than 0.7 of what it was before, there may be a queue still, and half of the rest is held back too, and
///    so on; the limit is cut to what has last shown a queue. What has [had its answer](Self::set_answered) and is
///    under way still, as a long stream, is left aside in that. A probe that [keeps others out](Self::refused) ends after
///    thirty times the latency before it, a second at least, also if too few requests were answered; the base stays
///    then.
///
/// ```
/// use std::time::{Duration, Instant};
/// use bartizan_bulkhead::{Sample, Vegas};
///
/// let mut limit = Vegas::new(10, 200)?;
/// # #[expect(clippy::disallowed_methods)]
/// let mut now = Instant::now();
/// // All of it is in use, and nothing queues: there is room for more.
/// for _ in 0..100 {
///     now += Duration::from_millis(20);
///     limit.sample(now, now, limit.limit(), Sample::Answered(Duration::from_millis(5)));
/// }
/// assert!(limit.limit() > 20);
/// # Ok::<(), bartizan_bulkhead::ConfigError>(())
/// ```
///
/// [Netflix's concurrency-limits]: https://github.com/Netflix/concurrency-limits
#[derive(Clone, Debug)]
pub struct Vegas {
    min: f64,
    max: f64,
    tolerance: f64,
    probe_interval: Duration,
    limit: f64,
    /// Latencies in seconds: without a queue, and the moving average.
    base: Option<f64>,
    average: Option<f64>,
    window: Window,
    probing: Option<Probing>,
    probe_due: Option<Instant>,
    /// Those under way that have had their answer.
    answered: f64,
    /// What the limit was at the last probe.
    probed_at: f64,
}

/// Much of the limit is held back.
#[derive(Clone, Copy, Debug)]
struct Probing {
    since: Instant,
    /// When requests are done that began since then and are as slow as others.
    counts_from: Instant,
    /// How long others may be kept out for it.
    until: Instant,
    /// What is left of it, beside those that have had their answer.
    level: f64,
    /// The latency at twice the level, in seconds.
    before: f64,
}

#[derive(Clone, Debug, Default)]
struct Window {
    began: Option<Instant>,
    answered: u32,
    latency: Duration,
    overloaded: u32,
    most_in_flight: u32,
}

impl Window {
    const SHORTEST: Duration = Duration::from_millis(100);
    const FEWEST: u32 = 10;

    fn is_over(&self, now: Instant) -> bool {
        self.answered.saturating_add(self.overloaded) >= Self::FEWEST
            && self.began.is_some_and(|began| now.saturating_duration_since(began) >= Self::SHORTEST)
    }

    /// In seconds.
    fn mean(&self) -> Option<f64> {
        let mean = self.latency.checked_div(self.answered)?.as_secs_f64();
        (mean > 0.0).then_some(mean)
    }
}

impl Vegas {
    const INITIAL: u32 = 20;
    const TOLERANCE: f64 = 0.25;
    const PROBE_INTERVAL: Duration = Duration::from_secs(30);

    /// A limit between `min` and `max`. It begins at 20, or at the bound that is nearest.
    ///
    /// # Errors
    ///
    /// When `min` is 0 or more than `max`.
    pub fn new(min: u32, max: u32) -> Result<Self, ConfigError> {
        if min == 0 {
            return Err(ConfigError::new("min", "must be at least 1"));
        }
        if min > max {
            return Err(ConfigError::new("max", "must not be less than `min`"));
        }
        let limit = f64::from(Self::INITIAL.clamp(min, max));
        Ok(Self {
            min: f64::from(min),
            max: f64::from(max),
            tolerance: Self::TOLERANCE,
            probe_interval: Self::PROBE_INTERVAL,
            limit,
            base: None,
            average: None,
            window: Window::default(),
            probing: None,
            probe_due: None,
            answered: 0.0,
            probed_at: limit,
        })
    }

    /// Where it begins. Default: 20.
    ///
    /// # Errors
    ///
    /// When it is not between the bounds.
    pub fn with_initial(mut self, initial: u32) -> Result<Self, ConfigError> {
        let initial = f64::from(initial);
        if !(self.min..=self.max).contains(&initial) {
            return Err(ConfigError::new("initial", "must be between `min` and `max`"));
        }
        (self.limit, self.probed_at) = (initial, initial);
        Ok(self)
    }

    /// How much longer than without a queue requests may take, as a share, before that is taken for one. Default: 0.25.
    /// More where the time that requests take varies by itself.
    ///
    /// # Errors
    ///
    /// When it is not between 0 and 1: more than that, half of the limit would not empty the queue.
    pub fn with_tolerance(mut self, tolerance: f64) -> Result<Self, ConfigError> {
        if !(0.0..=1.0).contains(&tolerance) {
            return Err(ConfigError::new("tolerance", "must be between 0 and 1"));
        }
        self.tolerance = tolerance;
        Ok(self)
    }

    /// How often the latency without a queue is measured anew, with half of the limit held back for about a tenth of a
    /// second. Default: 30 s.
    ///
    /// # Errors
    ///
    /// When it is shorter than a second or longer than a day.
    pub fn with_probe_interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        if !(Duration::from_secs(1)..=DAY).contains(&interval) {
            return Err(ConfigError::new("probe_interval", "must be between a second and a day"));
        }
        self.probe_interval = interval;
        Ok(self)
    }

    /// How many requests may be under way now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between two `u32`")]
    pub fn limit(&self) -> u32 {
        self.probing.map_or(self.limit, |probing| self.limit.min(probing.level + self.answered)) as u32
    }

    /// Says how many of the requests under way have had the head of their response, and hold their places for its body
    /// alone: long streams, mostly. A probe holds back half of what they leave. Default: none.
    pub fn set_answered(&mut self, answered: u32) {
        self.answered = f64::from(answered);
    }

    /// Says that there is no place for a request `now`. If a probe keeps it out that has lasted too long, because what it
    /// let in is not answered or fails, the probe ends, and nothing was measured. Whether the limit moved.
    pub fn refused(&mut self, now: Instant) -> bool {
        let is_late = self.probing.is_some_and(|probing| now >= probing.until);
        let before = self.limit();
        if is_late {
            self.window = Window::default();
            self.steady(now);
        }
        self.limit() != before
    }

    /// Learns from a request that came at `began`, and of which `sample` became clear `now`, while `in_flight` were
    /// under way. Whether the limit moved.
    pub fn sample(&mut self, began: Instant, now: Instant, in_flight: u32, sample: Sample) -> bool {
        if self.probing.is_some_and(|probing| began < probing.since || now < probing.counts_from) {
            // It queued behind what the probe holds back, or is one of the fastest, which are the first to be done.
            return false;
        }
        match sample {
            Sample::Answered(latency) => self.add(latency),
            // It would have taken at least so long; a short time says nothing.
            Sample::GivenUp(after)
                if self.base.is_some_and(|base| after.as_secs_f64() > base * (1.0 + self.tolerance)) =>
            {
                self.add(after);
            }
            Sample::GivenUp(_) => return false,
            Sample::Overloaded => self.window.overloaded = self.window.overloaded.saturating_add(1),
        }
        self.window.most_in_flight = self.window.most_in_flight.max(in_flight);
        self.window.began.get_or_insert(now);
        if !self.window.is_over(now) {
            return false;
        }
        let before = self.limit();
        let window = std::mem::take(&mut self.window);
        self.end_of(&window, now);
        self.limit() != before
    }

    fn add(&mut self, latency: Duration) {
        self.window.answered = self.window.answered.saturating_add(1);
        self.window.latency = self.window.latency.saturating_add(latency);
    }

    // ## Probing => (Probing | Steady), Steady => (Steady | Probing)
    fn end_of(&mut self, window: &Window, now: Instant) {
        if let Some(probing) = self.probing.take() {
            self.end_probe(probing, window, now);
            return;
        }
        self.move_by(window);
        let due = *self.probe_due.get_or_insert_with(|| now + self.probe_interval);
        if now >= due || self.limit < self.probed_at / 2.0 {
            let before = window.mean().or(self.average).unwrap_or_default();
            self.probe(now, (self.limit - self.answered).max(0.0), before);
        }
    }

    /// Holds back half of `level`, at which requests took so long.
    fn probe(&mut self, now: Instant, level: f64, before: f64) {
        /// Within so many times the mean, nearly all requests are done.
        const TIMES: f64 = 3.0;
        const LONGEST: f64 = 1.0;
        /// Within so many times the mean, a window's requests are done, even if there is room for one at a time.
        const WINDOW_TIMES: f64 = TIMES * Window::FEWEST as f64;
        const SHORTEST: f64 = 1.0;
        let level = (level / 2.0).max(self.min);
        let counts_from = now + Duration::from_secs_f64((before * TIMES).min(LONGEST));
        let longest = self.probe_interval.as_secs_f64();
        let until = counts_from + Duration::from_secs_f64((before * WINDOW_TIMES).clamp(SHORTEST, longest));
        self.probing = Some(Probing { since: now, counts_from, until, level, before });
    }

    fn end_probe(&mut self, probing: Probing, window: &Window, now: Instant) {
        /// Less than that share of the time, and there was a queue.
        const SHORTER: f64 = 0.7;
        let Probing { level, before, .. } = probing;
        if let Some(mean) = window.mean() {
            if mean < before * SHORTER && level > self.min {
                self.set(self.limit.min(level * 2.0 + self.answered));
                self.probe(now, level, mean);
                return;
            }
            (self.base, self.average) = (Some(mean), Some(mean));
        }
        self.steady(now);
    }

    /// Holds back nothing until the next probe.
    fn steady(&mut self, now: Instant) {
        self.probing = None;
        self.probed_at = self.limit;
        self.probe_due = now.checked_add(self.probe_interval);
    }

    fn move_by(&mut self, window: &Window) {
        if window.overloaded.saturating_mul(10) >= window.answered.saturating_add(window.overloaded) {
            self.set(self.limit * 0.9);
            return;
        }
        let Some(latency) = window.mean() else { return };
        /// The weight of a window. The lowest of windows that vary by chance would be too low.
        const WEIGHT: f64 = 0.2;
        let average = self.average.map_or(latency, |average| average + (latency - average) * WEIGHT);
        let base = self.base.map_or(average, |base| base.min(average));
        (self.base, self.average) = (Some(base), Some(average));

        let queue = self.limit * (1.0 - base * (1.0 + self.tolerance) / latency).max(0.0);
        let step = self.limit.log10().max(1.0);
        let is_in_use = f64::from(window.most_in_flight) * 2.0 >= self.limit;
        if queue > 6.0 * step {
            self.set(self.limit - step);
        } else if is_in_use && queue <= step {
            self.set(self.limit + 6.0 * step);
        } else if is_in_use && queue < 3.0 * step {
            self.set(self.limit + step);
        }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(self.min, self.max);
    }
}

impl sealed::Limit for Vegas {
    const LAYER: &'static str = "adaptive_concurrency";
    const LEARNS: bool = true;

    fn current(&self) -> u32 {
        self.limit()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a `u32`")]
    fn least(&self) -> u32 {
        self.min as u32
    }

    fn hold(&mut self, answered: u32) {
        self.set_answered(answered);
    }

    fn yield_at(&mut self, now: Instant) -> bool {
        self.refused(now)
    }

    fn learn(&mut self, began: Instant, now: Instant, in_flight: u32, sample: Sample) -> bool {
        self.sample(began, now, in_flight, sample)
    }
}
