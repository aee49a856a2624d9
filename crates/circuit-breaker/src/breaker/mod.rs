//! The state machine: no tower, no async, time passed in.

mod away;
mod change;
mod count;
mod group;
mod state;
mod streak;
mod word;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_core::{Clock, Verdict};

pub(crate) use self::group::Group;
pub use self::state::{Admission, Cause, Permit, Refused, Snapshot, State, Transition};
use self::{away::Away, streak::Streak, word::Word};
use crate::{
    policy::{BreakerPolicy, Growth, Ramp, Recovery, WindowSize},
    sync::{AtomicBool, AtomicU64, Mutex, Ordering::Acquire},
    window::Window,
};

/// For how long callers are sent away whose turn depends on other calls.
const SHORTLY: Duration = Duration::from_secs(1);

/// A circuit breaker: stops calling what fails, tries again after a while, and comes back gently.
///
/// A plain state machine, without tower, async or a clock: ask it before a call, and tell it what became of the call. It
/// never does anything by itself; an open breaker becomes half-open with the next call after its time, or when
/// [`advance`](Self::advance) is called.
///
/// Shared by reference between threads. While it is closed a call is a load before it, and afterwards one count in a
/// counter of the thread (with a count window: a short lock). Any change of state is made under a lock and told to
/// exactly one caller.
///
/// ```
/// use std::time::Duration;
/// use bartizan_circuit_breaker::{Breaker, BreakerPolicy, State};
/// use bartizan_core::{Clock, Verdict};
///
/// let mut now = Clock::system().now();
/// let policy = BreakerPolicy::consecutive(2)?.with_probes(1)?.with_open_time(Duration::from_secs(5))?;
/// let breaker = Breaker::new(policy, now);
///
/// for _ in 0..2 {
///     let permit = breaker.admit(now).result.expect("it is closed");
///     breaker.record(permit, Verdict::Failure, now);
/// }
/// let refused = breaker.admit(now).result.unwrap_err();
/// assert_eq!((refused.state, refused.retry_after), (State::Open, Duration::from_secs(5)));
///
/// now += Duration::from_secs(5);
/// let probe = breaker.admit(now).result.expect("it is time to try again");
/// assert_eq!(probe.state(), State::HalfOpen);
/// let transition = breaker.record(probe, Verdict::Success, now).expect("the probe decides");
/// assert_eq!((transition.from, transition.to), (State::HalfOpen, State::Closed));
/// # Ok::<(), bartizan_circuit_breaker::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Breaker {
    word: AtomicU64,
    /// Whether so many calls have failed, or were slow, that a success may open the breaker by reaching the minimum.
    wary: AtomicBool,
    /// Whether it matters to the policy neither when calls begin nor how long they take.
    is_timeless: bool,
    /// Whether, besides, a success is one more call in the window, and nothing else.
    is_plain: bool,
    policy: Arc<BreakerPolicy>,
    /// When the breaker was made, in the clock's nanoseconds.
    epoch: u64,
    window: Window,
    /// The generation of the window, where that is not the breaker's own.
    window_generation: AtomicU64,
    streak: Streak,
    away: Mutex<Away>,
    group: Option<Arc<Group>>,
}

impl Breaker {
    /// A closed breaker. `now` is where its time begins.
    pub fn new(policy: impl Into<Arc<BreakerPolicy>>, now: Instant) -> Self {
        Self::in_group(policy.into(), None, now)
    }

    pub(crate) fn in_group(policy: Arc<BreakerPolicy>, group: Option<Arc<Group>>, now: Instant) -> Self {
        let is_timeless = policy.slow.is_none() && !policy.counts_fires;
        Self {
            word: AtomicU64::new(Word::new(0, State::Closed).bits()),
            wary: AtomicBool::new(false),
            is_timeless,
            is_plain: is_timeless && policy.consecutive_failures.is_none(),
            epoch: Clock::nanos_at(now),
            window: Window::new(policy.window),
            window_generation: AtomicU64::new(0),
            streak: Streak::new(),
            away: Mutex::new(Away::new(now)),
            group,
            policy,
        }
    }

    /// The state, as of the last call.
    #[inline]
    pub fn state(&self) -> State {
        self.word().state()
    }

    /// Whether a call may be made.
    ///
    /// Opens a breaker half whose time has come, and moves on a ramp-up.
    #[inline]
    pub fn admit(&self, now: Instant) -> Admission {
        let word = self.word();
        if matches!(word.state(), State::Closed | State::MetricsOnly | State::ForcedClosed) {
            if self.policy.counts_fires {
                self.fire(Clock::nanos_at(now));
            }
            return Admission { result: Ok(self.permit(word, now)), transition: None };
        }
        self.admit_with_care(now)
    }

    /// [`admit`](Self::admit) where no time is needed: the breaker is closed, and its policy does not ask when calls
    /// begin.
    #[inline]
    pub(crate) fn pass(&self) -> Option<Permit> {
        let word = self.word();
        (word.is_closed() && self.is_timeless).then_some(Permit { word, started: 0 })
    }

    #[cold]
    fn admit_with_care(&self, now: Instant) -> Admission {
        let mut away = self.away.lock();
        let transition = self.go_on(&mut away, now);
        let word = self.word();
        let refused = |retry_after| Err(Refused { state: word.state(), retry_after });
        let result = match word.state() {
            State::Closed | State::MetricsOnly | State::ForcedClosed => Ok(()),
            State::Open => refused(away.until.saturating_duration_since(now)),
            State::ForcedOpen => refused(self.policy.open_time),
            State::HalfOpen if away.probes.issue(self.permits(), now) => Ok(()),
            State::Recovering if self.policy.ramp.as_ref().is_none_or(|ramp| away.climb.admit(ramp)) => {
                Ok(())
            }
            State::HalfOpen | State::Recovering => refused(SHORTLY),
        };
        drop(away);
        if self.policy.counts_fires {
            self.fire(Clock::nanos_at(now));
        }
        Admission { result: result.map(|()| self.permit(word, now)), transition }
    }

    #[inline]
    fn permit(&self, word: Word, now: Instant) -> Permit {
        Permit { word, started: if self.policy.slow.is_some() { Clock::nanos_at(now) } else { 0 } }
    }

    /// Says what became of a call. A change of state that follows is the caller's to tell.
    ///
    /// What began before the last change of state does not count (CB-06). [`Verdict::Ignored`] is not recorded at all; a
    /// probe's permit goes to another call.
    #[inline]
    pub fn record(&self, permit: Permit, verdict: Verdict, now: Instant) -> Option<Transition> {
        self.record_asked(permit, verdict, Duration::ZERO, now)
    }

    /// [`record`](Self::record) of a call whose upstream asked not to be called for `pause`: if the breaker opens now,
    /// it is for so long at least.
    #[inline]
    pub fn record_asked(
        &self,
        permit: Permit,
        verdict: Verdict,
        pause: Duration,
        now: Instant,
    ) -> Option<Transition> {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.record_at(permit, verdict, pause, Clock::nanos_at(now))
    }

    /// The same at a reading in nanoseconds, of which the simple end of a call needs no more; `pause` is in
    /// nanoseconds too.
    #[inline(always)]
    #[expect(clippy::needless_pass_by_value, reason = "a permit is given back once")]
    pub(crate) fn record_at(
        &self,
        permit: Permit,
        verdict: Verdict,
        pause: u64,
        now: u64,
    ) -> Option<Transition> {
        let word = self.word();
        if let Window::Time(window) = &self.window
            && self.is_plain
            && verdict == Verdict::Success
            && word == permit.word
            && word.is_closed()
        {
            return self.count_plain(window, word, pause, now);
        }
        self.record_apart(word, &permit, verdict, pause, now)
    }

    #[inline(never)]
    fn record_apart(
        &self,
        word: Word,
        permit: &Permit,
        verdict: Verdict,
        pause: u64,
        now: u64,
    ) -> Option<Transition> {
        if word.generation() != permit.word.generation() {
            return None;
        }
        let failed = verdict == Verdict::Failure;
        let slow = || {
            let took = Duration::from_nanos(now.saturating_sub(permit.started));
            self.policy.slow.is_some_and(|slow| took > slow.longer_than)
        };
        match word.state() {
            State::HalfOpen => self.probe_ended(permit, verdict, slow(), pause, Clock::instant_at(now)),
            State::Closed | State::Recovering | State::MetricsOnly if verdict != Verdict::Ignored => {
                self.count(word, failed, slow(), pause, now)
            }
            _ => None,
        }
    }

    /// Makes the change of state that is due, if one is, as a call would. For those who do not want to wait for one.
    pub fn advance(&self, now: Instant) -> Option<Transition> {
        if matches!(self.state(), State::Open | State::HalfOpen | State::Recovering) {
            return self.go_on(&mut self.away.lock(), now);
        }
        None
    }

    /// Lets no call pass until [`reset`](Self::reset).
    pub fn force_open(&self, now: Instant) -> Option<Transition> {
        self.force(State::ForcedOpen, now)
    }

    /// Lets all calls pass, and counts none, until [`reset`](Self::reset).
    pub fn force_closed(&self, now: Instant) -> Option<Transition> {
        self.force(State::ForcedClosed, now)
    }

    /// Lets all calls pass, and counts them, until [`reset`](Self::reset).
    pub fn metrics_only(&self, now: Instant) -> Option<Transition> {
        self.force(State::MetricsOnly, now)
    }

    /// Closes the breaker as if it were new: nothing is counted, and no recovery has failed.
    pub fn reset(&self, now: Instant) -> Option<Transition> {
        self.force(State::Closed, now)
    }

    /// Whether a call would be refused for sure.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        match self.state() {
            State::ForcedOpen => true,
            State::Open => now < self.away.lock().until,
            _ => false,
        }
    }

    /// The state, and what is left of the open time. A [`snapshot`](Self::snapshot) adds up the window too.
    pub(crate) fn remaining(&self, now: Instant) -> (State, Option<Duration>) {
        let away = self.away.lock();
        let state = self.state();
        (state, (state == State::Open).then(|| away.until.saturating_duration_since(now)))
    }

    /// What is known at `now`.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let away = self.away.lock();
        let word = self.word();
        let totals = self.totals(word, Clock::nanos_at(now));
        Snapshot {
            state: word.state(),
            since: now.saturating_duration_since(away.since),
            remaining: (word.state() == State::Open).then(|| away.until.saturating_duration_since(now)),
            calls: totals.calls,
            failures: totals.failures,
            slow_calls: totals.slow,
        }
    }

    /// Whether the breaker may be forgotten: no probe is on its way, and what is known is long past. What was forced is not
    /// forgotten.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let away = self.away.lock();
        let word = self.word();
        // Since when it is, or would be, closed if all had gone well.
        let well_since = match word.state() {
            State::Closed => away.since,
            State::Open => away.until,
            State::HalfOpen if !away.probes.are_under_way() => away.probes.last,
            State::Recovering => away.since + self.policy.ramp.as_ref().map_or(Duration::ZERO, Ramp::length),
            _ => return false,
        };
        let quiet = now.saturating_duration_since(well_since);
        let forgiven = match self.policy.growth {
            Growth::Times { interval, .. } => quiet >= interval.saturating_mul(away.failed),
            _ => true,
        };
        let rest = self.rest(&away);
        let generation = self.window_generation(word);
        forgiven
            && (word.state() == State::Closed || quiet >= rest)
            && self.window.is_idle(generation, self.age(Clock::nanos_at(now)), rest)
    }

    /// For how long a breaker stays as it is that nobody calls: as long as it was open, or would be, and as long as its
    /// window.
    fn rest(&self, away: &Away) -> Duration {
        let window = match self.policy.window {
            WindowSize::Time { bucket, buckets } => bucket * buckets,
            WindowSize::Calls(_) => Duration::ZERO,
        };
        away.open_for.max(self.policy.open_time).max(window)
    }

    #[inline]
    fn word(&self) -> Word {
        Word::from_bits(self.word.load(Acquire))
    }

    /// How many nanoseconds old the breaker is at a reading.
    #[inline]
    fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.epoch)
    }

    fn permits(&self) -> u32 {
        match self.policy.recovery {
            Recovery::Probes { permits, .. } => permits,
            Recovery::Sweep { .. } => 0,
        }
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        if let (State::Open, Some(group)) = (self.state(), &self.group) {
            group.close(self.away.lock().until);
        }
    }
}
