//! When keys are fetched, and until when they are good. Time is passed in.

use std::time::{Duration, Instant};

use crate::outbound::{Jitter, Pace};

/// How long after a refresh that an unknown key asked for another such one may begin (JWK-03).
pub(super) const WINDOW: Duration = Duration::from_secs(30);

/// The pauses after failures while there are no keys, and every request with a token gets 503.
const WITHOUT_KEYS: Pace = Pace { shortest: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// The same while the last good keys do. Not shorter than the window: what unknown keys ask for in vain is not
/// asked for again within it.
const WITH_KEYS: Pace = Pace { shortest: WINDOW, longest: Duration::from_secs(300) };

/// When keys are fetched, and until when they are good.
///
/// ```text
/// Idle    => Asked     a key is unknown, and the window is open
/// Idle    => Running   the time has come
/// Asked   => Running
/// Running => Idle      by success, failure, or the end of the task
/// ```
#[derive(Debug)]
pub(super) struct Schedule {
    flight: Flight,
    due: Instant,
    /// Of the last good keys; `None` without any.
    good_until: Option<Instant>,
    failures: u32,
    /// When an unknown key may ask again.
    window_ends: Option<Instant>,
    hard_limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Idle,
    Asked,
    Running,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Fetch,
    /// The last good keys are too old to be trusted.
    GiveUp,
    Wait(Duration),
}

/// What a request does whose key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Wait for the fetch that goes on.
    Join,
    /// Wait for the fetch that begins now: the worker must be woken.
    Begin,
    /// Not wait: the answer would be the same.
    Refuse,
}

impl Schedule {
    /// The first fetch is due now.
    pub(super) fn new(now: Instant, hard_limit: Duration) -> Self {
        Self { flight: Flight::Idle, due: now, good_until: None, failures: 0, window_ends: None, hard_limit }
    }

    pub(super) fn next(&self, now: Instant) -> Next {
        if self.is_too_old(now) {
            return Next::GiveUp;
        }
        if self.flight == Flight::Asked || self.due <= now {
            return Next::Fetch;
        }
        let until = self.good_until.map_or(self.due, |good_until| good_until.min(self.due));
        Next::Wait(until - now)
    }

    fn is_too_old(&self, now: Instant) -> bool {
        self.good_until.is_some_and(|until| until <= now)
    }

    pub(super) fn begin(&mut self) {
        self.flight = Flight::Running;
    }

    /// There are no keys from now on.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.good_until = None;
        // Every request suffers now: no longer pause is kept.
        self.due = self.due.min(now);
    }

    pub(super) fn demand(&mut self, now: Instant) -> Demand {
        match self.flight {
            Flight::Asked | Flight::Running => return Demand::Join,
            Flight::Idle => {}
        }
        if self.good_until.is_none() || self.is_too_old(now) {
            // The worker may sleep by another clock than this one.
            return if self.due <= now || self.is_too_old(now) { Demand::Begin } else { Demand::Refuse };
        }
        if self.window_ends.is_some_and(|ends| now < ends) {
            return Demand::Refuse;
        }
        self.window_ends = Some(now + WINDOW);
        self.flight = Flight::Asked;
        Demand::Begin
    }

    /// There are good keys; the server says how long they are fresh. Gives the time until when they are good.
    pub(super) fn succeed(&mut self, now: Instant, fresh: Duration, jitter: Jitter) -> Instant {
        self.flight = Flight::Idle;
        self.failures = 0;
        // Before they expire, and not at the same moment in every instance of a service.
        let fresh = fresh.min(self.hard_limit);
        self.due = now + fresh * 3 / 4 + jitter.of(fresh / 8);
        let until = now + self.hard_limit;
        self.good_until = Some(until);
        until
    }

    /// The keys stay what they were.
    pub(super) fn fail(&mut self, now: Instant, jitter: Jitter) {
        self.flight = Flight::Idle;
        self.failures = self.failures.saturating_add(1);
        let pace = if self.good_until.is_some() { WITH_KEYS } else { WITHOUT_KEYS };
        self.due = now + pace.after(self.failures, jitter);
    }

    /// The fetch ends without an end: its task was dropped, or it panicked.
    pub(super) fn abandon(&mut self, now: Instant, jitter: Jitter) {
        if self.flight == Flight::Running {
            self.fail(now, jitter);
        }
    }

    /// How long until it makes sense to ask for keys that are not there.
    pub(super) fn retry_after(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now).max(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::Clock;

    use super::*;

    const HARD_LIMIT: Duration = Duration::from_secs(24 * 3600);
    const FRESH: Duration = Duration::from_secs(600);

    fn new() -> (Schedule, Instant) {
        let now = Clock::system().now();
        (Schedule::new(now, HARD_LIMIT), now)
    }

    fn loaded() -> (Schedule, Instant) {
        let (mut schedule, now) = new();
        schedule.begin();
        schedule.succeed(now, FRESH, Jitter::NONE);
        (schedule, now)
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn jwk_04_keys_are_fetched_before_they_expire() {
        let (mut schedule, now) = new();
        assert_eq!(schedule.next(now), Next::Fetch, "the first are due at once");
        schedule.begin();
        for jitter in [Jitter::NONE, Jitter::new(u32::MAX)] {
            schedule.succeed(now, FRESH, jitter);
            let Next::Wait(wait) = schedule.next(now) else { panic!("they are fresh") };
            assert!((FRESH * 3 / 4..FRESH).contains(&wait), "{wait:?}");
            assert_eq!(schedule.next(now + wait), Next::Fetch);
        }
    }

    #[test]
    fn jwk_04_failures_are_retried_less_and_less_often_until_the_hard_limit() {
        let (mut schedule, mut now) = loaded();
        let end = now + HARD_LIMIT;
        let mut attempts = 0;
        loop {
            match schedule.next(now) {
                Next::Wait(wait) => now += wait,
                Next::Fetch => {
                    schedule.begin();
                    schedule.fail(now, Jitter::NONE);
                    attempts += 1;
                }
                Next::GiveUp => break,
            }
        }
        assert_eq!(now, end);
        assert!((280..300).contains(&attempts), "about one in five minutes: {attempts}");
        schedule.give_up(now);
        assert_eq!(schedule.retry_after(now), secs(1), "now every request suffers");
        schedule.begin();
        schedule.succeed(now, FRESH, Jitter::NONE);
        assert!(matches!(schedule.next(now), Next::Wait(_)), "and as soon as there are keys, all is well");
    }

    #[test]
    fn jwk_03_an_unknown_key_asks_once_in_a_window() {
        let (mut schedule, now) = loaded();
        assert_eq!(schedule.demand(now), Demand::Begin);
        assert_eq!(schedule.demand(now), Demand::Join);
        assert_eq!(schedule.next(now), Next::Fetch);
        schedule.begin();
        assert_eq!(schedule.demand(now), Demand::Join);
        schedule.succeed(now + secs(1), FRESH, Jitter::NONE);
        assert_eq!(schedule.demand(now + secs(2)), Demand::Refuse);
        assert_eq!(schedule.demand(now + WINDOW - secs(1)), Demand::Refuse);
        assert_eq!(schedule.demand(now + WINDOW), Demand::Begin);
    }

    #[test]
    fn jwk_03_a_refresh_that_fails_is_not_repeated_within_the_window() {
        let (mut schedule, now) = loaded();
        assert_eq!(schedule.demand(now), Demand::Begin);
        schedule.begin();
        schedule.fail(now, Jitter::NONE);
        assert_eq!(schedule.demand(now + secs(1)), Demand::Refuse);
        assert_eq!(schedule.next(now), Next::Wait(WINDOW));
    }

    #[test]
    fn jwk_04_before_the_first_load_requests_wait_only_when_a_fetch_is_on_its_way() {
        let (mut schedule, now) = new();
        assert_eq!(schedule.demand(now), Demand::Begin);
        schedule.begin();
        assert_eq!(schedule.demand(now), Demand::Join);
        schedule.fail(now, Jitter::NONE);
        assert_eq!(schedule.demand(now), Demand::Refuse);
        assert_eq!(schedule.retry_after(now), secs(1));
        assert_eq!(schedule.demand(now + secs(1)), Demand::Begin);
    }

    #[test]
    fn a_fetch_whose_task_ends_counts_as_failed() {
        let (mut schedule, now) = new();
        schedule.abandon(now, Jitter::NONE);
        assert_eq!(schedule.next(now), Next::Fetch, "none was running");
        schedule.begin();
        schedule.abandon(now, Jitter::NONE);
        assert_eq!(schedule.next(now), Next::Wait(secs(1)));
    }

    /// What happens next in a run that nobody planned.
    #[derive(Clone, Copy, Debug, bolero::TypeGenerator)]
    enum Event {
        Pass { seconds: u16 },
        UnknownKey,
        Land { good: bool, jitter: u32, fresh: u16 },
    }

    #[test]
    fn jwk_03_jwk_04_whatever_happens_windows_hold_and_good_keys_stay_until_the_hard_limit() {
        bolero::check!().with_type::<Vec<Event>>().for_each(|events| {
            let (mut schedule, start) = loaded();
            let (mut now, mut running) = (start, false);
            let (mut good_until, mut asked): (_, Option<Instant>) = (start + HARD_LIMIT, None);
            let mut given_up = false;
            for event in events {
                match *event {
                    Event::Pass { seconds } => now += secs(u64::from(seconds)),
                    Event::UnknownKey => {
                        let demand = schedule.demand(now);
                        if demand == Demand::Begin && !given_up && now < good_until {
                            assert!(asked.is_none_or(|asked| now >= asked + WINDOW), "one in a window");
                            asked = Some(now);
                        }
                        assert!(!running || demand == Demand::Join, "single flight");
                    }
                    Event::Land { good, jitter, fresh } if running => {
                        running = false;
                        if good {
                            let fresh = secs(u64::from(fresh).max(300));
                            good_until = schedule.succeed(now, fresh, Jitter::new(jitter));
                            given_up = false;
                        } else {
                            schedule.fail(now, Jitter::new(jitter));
                        }
                    }
                    Event::Land { .. } => {}
                }
                // The worker, which is idle unless it fetches.
                while !running {
                    match schedule.next(now) {
                        Next::Fetch => {
                            schedule.begin();
                            running = true;
                        }
                        Next::GiveUp => {
                            assert!(now >= good_until, "good keys stay until the hard limit");
                            schedule.give_up(now);
                            given_up = true;
                        }
                        Next::Wait(wait) => {
                            assert!(!wait.is_zero(), "no busy loop");
                            break;
                        }
                    }
                }
            }
        });
    }
}
