//! One call over all its copies: who has won, and when the next copy is due.

use std::{
    error::Error,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use bartizan_core::ResendCount;
use http::{Request, Response};

use super::layer::Shared;
use crate::{
    AttemptOutcome, Attempts, Decision, Failure, Idempotent, Policy, Replay, ReplayBody, SkipReason,
    body::Settle,
    budget::{Paid, Taken},
    failure::is_given_up,
    grpc,
    head::KeptHead,
    limits::Limits,
    policy::Wait,
    replay::Standing,
    response::{Judge, Shown},
    telemetry::{EVENT_HEDGES, EVENT_SKIPPED},
};

/// The state of one call.
pub(super) struct Race<B, P> {
    shared: Arc<Shared<P>>,
    head: KeptHead,
    replay: Replay<B>,
    limits: Limits,
    sent: u32,
    /// There will be no further copy.
    is_closed: bool,
    has_outcome: bool,
    /// Whether it is still to be learned how long the first copy takes.
    measures: bool,
}

/// What an answer is in a race.
pub(super) enum Answer {
    /// The caller gets it, and how it ends is to be told to this.
    Wins(Option<Box<Settle>>),
    /// Another may be better: the next copy is due after this, if there is to be one.
    Loses(Option<Duration>),
    /// It was not left its body: it says nothing, and there is none for another copy.
    Void,
}

impl<B, P: Policy> Race<B, P> {
    pub(super) fn new(shared: Arc<Shared<P>>, head: KeptHead, replay: Replay<B>, limits: Limits) -> Self {
        shared.telemetry.called();
        let may_repeat = if head.protocol().is_grpc() {
            shared.settings.all_grpc_calls || head.extension::<Idempotent>().is_some()
        } else {
            head.is_idempotent()
        };
        let is_closed = !may_repeat || limits.is_retry;
        Self {
            is_closed,
            shared,
            head,
            replay,
            limits,
            sent: 1,
            has_outcome: false,
            // What is never hedged says nothing of what is: writes take their own time.
            measures: !is_closed,
        }
    }

    fn now(&self) -> Instant {
        self.shared.settings.bounds.clock.now()
    }

    /// How long to wait for an answer before the next copy is sent; `None` when there is none to send.
    pub(super) fn delay(&self) -> Option<Duration> {
        let may_follow = !self.is_closed && self.sent < self.shared.settings.max_attempts;
        may_follow.then(|| self.shared.settings.delay.current())
    }

    /// The body of the next copy, which is due; `None` when there will be none after all.
    pub(super) fn next_body(&mut self) -> Option<(ReplayBody<B>, Box<Paid>)> {
        self.delay()?;
        match self.try_next() {
            Ok((body, paid)) => Some((body, Box::new(paid))),
            Err(reason) => {
                self.close(reason);
                None
            }
        }
    }

    fn try_next(&mut self) -> Result<(ReplayBody<B>, Paid), SkipReason> {
        let now = self.now();
        self.is_possible_after(Duration::ZERO, now)?;
        // A call counts when it has an outcome, or when it is one that is hedged.
        self.outcome(now);
        let paid = self.shared.settings.budget.take(now, false, false).ok_or(SkipReason::Budget)?;
        let body = self.replay.body_beside().ok_or(SkipReason::BodyTooLarge)?;
        Ok((body, paid))
    }

    /// Whether there may be a copy after this wait, as far as that is known now.
    fn is_possible_after(&self, wait: Duration, now: Instant) -> Result<(), SkipReason> {
        if !self.limits.leave_time_after(wait, &self.shared.settings.bounds, now) {
            return Err(SkipReason::Deadline);
        }
        match self.replay.standing() {
            Standing::Whole => Ok(()),
            Standing::TooLarge => Err(SkipReason::BodyTooLarge),
            Standing::Failed => Err(SkipReason::BodyFailed),
        }
    }

    /// When the next copy is due after an answer that wants this; `None` when there will be none, which is not waited for.
    fn due(&mut self, wait: Wait, now: Instant) -> Option<Duration> {
        self.delay()?;
        let wait = match wait {
            Wait::Backoff => Duration::ZERO,
            Wait::AtLeast(wait) | Wait::Exactly(wait) => wait,
        };
        self.is_possible_after(wait, now).map_err(|reason| self.close(reason)).ok()?;
        Some(wait)
    }

    #[cold]
    fn close(&mut self, reason: SkipReason) {
        self.is_closed = true;
        self.shared.telemetry.skipped(reason);
        if let Some(context) = self.limits.context(&self.head) {
            context.event().record(EVENT_SKIPPED, reason.as_str());
        }
    }

    /// Whether the first copy is not the only one that was sent.
    pub(super) fn were_several(&self) -> bool {
        self.sent > 1
    }

    /// The reader that the body is left to, if it has become too large for several: all other copies are to be dropped, and
    /// no further one follows. Else `waker` is woken when that happens.
    pub(super) fn sole_reader(&mut self, waker: &Waker) -> Option<u32> {
        let reader = self.replay.sole_reader(waker)?;
        if self.delay().is_some() {
            self.close(SkipReason::BodyTooLarge);
        }
        Some(reader)
    }

    /// Those are dropped.
    pub(super) fn dropped_losers(&self) {
        self.replay.let_losers_go();
    }

    /// The request of the next copy, which is sent now.
    pub(super) fn next_request(&mut self, body: ReplayBody<B>, paid: &mut Paid) -> Request<ReplayBody<B>> {
        let mut request = self.head.request(body);
        ResendCount::add(request.extensions_mut(), self.sent);
        if self.head.protocol().is_grpc() {
            let headers = request.headers_mut();
            let _ = headers.try_insert(grpc::PREVIOUS_ATTEMPTS, self.sent.into());
            self.limits.announce(&self.shared.settings.bounds, self.now(), headers);
        }
        self.sent += 1;
        paid.sent();
        self.shared.telemetry.hedged();
        request
    }

    #[inline]
    fn outcome(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.has_outcome, true) {
            self.shared.settings.budget.called(now);
        }
    }

    /// What a result is, of the first copy or of another, that was paid for.
    pub(super) fn judge<R, E: Error + 'static>(
        &mut self,
        result: &Result<Response<R>, E>,
        paid: Option<&mut Paid>,
    ) -> Answer {
        let is_first = paid.is_none();
        let taken = paid.as_ref().map_or_else(Taken::default, |paid| paid.taken());
        let now = self.now();
        let measures = is_first && std::mem::take(&mut self.measures);
        let outcome = match result {
            Ok(response) => match Shown::by(
                self.head.protocol(),
                response.status(),
                response.headers(),
                response.extensions(),
            ) {
                Shown::Whole(head) => AttemptOutcome::Response(head),
                Shown::TimedOut => AttemptOutcome::TimedOut,
                // It never got to the upstream.
                Shown::Refused => {
                    self.close(SkipReason::LocalRejection);
                    let Some(paid) = paid else { return Answer::Wins(None) };
                    paid.refused();
                    return Answer::Loses(None);
                }
                Shown::Committed => {
                    if measures {
                        self.measure(now);
                    }
                    self.outcome(now);
                    let counts = self.shared.settings.budget.counts_outcomes();
                    let settle = counts.then(|| {
                        let answer = (response.status(), response.headers());
                        self.as_judge().settle_later(now, answer, taken)
                    });
                    return Answer::Wins(settle);
                }
            },
            Err(error) if is_given_up(error) => return Answer::Void,
            Err(error) => AttemptOutcome::Failed(Failure::of(error)),
        };
        let succeeded = matches!(&outcome, AttemptOutcome::Response(head) if head.is_success());
        let timed_out = matches!(&outcome, AttemptOutcome::TimedOut);
        self.outcome(now);
        let decision = self.as_judge().decide(now, outcome);
        // A failure brings the next copy however soon it came, and is often sooner than any success.
        if measures && (timed_out || (result.is_ok() && decision == Decision::Return)) {
            self.measure(now);
        }
        let budget = &self.shared.settings.budget;
        match decision {
            Decision::Return => {
                if succeeded {
                    budget.succeeded(taken);
                }
                Answer::Wins(None)
            }
            Decision::Retry(again) => {
                budget.failed();
                Answer::Loses(self.due(again.wait, now))
            }
            // It may be asked again, only not by us, or not now.
            Decision::Skip(reason @ (SkipReason::Pushback | SkipReason::RetryAfter)) => {
                budget.failed();
                self.close(reason);
                Answer::Loses(None)
            }
            Decision::Skip(reason) => {
                budget.failed();
                self.close(reason);
                Answer::Wins(None)
            }
        }
    }

    fn as_judge(&self) -> Judge<'_, P> {
        let settings = &self.shared.settings;
        Judge {
            policy: &self.shared.policy,
            budget: &settings.budget,
            clock: &settings.bounds.clock,
            head: &self.head,
            number: self.sent,
            start: self.limits.start,
        }
    }

    /// How long the first copy took, or has taken when it loses: were only those measured that win, the percentile would
    /// sink with each that is hedged.
    fn measure(&self, now: Instant) {
        self.shared.settings.delay.record(now.saturating_duration_since(self.limits.start), now);
    }

    /// The call is over, with the answer to the copy that `reader` is the body of.
    pub(super) fn finish<R, E>(&mut self, result: &mut Result<Response<R>, E>, reader: u32) {
        if self.measures {
            self.measure(self.now());
        }
        self.replay.settle(reader);
        if self.sent == 1 {
            return;
        }
        if let Ok(response) = result {
            response.extensions_mut().insert(Attempts(self.sent));
        }
        if let Some(context) = self.limits.context(&self.head) {
            context.event().record(EVENT_HEDGES, self.sent);
        }
    }
}
