//! Changes of state, all of them under the lock.

use std::time::{Duration, Instant};

use bartizan_core::{Clock, Verdict};

use super::{
    Breaker, Cause, Permit, State, Transition,
    away::{Away, Climb, Probes, Verdicts},
    word::Word,
};
use crate::{
    policy::{Growth, HungProbes, Recovery},
    sync::Ordering::{Release, SeqCst},
    window::Totals,
};

impl Breaker {
    /// What the end of a probe brings: half-open => open | recovering | closed.
    pub(super) fn probe_ended(
        &self,
        permit: &Permit,
        verdict: Verdict,
        slow: bool,
        pause: u64,
        now: Instant,
    ) -> Option<Transition> {
        let mut away = self.away.lock();
        if self.word() != Word::new(permit.word.generation(), State::HalfOpen) {
            return None;
        }
        if verdict == Verdict::Ignored {
            away.probes.give_back();
            return None;
        }
        let failed = verdict == Verdict::Failure;
        away.probes.end(failed, slow);
        if self.policy.counts_fires && failed {
            let call = Totals { calls: 0, failures: 1, slow: slow.into() };
            self.window.add(self.window_generation(self.word()), self.age(Clock::nanos_at(now)), call);
        }
        match away.probes.verdict(&self.policy, self.permits()) {
            Verdicts::Pending => None,
            Verdicts::Bad => self.open(&mut away, Cause::ProbesFailed, pause, now),
            Verdicts::Good if self.policy.ramp.is_some() => {
                away.climb = Climb::new(now);
                Some(self.go(&mut away, State::Recovering, Cause::ProbesSucceeded, now))
            }
            Verdicts::Good => Some(self.go(&mut away, State::Closed, Cause::ProbesSucceeded, now)),
        }
    }

    /// What time brings: open => half-open | closed, half-open => open | closed, recovering => closed.
    pub(super) fn go_on(&self, away: &mut Away, now: Instant) -> Option<Transition> {
        match self.state() {
            State::Open if now >= away.until => match self.policy.recovery {
                Recovery::Probes { .. } => {
                    away.probes = Probes::new(now);
                    Some(self.go(away, State::HalfOpen, Cause::OpenTimeOver, now))
                }
                Recovery::Sweep { .. } => {
                    // It was closed by the sweep, whenever that is noticed.
                    let at = away.until;
                    Some(self.go(away, State::Closed, Cause::OpenTimeOver, at))
                }
            },
            State::HalfOpen => {
                let wait = self.policy.half_open_wait(away.open_for);
                let hung = away.probes.given_up_at(wait).filter(|_| away.probes.issued >= self.permits())?;
                if now < hung {
                    return None;
                }
                let reopens =
                    matches!(self.policy.recovery, Recovery::Probes { hung: HungProbes::Reopen, .. });
                // Had it opened again when the probes were given up, that would be over by now.
                if reopens && now < hung + self.policy.open_time(away.failed) {
                    self.open(away, Cause::ProbesHung, 0, now)
                } else {
                    away.probes = Probes::new(now);
                    self.store(Word::new(self.word().generation() + 1, State::HalfOpen));
                    None
                }
            }
            State::Recovering => {
                let ramp = self.policy.ramp.as_ref()?;
                if away.climb.go_on(ramp, now) {
                    return None;
                }
                Some(self.go(away, State::Closed, Cause::RampOver, now))
            }
            _ => None,
        }
    }

    /// Where the group has no room for one more open breaker it stays as it is, but for one that is half-open. Its probes
    /// have been used up, and what may not be open is called: it is closed.
    pub(super) fn open(&self, away: &mut Away, cause: Cause, pause: u64, now: Instant) -> Option<Transition> {
        let mut until = || {
            away.open(&self.policy, Clock::instant_at(self.epoch), now, Duration::from_nanos(pause));
            away.until
        };
        let is_open = match &self.group {
            Some(group) => group.open(now, until),
            None => {
                until();
                true
            }
        };
        if is_open {
            return Some(self.go(away, State::Open, cause, now));
        }
        self.streak.reset();
        (self.state() == State::HalfOpen).then(|| self.go(away, State::Closed, Cause::OpenShareReached, now))
    }

    /// Closes a breaker that nobody will ask any more, so that whoever keeps track of its state sees the end.
    pub(crate) fn forget(&self, now: Instant) -> Option<Transition> {
        let mut away = self.away.lock();
        (self.state() != State::Closed).then(|| self.go(&mut away, State::Closed, Cause::Forgotten, now))
    }

    pub(super) fn force(&self, to: State, now: Instant) -> Option<Transition> {
        let mut away = self.away.lock();
        if to == State::Closed {
            away.failed = 0;
            self.window_generation.fetch_add(1, SeqCst);
        }
        if self.state() == to {
            // Closed already: what was counted is forgotten.
            self.store(Word::new(self.word().generation() + 1, to));
            return None;
        }
        Some(self.go(&mut away, to, Cause::Forced, now))
    }

    fn go(&self, away: &mut Away, to: State, cause: Cause, at: Instant) -> Transition {
        let before = self.word();
        let from = before.state();
        if let (State::Open, Some(group)) = (from, &self.group) {
            group.close(away.until);
        }
        if to == State::Closed && !matches!(self.policy.growth, Growth::Times { .. }) {
            away.failed = 0;
        }
        // What was counted during the ramp-up still counts when it is over.
        let same = u64::from(cause != Cause::RampOver);
        self.store(Word::new(before.generation() + same, to));
        away.since = at;
        away.number += 1;
        Transition { from, to, cause, at, number: away.number }
    }

    fn store(&self, word: Word) {
        self.word.store(word.bits(), Release);
    }
}
