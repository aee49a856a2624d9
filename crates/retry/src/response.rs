//! What the head of a response tells, before its body.

use std::{sync::Arc, time::Instant};

use bartizan_core::{GrpcCode, Protocol, Reason, Rejection};
use http::{Extensions, HeaderMap, StatusCode};

use crate::{
    Attempt, AttemptOutcome, Budget, Decision, Policy, ResponseHead, body::Settle, budget::Taken,
    head::KeptHead, policy::WallClock, time::Time,
};

/// What a response is, as its head shows it.
pub(crate) enum Shown<'a> {
    /// A layer of ours refused, on this side: not the upstream's doing.
    Refused,
    /// A layer of ours gave up waiting for the upstream.
    TimedOut,
    /// gRPC whose status is still to come, in the trailers.
    Committed,
    /// All there is to know.
    Whole(ResponseHead<'a>),
}

impl<'a> Shown<'a> {
    #[inline]
    pub(crate) fn by(
        protocol: Protocol,
        status: StatusCode,
        headers: &'a HeaderMap,
        extensions: &Extensions,
    ) -> Self {
        if !extensions.is_empty()
            && let Some(rejection) = extensions.get::<Rejection>()
        {
            return if rejection.reason() == Reason::DeadlineExceeded {
                Self::TimedOut
            } else {
                Self::Refused
            };
        }
        let mut grpc = None;
        if protocol.is_grpc() {
            grpc = GrpcCode::from_headers(headers);
            if grpc.is_none() && status == StatusCode::OK {
                return Self::Committed;
            }
            grpc = grpc.or_else(|| Some(GrpcCode::of_http_status(status)));
        }
        Self::Whole(ResponseHead { status, headers, grpc })
    }
}

impl ResponseHead<'_> {
    /// Whether the upstream did its work: what a budget of outcomes counts as success.
    #[inline]
    pub(crate) fn is_success(&self) -> bool {
        match self.grpc {
            Some(code) => code == GrpcCode::Ok,
            None => self.status.as_u16() < 500,
        }
    }
}

/// Whose outcome it is.
pub(crate) struct Judge<'a, P> {
    pub(crate) policy: &'a Arc<P>,
    pub(crate) budget: &'a Budget,
    pub(crate) clock: &'a Time,
    pub(crate) head: &'a KeptHead,
    pub(crate) number: u32,
    pub(crate) start: Instant,
}

impl<P: Policy> Judge<'_, P> {
    /// What the policy says of an outcome.
    #[inline]
    pub(crate) fn decide(&self, now: Instant, outcome: AttemptOutcome<'_>) -> Decision {
        self.policy.decide(&Attempt {
            head: self.head,
            number: self.number,
            start: self.start,
            now,
            wall: WallClock(&|| self.clock.wall()),
            outcome,
        })
    }

    /// What the end of a committed call will tell the budget. Only budgets that count outcomes need it.
    #[cold]
    pub(crate) fn settle_later(
        &self,
        now: Instant,
        (status, headers): (StatusCode, &HeaderMap),
        taken: Taken,
    ) -> Box<Settle> {
        let (policy, budget, clock) = (Arc::clone(self.policy), self.budget.clone(), self.clock.clone());
        let (head, number, start) = (self.head.clone(), self.number, self.start);
        Settle::new(Protocol::from_headers(headers), move |code, trailers| {
            let response = ResponseHead { status, headers: trailers, grpc: Some(code) };
            let attempt = Attempt {
                head: &head,
                number,
                start,
                now,
                wall: WallClock(&|| clock.wall()),
                outcome: AttemptOutcome::Response(response),
            };
            match policy.decide(&attempt) {
                Decision::Return if code == GrpcCode::Ok => budget.succeeded(taken),
                Decision::Return => {}
                Decision::Skip(_) | Decision::Retry(_) => budget.failed(),
            }
        })
    }
}
