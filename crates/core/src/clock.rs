//! Time, injected.

use std::{
    fmt,
    sync::{
        Arc,
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

    /// The wall-clock time.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's wall clock")]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Custom(source) => source.wall(),
        }
    }

    /// Whether readings come from the system, and so may be shared by the layers of one request.
    #[inline]
    pub(crate) fn is_system(&self) -> bool {
        matches!(self.0, Source::System)
    }
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
