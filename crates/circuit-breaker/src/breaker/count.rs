//! What is counted, and when that is too bad.

use bartizan_core::Clock;

use super::{Breaker, Cause, State, Transition, word::Word};
use crate::{
    sync::{
        Ordering::{Acquire, SeqCst},
        fence,
    },
    window::{TimeWindow, Totals},
};

impl Breaker {
    #[inline]
    pub(super) fn window_generation(&self, word: Word) -> u64 {
        if self.policy.counts_fires { self.window_generation.load(Acquire) } else { word.generation() }
    }

    pub(super) fn totals(&self, word: Word, now: u64) -> Totals {
        self.window.totals(self.window_generation(word), self.age(now))
    }

    /// A call that is started, or refused, where that is what counts.
    #[cold]
    pub(super) fn fire(&self, now: u64) {
        let call = Totals { calls: 1, ..Totals::default() };
        self.window.add(self.window_generation(self.word()), self.age(now), call);
    }

    /// [`count`](Self::count) of a success that is one more call in a window of time, as nearly all are.
    #[inline(always)]
    pub(super) fn count_plain(
        &self,
        window: &TimeWindow,
        word: Word,
        pause: u64,
        now: u64,
    ) -> Option<Transition> {
        window.add_call(word.generation(), self.age(now));
        if self.policy.opens_on_failures_only || !self.wary.load(SeqCst) {
            return None;
        }
        self.judge(word, false, None, pause, now)
    }

    pub(super) fn count(
        &self,
        word: Word,
        failed: bool,
        slow: bool,
        pause: u64,
        now: u64,
    ) -> Option<Transition> {
        let call = Totals {
            calls: u64::from(!self.policy.counts_fires),
            failures: failed.into(),
            slow: slow.into(),
        };
        let totals = self.window.add(self.window_generation(word), self.age(now), call);
        if !failed {
            if self.policy.consecutive_failures.is_some() {
                self.streak.end(word.generation());
            }
            if self.policy.opens_on_failures_only || !(slow || totals.is_some() || self.wary.load(SeqCst)) {
                return None;
            }
        }
        self.judge(word, failed, totals, pause, now)
    }

    /// Opens the breaker if what was counted is too bad.
    #[inline(never)]
    fn judge(
        &self,
        word: Word,
        failed: bool,
        totals: Option<Totals>,
        pause: u64,
        now: u64,
    ) -> Option<Transition> {
        let in_a_row = match self.policy.consecutive_failures {
            Some(limit) if failed => self.streak.fail(word.generation()) >= limit,
            _ => false,
        };
        let totals = totals.unwrap_or_else(|| self.weigh(word, now));
        let cause = if in_a_row { Some(Cause::ConsecutiveFailures) } else { self.excess(totals) };
        let cause = cause.filter(|_| word.state() != State::MetricsOnly)?;
        let mut away = self.away.lock();
        // Another thread may have been faster.
        if self.word() != word { None } else { self.open(&mut away, cause, pause, Clock::instant_at(now)) }
    }

    /// The totals, after which either this thread sees what others counted or they see that it pays to look.
    #[inline(never)]
    fn weigh(&self, word: Word, now: u64) -> Totals {
        fence(SeqCst);
        let seen = self.totals(word, now);
        let suspects = self.policy.suspects(seen);
        if suspects != self.wary.load(SeqCst) {
            self.wary.store(suspects, SeqCst);
            fence(SeqCst);
            let again = self.totals(word, now);
            if self.policy.suspects(again) {
                self.wary.store(true, SeqCst);
            }
            return again;
        }
        seen
    }

    fn excess(&self, totals: Totals) -> Option<Cause> {
        if totals.calls < self.policy.minimum() || totals.calls == 0 {
            return None;
        }
        if self.policy.failure_rate.is_some_and(|rate| rate.is_reached(totals.failures, totals.calls)) {
            return Some(Cause::FailureRate);
        }
        let slow = self.policy.slow.is_some_and(|slow| slow.rate.is_reached(totals.slow, totals.calls));
        slow.then_some(Cause::SlowCallRate)
    }
}
