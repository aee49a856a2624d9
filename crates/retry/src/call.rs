//! One call over all its attempts: what was done, and what is to be done next.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_core::{Protocol, Rejection, ResendCount};
use http::{Extensions, Request, Response, response::Parts};

use crate::{
    Again, AttemptOutcome, Attempts, Decision, Failure, Policy, Replay, ReplayBody, RetryReason, SkipReason,
    body::Settle,
    budget::{Paid, Taken},
    grpc,
    head::KeptHead,
    layer::Shared,
    limits::Limits,
    policy::Wait,
    replay::Standing,
    response::{Judge, Shown},
    telemetry::{EVENT_ATTEMPTS, EVENT_REASON, EVENT_SKIPPED},
};

/// The state of one call.
pub(crate) struct Call<B, P> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) head: KeptHead,
    pub(crate) replay: Replay<B>,
    pub(crate) limits: Limits,
    /// `None` while there is no attempt but the first. Boxed: most calls need no other.
    pub(crate) progress: Option<Box<Progress>>,
}

/// What became of the attempts so far.
pub(crate) struct Progress {
    /// All that were sent.
    sent: u32,
    /// Those that count: transparent retries do not.
    counted: u32,
    was_transparent: bool,
    /// Waits since the beginning, or since a pushback.
    waits: u32,
    last_wait: Option<Duration>,
    /// A bit for each reason that was met.
    reasons: u16,
    /// Why the attempt that runs was made.
    last_reason: Option<RetryReason>,
    /// Why the next one will be.
    next_reason: Option<RetryReason>,
    /// What the attempt that runs, or the one that is to be made, took from the budget.
    paid: Option<Paid>,
    /// When the attempt that runs began.
    begun: Instant,
}

impl Progress {
    /// The first attempt runs, since the call began.
    fn first(begun: Instant) -> Box<Self> {
        Box::new(Self {
            sent: 1,
            counted: 1,
            was_transparent: false,
            waits: 0,
            last_wait: None,
            reasons: 0,
            last_reason: None,
            next_reason: None,
            paid: None,
            begun,
        })
    }
}

/// What is done after an attempt.
pub(crate) enum Next<B> {
    /// The caller gets what there is.
    Return,
    /// Another attempt with this body, after a wait.
    Again { wait: Duration, body: ReplayBody<B> },
}

/// What to do about a response.
pub(crate) enum AfterResponse<B> {
    /// The caller gets it, and how it ends is to be told to this.
    Return(Option<Box<Settle>>),
    Again {
        wait: Duration,
        body: ReplayBody<B>,
    },
}

impl<B, P: Policy> Call<B, P> {
    /// Whether `response` to the first attempt is a success that is returned as it is, as most are.
    #[inline(always)]
    pub(crate) fn passes<R>(&self, response: &Response<R>) -> bool {
        let (settings, status) = (&self.shared.settings, response.status());
        let passes = self.progress.is_none()
            && self.head.protocol() == Protocol::Http
            && (response.extensions().is_empty() || response.extensions().get::<Rejection>().is_none())
            && status.as_u16() < 500
            && self.shared.policy.passes(status);
        if passes {
            settings.budget.called_and_succeeded(|| self.now());
        }
        passes
    }

    fn now(&self) -> Instant {
        self.shared.settings.bounds.clock.now()
    }

    /// How many attempts were sent.
    #[inline]
    fn sent(&self) -> u32 {
        self.progress.as_ref().map_or(1, |progress| progress.sent)
    }

    /// What the attempt that runs took from the budget.
    #[inline]
    fn taken(&self) -> Taken {
        let paid = self.progress.as_ref().and_then(|progress| progress.paid.as_ref());
        paid.map_or_else(Taken::default, Paid::taken)
    }

    /// When the attempt that runs must be done, and whether that is the end of the call.
    fn end(&self) -> Option<(Instant, bool)> {
        let begun = self.progress.as_ref().map_or(self.limits.start, |progress| progress.begun);
        self.limits.of_attempt(&self.shared.settings.bounds, begun)
    }

    /// How long the attempt that runs still has, if its time has an end.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.end().map(|(end, _)| end.saturating_duration_since(self.now()))
    }

    /// How long the call still has, if its time has an end.
    pub(crate) fn time_left_of_all(&self) -> Option<Duration> {
        self.limits.remaining(self.now())
    }

    /// Whether the end of the attempt that runs is the end of the call.
    fn ends_with_attempt(&self) -> bool {
        self.end().is_some_and(|(_, is_last)| is_last)
    }

    /// What is done about `response`; it has its count of attempts when it is to be returned.
    #[inline]
    pub(crate) fn after_response(&mut self, response: &mut Parts) -> AfterResponse<B> {
        let now = self.now();
        let (outcome, succeeded) =
            match Shown::by(self.head.protocol(), response.status, &response.headers, &response.extensions) {
                Shown::Whole(head) => (AttemptOutcome::Response(head), head.is_success()),
                Shown::TimedOut => (AttemptOutcome::TimedOut, false),
                Shown::Refused => {
                    if let Some(paid) = self.progress.as_mut().and_then(|progress| progress.paid.as_mut()) {
                        paid.refused();
                    }
                    self.skipped(SkipReason::LocalRejection);
                    self.leave_count(&mut response.extensions);
                    return AfterResponse::Return(None);
                }
                Shown::Committed => {
                    self.called(now);
                    self.leave_count(&mut response.extensions);
                    let counts = self.shared.settings.budget.counts_outcomes();
                    let settle = counts.then(|| {
                        let answer = (response.status, &response.headers);
                        self.judge().settle_later(now, answer, self.taken())
                    });
                    return AfterResponse::Return(settle);
                }
            };
        match self.decide(now, outcome, succeeded) {
            Next::Return => {
                self.leave_count(&mut response.extensions);
                AfterResponse::Return(None)
            }
            Next::Again { wait, body } => AfterResponse::Again { wait, body },
        }
    }

    fn judge(&self) -> Judge<'_, P> {
        let settings = &self.shared.settings;
        Judge {
            policy: &self.shared.policy,
            budget: &settings.budget,
            clock: &settings.bounds.clock,
            head: &self.head,
            number: self.sent(),
            start: self.limits.start,
        }
    }

    /// The first attempt has an outcome.
    #[inline]
    fn called(&self, now: Instant) {
        if self.sent() == 1 {
            self.shared.settings.budget.called(now);
        }
    }

    pub(crate) fn after_error(&mut self, error: &(dyn Error + 'static)) -> Next<B> {
        let now = self.now();
        let failure = Failure::of(error);
        let next = self.decide(now, AttemptOutcome::Failed(failure), false);
        if matches!(next, Next::Return) {
            self.tell();
        }
        next
    }

    /// The attempt took longer than it may.
    pub(crate) fn after_timeout(&mut self) -> Next<B> {
        let now = self.now();
        if self.ends_with_attempt() {
            self.skipped(SkipReason::Deadline);
            self.called(now);
            self.tell();
            return Next::Return;
        }
        let next = self.decide(now, AttemptOutcome::TimedOut, false);
        if matches!(next, Next::Return) {
            self.tell();
        }
        next
    }

    #[inline]
    fn decide(&mut self, now: Instant, outcome: AttemptOutcome<'_>, succeeded: bool) -> Next<B> {
        self.called(now);
        let timed_out = matches!(outcome, AttemptOutcome::TimedOut);
        let decision = self.judge().decide(now, outcome);
        let budget = &self.shared.settings.budget;
        match decision {
            Decision::Return => {
                if succeeded {
                    budget.succeeded(self.taken());
                }
                Next::Return
            }
            Decision::Skip(reason) => {
                budget.failed();
                self.skipped(reason);
                Next::Return
            }
            Decision::Retry(retry) => match self.again(&retry, now, timed_out) {
                Ok((wait, body)) => Next::Again { wait, body },
                Err(reason) => {
                    self.skipped(reason);
                    Next::Return
                }
            },
        }
    }

    /// Whether another attempt is possible, and when.
    fn again(
        &mut self,
        retry: &Again,
        now: Instant,
        timed_out: bool,
    ) -> Result<(Duration, ReplayBody<B>), SkipReason> {
        let Self { shared, head, replay, limits, progress } = self;
        let settings = &shared.settings;
        let is_grpc = head.protocol().is_grpc();
        let was_transparent = progress.as_ref().is_some_and(|progress| progress.was_transparent);
        let transparent = is_grpc && retry.reason == RetryReason::NotProcessed && !was_transparent;
        if !transparent {
            settings.budget.failed();
        }
        if limits.is_retry {
            return Err(SkipReason::AlreadyRetry);
        }
        let progress = progress.get_or_insert_with(|| Progress::first(limits.start));
        let bit = 1 << retry.reason as u16;
        let max = if is_grpc { settings.max_attempts.min(MOST_GRPC_ATTEMPTS) } else { settings.max_attempts };
        if (retry.once && progress.reasons & bit != 0) || (progress.counted >= max && !transparent) {
            return Err(SkipReason::Attempts);
        }
        match replay.standing() {
            Standing::Whole => {}
            Standing::TooLarge => return Err(SkipReason::BodyTooLarge),
            Standing::Failed => return Err(SkipReason::BodyFailed),
        }
        let wait = match retry.wait {
            _ if transparent => Duration::ZERO,
            Wait::Exactly(wait) => wait,
            Wait::Backoff | Wait::AtLeast(_) => {
                settings.random.delay(&settings.backoff, progress.waits, progress.last_wait)
            }
        };
        let wait = match retry.wait {
            Wait::AtLeast(least) => least.saturating_add(wait),
            Wait::Backoff | Wait::Exactly(_) => wait,
        };
        if !limits.leave_time_after(wait, &settings.bounds, now) {
            return Err(SkipReason::Deadline);
        }
        let paid = settings.budget.take(now, timed_out, transparent).ok_or(SkipReason::Budget)?;
        // The attempt before may still have been read, by the task of its connection.
        let body = replay.body().ok_or(SkipReason::BodyTooLarge)?;

        match retry.wait {
            _ if transparent => {}
            Wait::Exactly(_) => (progress.waits, progress.last_wait) = (0, None),
            Wait::Backoff | Wait::AtLeast(_) => {
                progress.waits = progress.waits.saturating_add(1);
                progress.last_wait = Some(wait);
            }
        }
        progress.counted -= u32::from(transparent);
        progress.was_transparent |= transparent;
        progress.reasons |= bit;
        progress.next_reason = Some(retry.reason);
        progress.paid = Some(paid);
        Ok((wait, body))
    }

    /// The request of the next attempt, which begins now; `None` when too little time is left for it.
    pub(crate) fn next_request(&mut self, body: ReplayBody<B>) -> Option<Request<ReplayBody<B>>> {
        let now = self.now();
        let settings = &self.shared.settings;
        if !self.limits.leave_time_after(Duration::ZERO, &settings.bounds, now) {
            return None;
        }
        let mut request = self.head.request(body);
        let progress = self.progress.get_or_insert_with(|| Progress::first(self.limits.start));
        ResendCount::add(request.extensions_mut(), progress.sent);
        let before = progress.counted;
        let headers = request.headers_mut();
        if self.head.protocol().is_grpc() {
            if before > 0 {
                let _ = headers.try_insert(grpc::PREVIOUS_ATTEMPTS, before.into());
            }
            self.limits.announce(&settings.bounds, now, headers);
        } else if let Some(name) = &settings.bounds.attempt_header {
            let _ = headers.try_insert(name.clone(), before.into());
        }
        progress.sent += 1;
        progress.counted += 1;
        progress.begun = now;
        progress.paid.iter_mut().for_each(Paid::sent);
        if let Some(reason) = progress.next_reason.take() {
            progress.last_reason = Some(reason);
            self.shared.telemetry.retried(reason);
        }
        Some(request)
    }

    /// The attempt that was to be made is not begun any more.
    pub(crate) fn missed(&self) {
        self.skipped(SkipReason::Deadline);
    }

    /// The refusal of a call that ran out of time, and the request that it refuses.
    pub(crate) fn too_late(&self) -> (Rejection, Request<()>) {
        (self.shared.too_late(), self.head.request(()))
    }

    #[cold]
    fn skipped(&self, reason: SkipReason) {
        self.shared.telemetry.skipped(reason);
        if reason == SkipReason::BodyTooLarge {
            self.shared.too_large.report();
        }
        if let Some(context) = self.limits.context(&self.head) {
            context.event().record(EVENT_SKIPPED, reason.as_str());
            context.event().record(EVENT_ATTEMPTS, self.sent());
        }
    }

    /// Leaves the number of attempts in a response that is returned.
    #[inline]
    pub(crate) fn leave_count(&self, extensions: &mut Extensions) {
        if self.sent() > 1 {
            extensions.insert(Attempts(self.sent()));
            self.tell();
        }
    }

    /// Tells the wide event of attempts, if there were several.
    #[cold]
    fn tell(&self) {
        let Some(progress) = &self.progress else { return };
        let Some(context) = self.limits.context(&self.head) else { return };
        if progress.sent > 1 {
            context.event().record(EVENT_ATTEMPTS, progress.sent);
        }
        if let Some(reason) = progress.last_reason {
            context.event().record(EVENT_REASON, reason.as_str());
        }
    }
}

/// gRFC A6: more are treated as 5.
const MOST_GRPC_ATTEMPTS: u32 = 5;
