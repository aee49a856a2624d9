//! How long to wait before the next attempt.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::ConfigError;

/// No wait is longer, whatever is set: a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long to wait before the next attempt: longer each time, up to a cap, and random, so that those who failed
/// together do not come back together.
///
/// A plain value: it holds no state and reads no clock.
///
/// ```
/// use std::time::Duration;
/// use bartizan_retry::Backoff;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let backoff = Backoff::equal_jitter(Duration::from_millis(100), Duration::from_secs(1))?;
/// let wait = backoff.delay(2, None, &mut StdRng::seed_from_u64(1));
/// assert!((Duration::from_millis(200)..=Duration::from_millis(400)).contains(&wait));
/// # Ok::<(), bartizan_retry::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    kind: Kind,
    base: Duration,
    cap: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    None,
    Full,
    Equal,
    Decorrelated,
    Grpc { multiplier: f64 },
}

impl Backoff {
    /// Anything up to `min(cap, base · 2ⁿ)`: spreads the load best. The default, with a base of 100 ms and a cap
    /// of 10 s.
    ///
    /// The names of the three kinds of jitter are those of AWS's [Exponential Backoff And Jitter].
    ///
    /// [Exponential Backoff And Jitter]: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    ///
    /// # Errors
    ///
    /// When `base` is zero or longer than `cap`, or `cap` longer than a day.
    pub fn full_jitter(base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        Self::checked(Kind::Full, base, cap)
    }

    /// Half of `min(cap, base · 2ⁿ)`, and anything up to the other half: never at once.
    ///
    /// # Errors
    ///
    /// When `base` is zero or longer than `cap`, or `cap` longer than a day.
    pub fn equal_jitter(base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        Self::checked(Kind::Equal, base, cap)
    }

    /// Between `base` and three times the wait before, up to `cap`.
    ///
    /// # Errors
    ///
    /// When `base` is zero or longer than `cap`, or `cap` longer than a day.
    pub fn decorrelated(base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        Self::checked(Kind::Decorrelated, base, cap)
    }

    /// gRPC's ([gRFC A6]): `min(initial · multiplierⁿ, max)`, give or take a fifth.
    ///
    /// [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
    ///
    /// # Errors
    ///
    /// When `initial` is zero or longer than `max`, `max` longer than a day, or the multiplier not a finite number
    /// above zero.
    pub fn grpc(initial: Duration, max: Duration, multiplier: f64) -> Result<Self, ConfigError> {
        if !(multiplier.is_finite() && multiplier > 0.0) {
            return Err(ConfigError::new("multiplier", "must be a finite number above 0"));
        }
        Self::checked(Kind::Grpc { multiplier }, initial, max)
    }

    /// No wait: for a client that has other upstreams to try, or for tests.
    pub const fn none() -> Self {
        Self { kind: Kind::None, base: Duration::ZERO, cap: Duration::ZERO }
    }

    fn checked(kind: Kind, base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        if base.is_zero() {
            return Err(ConfigError::new("base", "must be longer than zero"));
        }
        if base > cap {
            return Err(ConfigError::new("base", "must not be longer than the cap"));
        }
        if cap > LONGEST {
            return Err(ConfigError::new("cap", "must be at most a day"));
        }
        Ok(Self { kind, base, cap })
    }

    /// The wait before repeat `n`, counted from 0, where the wait before was `previous`.
    pub fn delay(&self, n: u32, previous: Option<Duration>, rng: &mut impl Rng) -> Duration {
        let (base, cap) = (nanos(self.base), nanos(self.cap));
        // A shift by 63 or more exceeds any cap.
        let exponential = || base.saturating_mul(1 << n.min(62)).min(cap);
        let delay = match self.kind {
            Kind::None => 0,
            Kind::Full => rng.random_range(0..=exponential()),
            Kind::Equal => {
                let whole = exponential();
                whole - whole / 2 + rng.random_range(0..=whole / 2)
            }
            Kind::Decorrelated => {
                let most = previous.map_or(base, nanos).max(base).saturating_mul(3);
                rng.random_range(base..=most).min(cap)
            }
            Kind::Grpc { multiplier } => {
                let power = multiplier.powi(i32::try_from(n).unwrap_or(i32::MAX));
                let whole = (self.base.as_secs_f64() * power).min(self.cap.as_secs_f64());
                return Duration::from_secs_f64(whole * rng.random_range(0.8..=1.2));
            }
        };
        Duration::from_nanos(delay)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { kind: Kind::Full, base: Duration::from_millis(100), cap: Duration::from_secs(10) }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn kinds() -> [Backoff; 4] {
        let (base, cap) = (100 * MS, 10_000 * MS);
        [
            Backoff::full_jitter(base, cap).unwrap(),
            Backoff::equal_jitter(base, cap).unwrap(),
            Backoff::decorrelated(base, cap).unwrap(),
            Backoff::grpc(base, cap, 2.0).unwrap(),
        ]
    }

    #[test]
    fn rt_05_each_kind_keeps_its_bounds_and_uses_them() {
        let mut rng = StdRng::seed_from_u64(5);
        let [full, equal, decorrelated, grpc] = kinds();
        // Each kind with the wait before, and its bounds for n = 3: base · 2³ is 800 ms.
        for (backoff, previous, low, high) in [
            (full, None, 0, 800),
            (equal, None, 400, 800),
            (decorrelated, Some(300 * MS), 100, 900),
            (decorrelated, None, 100, 300),
            (grpc, None, 640, 960),
        ] {
            let waits: Vec<_> = (0..2_000).map(|_| backoff.delay(3, previous, &mut rng)).collect();
            let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
            let (low, high) = (low * MS, high * MS);
            assert!(least >= low && most <= high + MS / 1_000, "{backoff:?}: {least:?} to {most:?}");
            let edge = (high - low) / 20;
            assert!(least < low + edge && most > high - edge, "{backoff:?}: {least:?} to {most:?}");
        }
        let first: Vec<_> = (0..500).map(|_| full.delay(0, None, &mut rng)).collect();
        assert!(first.iter().all(|wait| *wait <= 100 * MS), "n = 0 is the base");
    }

    #[test]
    fn rt_05_nothing_overflows_at_1000() {
        let mut rng = StdRng::seed_from_u64(6);
        let day = LONGEST;
        let extreme = [
            Backoff::full_jitter(day, day).unwrap(),
            Backoff::equal_jitter(MS / 1_000_000, day).unwrap(),
            Backoff::decorrelated(day, day).unwrap(),
            Backoff::grpc(day, day, 1e300).unwrap(),
            Backoff::grpc(MS / 1_000_000, day, f64::MIN_POSITIVE).unwrap(),
        ];
        for backoff in kinds().into_iter().chain(extreme) {
            for n in [0, 1, 31, 32, 62, 63, 64, 1_000, u32::MAX] {
                for previous in [None, Some(Duration::MAX)] {
                    let delay = backoff.delay(n, previous, &mut rng);
                    assert!(delay <= backoff.cap.mul_f64(1.2), "{backoff:?} {n}: {delay:?}");
                }
            }
        }
        // At the cap it is still random, and still the whole range.
        let [full, equal, ..] = kinds();
        let waits: Vec<_> = (0..500).map(|_| full.delay(1_000, None, &mut rng)).collect();
        assert!(waits.iter().any(|wait| *wait < 2_000 * MS) && waits.iter().any(|wait| *wait > 8_000 * MS));
        assert!(equal.delay(1_000, None, &mut rng) >= 5_000 * MS);
    }

    #[test]
    fn rt_05_the_same_seed_waits_the_same() {
        for backoff in kinds() {
            let waits = |seed| {
                let mut rng = StdRng::seed_from_u64(seed);
                (0..10).map(|n| backoff.delay(n, Some(MS), &mut rng)).collect::<Vec<_>>()
            };
            assert_eq!(waits(1), waits(1));
            assert_ne!(waits(1), waits(2));
        }
        assert_eq!(Backoff::none().delay(9, None, &mut StdRng::seed_from_u64(1)), Duration::ZERO);
    }

    #[test]
    fn lay_06_a_backoff_that_cannot_work_is_refused() {
        let field = |made: Result<Backoff, ConfigError>| made.unwrap_err().field();
        assert_eq!(field(Backoff::full_jitter(Duration::ZERO, MS)), "base");
        assert_eq!(field(Backoff::equal_jitter(2 * MS, MS)), "base");
        assert_eq!(field(Backoff::decorrelated(MS, LONGEST + MS)), "cap");
        for multiplier in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(field(Backoff::grpc(MS, MS, multiplier)), "multiplier");
        }
    }
}
