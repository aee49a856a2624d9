//! A percentile of the latest latencies.

use std::{
    fmt,
    sync::{
        Mutex, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bartizan_core::stripe;

use crate::ConfigError;

/// So many parts has each power of two: a value is known to an eighth.
const PARTS: u64 = 8;

/// From a microsecond to more than an hour.
const BUCKETS: usize = 34 * PARTS as usize;

/// Samples are counted apart by as many threads, so that these do not fight for a cache line.
const STRIPES: usize = 4;

/// How long a generation of samples is gathered. It is forgotten when the one after it is complete.
const GENERATION: Duration = Duration::from_secs(30);

/// How often the percentile is found anew.
const REFRESH: Duration = Duration::from_millis(500);

/// Fewer samples say nothing.
const MIN_SAMPLES: u64 = 50;

/// A percentile of the latencies of the last half to one minute, to an eighth of its value.
///
/// A sample costs two atomic operations, a reading one, in a fixed amount of memory. Twice a second one of those who
/// bring samples finds the percentile anew. Where these are fewer than fifty, as after a pause, it stays what it was.
///
/// ```
/// use std::time::Duration;
/// use bartizan_core::Clock;
/// use bartizan_retry::LatencyPercentile;
///
/// let p95 = LatencyPercentile::new(0.95, Duration::from_millis(100))?;
/// assert_eq!(p95.current(), Duration::from_millis(100), "nothing is known yet");
/// let start = Clock::system().now();
/// for number in 1..=100 {
///     p95.record(Duration::from_millis(number), start);
/// }
/// p95.record(Duration::from_millis(1), start + Duration::from_secs(1));
/// assert!((Duration::from_millis(95)..Duration::from_millis(110)).contains(&p95.current()));
/// # Ok::<(), bartizan_retry::ConfigError>(())
/// ```
pub struct LatencyPercentile {
    percentile: f64,
    /// In nanoseconds.
    current: AtomicU64,
    /// When it is found anew, in nanoseconds since the first sample.
    due: AtomicU64,
    /// Which of the two generations gathers.
    gathering: AtomicUsize,
    generations: [Generation; 2],
    /// The number of the one that gathers, counted from the first sample.
    number: Mutex<u64>,
    origin: OnceLock<Instant>,
}

struct Generation(Box<[Stripe]>);

#[repr(align(128))]
struct Stripe([AtomicU32; BUCKETS]);

impl LatencyPercentile {
    /// The percentile, above 0 and below 1, and what it is taken for until there are enough samples.
    ///
    /// # Errors
    ///
    /// When the percentile is not above 0 and below 1, or `initial` is zero or longer than an hour.
    pub fn new(percentile: f64, initial: Duration) -> Result<Self, ConfigError> {
        if !(percentile > 0.0 && percentile < 1.0) {
            return Err(ConfigError::new("percentile", "must be above 0 and below 1"));
        }
        if initial.is_zero() || initial > Duration::from_secs(3_600) {
            return Err(ConfigError::new("initial", "must be longer than zero and at most an hour"));
        }
        Ok(Self {
            percentile,
            current: AtomicU64::new(nanos(initial)),
            due: AtomicU64::new(nanos(REFRESH)),
            gathering: AtomicUsize::new(0),
            generations: [Generation::new(), Generation::new()],
            number: Mutex::new(0),
            origin: OnceLock::new(),
        })
    }

    /// Where the percentile is.
    pub fn current(&self) -> Duration {
        Duration::from_nanos(self.current.load(Ordering::Relaxed))
    }

    /// Something took so long.
    pub fn record(&self, latency: Duration, now: Instant) {
        let elapsed = nanos(now.saturating_duration_since(*self.origin.get_or_init(|| now)));
        if elapsed >= self.due.load(Ordering::Relaxed) {
            self.refresh(elapsed);
        }
        // After what is too old was forgotten, with which it would be counted and forgotten.
        let gathering = self.gathering.load(Ordering::Acquire) % 2;
        self.generations[gathering].record(latency);
    }

    #[cold]
    fn refresh(&self, elapsed: u64) {
        // Whoever comes second leaves it to the first.
        let mut number = match self.number.try_lock() {
            Ok(number) => number,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return,
        };
        self.due.fetch_max(elapsed.saturating_add(nanos(REFRESH)), Ordering::Relaxed);
        self.forget_until(elapsed / nanos(GENERATION), &mut number);
        if let Some(found) = self.find() {
            self.current.store(nanos(found), Ordering::Relaxed);
        }
    }

    /// The generation of this number gathers from now on, and of those before it the last alone is kept.
    fn forget_until(&self, wanted: u64, number: &mut u64) {
        // None has passed, or who comes is late.
        let Some(passed) = wanted.checked_sub(*number).filter(|passed| *passed > 0) else { return };
        *number = wanted;
        let next = usize::from(wanted % 2 == 1);
        self.generations[next].clear();
        if passed > 1 {
            self.generations[1 - next].clear();
        }
        // Who gathers in it sees it empty.
        self.gathering.store(next, Ordering::Release);
    }

    fn find(&self) -> Option<Duration> {
        let mut counts = [0_u64; BUCKETS];
        for generation in &self.generations {
            generation.add_to(&mut counts);
        }
        let total: u64 = counts.iter().sum();
        if total < MIN_SAMPLES {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let below = (total as f64 * self.percentile).ceil() as u64;
        let mut seen = 0;
        counts
            .iter()
            .position(|count| {
                seen += count;
                seen >= below
            })
            .map(upper_bound)
    }
}

impl Generation {
    fn new() -> Self {
        let stripe = || Stripe(std::array::from_fn(|_| AtomicU32::new(0)));
        Self((0..STRIPES).map(|_| stripe()).collect())
    }

    fn record(&self, latency: Duration) {
        // As many as there are in half a minute never overflow it.
        self.0[stripe::of_thread() % STRIPES].0[bucket(latency)].fetch_add(1, Ordering::Relaxed);
    }

    fn add_to(&self, counts: &mut [u64; BUCKETS]) {
        for stripe in &self.0 {
            for (count, bucket) in counts.iter_mut().zip(&stripe.0) {
                *count += u64::from(bucket.load(Ordering::Relaxed));
            }
        }
    }

    fn clear(&self) {
        self.0.iter().flat_map(|stripe| &stripe.0).for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }
}

/// The bucket of a latency: its power of two in microseconds, and the eighth of that.
fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).saturating_add(PARTS);
    let power = micros.ilog2() - PARTS.ilog2();
    let index = u64::from(power) * PARTS + (micros >> power) - PARTS;
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The longest latency of a bucket.
fn upper_bound(bucket: usize) -> Duration {
    let (power, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    Duration::from_micros((((PARTS + part + 1) << power) - PARTS).max(1))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for LatencyPercentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatencyPercentile")
            .field("percentile", &self.percentile)
            .field("current", &self.current())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::Clock;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rt_09_every_latency_is_in_a_bucket_that_is_no_wider_than_an_eighth() {
        let mut micros = 0_u64;
        while micros < 3_600_000_000 {
            let latency = Duration::from_micros(micros);
            let upper = upper_bound(bucket(latency));
            assert!(upper >= latency, "{latency:?} {upper:?}");
            assert!(upper <= latency + latency / 7 + Duration::from_micros(2), "{latency:?} {upper:?}");
            micros += micros / 13 + 1;
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn rt_09_the_percentile_is_that_of_the_samples_and_follows_them() {
        let mut rng = StdRng::seed_from_u64(9);
        let start = Clock::system().now();
        for percentile in [0.5, 0.9, 0.95, 0.99] {
            let latency = LatencyPercentile::new(percentile, 7 * MS).unwrap();
            let mut now = start;
            let mut around = |center: u32, seconds: u32| {
                let mut samples = Vec::new();
                for _ in 0..seconds * 100 {
                    now += 10 * MS;
                    let sample = center * MS + Duration::from_micros(rng.random_range(0..100_000));
                    samples.push(sample);
                    latency.record(sample, now);
                }
                samples.sort();
                samples[(samples.len() as f64 * percentile) as usize]
            };
            let expected = around(100, 20);
            let current = latency.current();
            assert!(
                current >= expected - 3 * MS && current <= expected + expected / 7,
                "{current:?} {expected:?}"
            );
            // After two generations nothing is left of them.
            let expected = around(400, 70);
            let current = latency.current();
            assert!(
                current >= expected - 10 * MS && current <= expected + expected / 7,
                "{current:?} {expected:?}"
            );
        }
    }

    #[test]
    fn rt_09_nothing_is_left_of_a_minute_ago_after_a_pause_either() {
        let start = Clock::system().now();
        let second = Duration::from_secs(1);
        let many = |latency: &LatencyPercentile, sample, at| {
            (0..60).for_each(|_| latency.record(sample, at));
            latency.record(sample, at + REFRESH);
        };
        // However long the pause was, and wherever in a generation it began.
        for (began, pause) in [(0, 61), (29, 61), (31, 90), (10, 3_600), (59, 120)] {
            let latency = LatencyPercentile::new(0.9, 7 * MS).unwrap();
            latency.record(MS, start);
            many(&latency, 800 * MS, start + began * second);
            assert!(latency.current() >= 800 * MS);
            let later = start + (began + pause) * second;
            latency.record(2 * MS, later);
            assert!(latency.current() >= 800 * MS, "too few to say anything else");
            many(&latency, 2 * MS, later);
            assert!(latency.current() < 4 * MS, "{began} {pause}: {:?}", latency.current());
            // What was brought after the pause is not forgotten with what was before it.
            let next = later + 20 * second;
            (0..3).for_each(|half| latency.record(400 * MS, next + half * REFRESH));
            assert!(latency.current() < 4 * MS, "{began} {pause}: {:?}", latency.current());
        }
    }

    #[test]
    fn rt_09_few_samples_far_apart_are_of_the_last_minute_too() {
        let start = Clock::system().now();
        let second = Duration::from_secs(1);
        let latency = LatencyPercentile::new(0.9, 7 * MS).unwrap();
        (0..60).for_each(|_| latency.record(800 * MS, start + second));
        // A generation ends when its time is over, and not when the next sample comes.
        latency.record(2 * MS, start + 59 * second);
        (0..100).for_each(|_| latency.record(2 * MS, start + 62 * second));
        latency.record(2 * MS, start + 63 * second);
        assert!(latency.current() < 4 * MS, "{:?}", latency.current());
    }

    #[test]
    fn rt_09_a_thread_that_is_late_brings_nothing_back_and_forgets_nothing() {
        let start = Clock::system().now();
        let second = Duration::from_secs(1);
        let latency = LatencyPercentile::new(0.9, 7 * MS).unwrap();
        (0..60).for_each(|_| latency.record(2 * MS, start));
        (0..60).for_each(|_| latency.record(400 * MS, start + 89 * second));
        // It had read the clock before the others came, and is the one that finds the percentile anew.
        latency.due.store(0, Ordering::Relaxed);
        latency.record(400 * MS, start + 29 * second);
        assert!(latency.current() >= 400 * MS, "{:?}", latency.current());
        latency.record(400 * MS, start + 90 * second);
        assert!(latency.current() >= 400 * MS, "{:?}", latency.current());
    }

    #[test]
    fn rt_09_too_few_samples_say_nothing() {
        let start = Clock::system().now();
        let latency = LatencyPercentile::new(0.9, 7 * MS).unwrap();
        (0..MIN_SAMPLES - 1).for_each(|_| latency.record(MS, start));
        latency.record(MS, start + REFRESH / 2);
        assert_eq!(latency.current(), 7 * MS, "not yet due");
        latency.record(MS, start + REFRESH);
        assert!(latency.current() < 2 * MS);
    }

    #[test]
    fn lay_06_a_percentile_that_cannot_be_is_refused() {
        for percentile in [0.0, 1.0, -0.5, f64::NAN] {
            assert_eq!(LatencyPercentile::new(percentile, MS).unwrap_err().field(), "percentile");
        }
        for initial in [Duration::ZERO, 3_601 * 1_000 * MS] {
            assert_eq!(LatencyPercentile::new(0.9, initial).unwrap_err().field(), "initial");
        }
    }
}
