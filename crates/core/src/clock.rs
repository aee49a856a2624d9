//! Time, injected.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Where a [`Clock`] takes its readings.
pub trait TimeSource: Send + Sync + 'static {
    /// The monotonic time. Never goes back.
    fn now(&self) -> Instant;

    /// The wall-clock time: for log lines, token expiry and HTTP dates only.
    fn wall(&self) -> SystemTime;
}

/// A cheap, cloneable source of time that tests can replace.
///
/// Every layer that reads time takes one, with the system's as the default. Layers measure durations with
/// [`now`](Self::now) and never with the wall clock.
///
/// ```
/// use std::time::Duration;
/// use bartizan_core::{Clock, ManualClock};
///
/// let manual = ManualClock::new();
/// let clock = Clock::from(manual.clone());
/// let before = clock.now();
/// manual.advance(Duration::from_secs(3));
/// assert_eq!(clock.now() - before, Duration::from_secs(3));
/// ```
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Custom(Arc<dyn TimeSource>),
}

impl Clock {
    /// The system's clocks.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A source of your own.
    pub fn new(source: impl TimeSource) -> Self {
        Self(Source::Custom(Arc::new(source)))
    }

    /// The monotonic time.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's monotonic clock")]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Custom(source) => source.now(),
        }
    }

    /// The monotonic time in nanoseconds, from a point that is the same for all clocks of the process, to within the
    /// time that a reading takes.
    ///
    /// For what is done at each request: two such readings are subtracted in one instruction, while two `Instant`s
    /// take dozens. They last for 584 years.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bartizan_core::{Clock, ManualClock};
    ///
    /// let manual = ManualClock::new();
    /// let clock = Clock::from(manual.clone());
    /// let before = clock.nanos();
    /// manual.advance(Duration::from_micros(3));
    /// assert_eq!(clock.nanos() - before, 3_000);
    /// assert_eq!(Clock::instant_at(clock.nanos()), clock.now());
    /// ```
    #[inline]
    pub fn nanos(&self) -> u64 {
        match &self.0 {
            Source::System => system_nanos(),
            Source::Custom(source) => Self::nanos_at(source.now()),
        }
    }

    /// What [`nanos`](Self::nanos) says at `instant`.
    pub fn nanos_at(instant: Instant) -> u64 {
        let origin = &*ORIGIN;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        match instant.checked_duration_since(origin.instant) {
            Some(after) => origin.nanos.saturating_add(nanos(after)),
            None => origin.nanos.saturating_sub(nanos(origin.instant.saturating_duration_since(instant))),
        }
    }

    /// The instant at which [`nanos`](Self::nanos) says so.
    pub fn instant_at(nanos: u64) -> Instant {
        let origin = &*ORIGIN;
        let known = match nanos.checked_sub(origin.nanos) {
            Some(after) => origin.instant.checked_add(Duration::from_nanos(after)),
            None => origin.instant.checked_sub(Duration::from_nanos(origin.nanos - nanos)),
        };
        // What is no instant is none of a clock.
        known.unwrap_or(origin.instant)
    }

    /// The wall-clock time.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's wall clock")]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Custom(source) => source.wall(),
        }
    }

    /// The wall-clock time since 1970 began; zero before that.
    ///
    /// For what is done at each request: a [`wall`](Self::wall) and its difference to 1970 take several times as long.
    ///
    /// ```
    /// use bartizan_core::{Clock, ManualClock};
    ///
    /// assert_eq!(Clock::from(ManualClock::new()).since_1970().as_secs(), 1_767_225_600);
    /// ```
    #[inline]
    pub fn since_1970(&self) -> Duration {
        match &self.0 {
            Source::System => system_since_1970(),
            Source::Custom(_) => since_1970(self.wall()),
        }
    }

    /// Whether readings come from the system, and so may be shared by the layers of one request.
    #[inline]
    pub(crate) fn is_system(&self) -> bool {
        matches!(self.0, Source::System)
    }
}

/// One moment in both ways to tell it.
struct Origin {
    instant: Instant,
    nanos: u64,
}

static ORIGIN: LazyLock<Origin> =
    LazyLock::new(|| Origin { instant: Clock::system().now(), nanos: system_nanos() });

/// The system's monotonic clock, which `Instant` reads too: but on Apple's systems, where `Instant` stands still while the
/// machine sleeps, and this clock does not.
#[cfg(all(unix, not(target_vendor = "apple")))]
#[inline]
fn system_nanos() -> u64 {
    // Every system has it, it starts at zero, and neither part of it is ever negative.
    nix::time::ClockId::CLOCK_MONOTONIC.now().map_or(0, |time| {
        let (seconds, nanos) = (time.tv_sec() as u64, time.tv_nsec() as u64);
        seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos)
    })
}

/// Where `Instant` is all there is, from the first reading on.
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn system_nanos() -> u64 {
    /// What is subtracted from a reading is to stay above zero: this is more than a year.
    const AHEAD: u64 = 1 << 55;
    static FIRST: LazyLock<Instant> = LazyLock::new(|| Clock::system().now());
    let since = u64::try_from(FIRST.elapsed().as_nanos()).unwrap_or(u64::MAX);
    AHEAD.saturating_add(since)
}

/// The system's wall clock, which `SystemTime` reads too.
#[cfg(unix)]
#[inline]
fn system_since_1970() -> Duration {
    nix::time::ClockId::CLOCK_REALTIME.now().map_or(Duration::ZERO, |time| {
        let parts = (u64::try_from(time.tv_sec()), u32::try_from(time.tv_nsec()));
        if let (Ok(seconds), Ok(nanos)) = parts { Duration::new(seconds, nanos) } else { Duration::ZERO }
    })
}

#[cfg(not(unix))]
fn system_since_1970() -> Duration {
    since_1970(Clock::system().wall())
}

fn since_1970(wall: SystemTime) -> Duration {
    wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_system() { "Clock(system)" } else { "Clock(custom)" })
    }
}

/// A clock that stands still until it is told to move. Clones move together.
///
/// It starts at the time of its making; the wall clock starts at 2026-01-01T00:00:00Z, so that what a test
/// writes down is the same on every day.
#[derive(Clone, Debug)]
pub struct ManualClock {
    start: Instant,
    elapsed: Arc<AtomicU64>,
}

impl ManualClock {
    const WALL_START: Duration = Duration::from_secs(1_767_225_600);

    /// A clock at its start.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Clock::system().now(), elapsed: Arc::default() }
    }

    /// Moves both clocks forward, by at most 584 years in total.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self
            .elapsed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |elapsed| Some(elapsed.saturating_add(by)));
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed.load(Ordering::SeqCst))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Self::WALL_START + self.elapsed()
    }
}

impl From<ManualClock> for Clock {
    fn from(manual: ManualClock) -> Self {
        Self::new(manual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_1970_is_that_of_the_wall() {
        let system = Clock::system();
        let (before, since_1970, after) = (system.wall(), system.since_1970(), system.wall());
        let skew = Duration::from_secs(1);
        let wall = SystemTime::UNIX_EPOCH + since_1970;
        assert!(wall + skew >= before && wall <= after + skew);

        struct Early;
        impl TimeSource for Early {
            fn now(&self) -> Instant {
                Clock::system().now()
            }

            fn wall(&self) -> SystemTime {
                SystemTime::UNIX_EPOCH - Duration::from_secs(9)
            }
        }
        assert_eq!(Clock::new(Early).since_1970(), Duration::ZERO);
    }

    #[test]
    fn nanos_and_instants_are_one_time() {
        let system = Clock::system();
        for _ in 0..1000 {
            let (before, nanos, after) = (system.now(), system.nanos(), system.now());
            let skew = Duration::from_millis(100);
            assert!(Clock::instant_at(nanos) + skew >= before && Clock::instant_at(nanos) <= after + skew);
            assert!(system.nanos() >= nanos, "never goes back");
        }
        let now = system.now();
        for instant in [now, now + Duration::from_nanos(1), now + Duration::from_secs(1_000_000)] {
            assert_eq!(Clock::instant_at(Clock::nanos_at(instant)), instant);
        }
        let earlier = ORIGIN.instant.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(Clock::instant_at(Clock::nanos_at(earlier)), earlier);
        assert_eq!(ORIGIN.nanos - Clock::nanos_at(earlier), 1_000_000);
    }
}
