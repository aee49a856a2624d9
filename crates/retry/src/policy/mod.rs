//! What is done about an attempt.

mod decision;
mod standard;

use std::{
    fmt,
    time::{Duration, Instant, SystemTime},
};

use bartizan_core::GrpcCode;
use http::{HeaderMap, StatusCode};

pub(crate) use self::decision::Wait;
pub use self::{
    decision::{Again, Decision, RetryReason, SkipReason},
    standard::StandardPolicy,
};
use crate::{Failure, RequestHead};

/// Decides what is done about the outcome of an attempt.
///
/// It decides whether another attempt would be right. That it is possible is for the layer to see: attempts and time
/// that are left, the budget, a body that was kept, a call that is not committed. A refusal of a layer of ours on this
/// side is never shown to a policy, and never retried (except a timeout, which is shown as one).
///
/// A closure is a policy, and [`StandardPolicy`] is a value to start from:
///
/// ```
/// use bartizan_retry::{Again, Attempt, AttemptOutcome, Decision, RetryLayer, RetryReason, StandardPolicy};
///
/// let standard = StandardPolicy::new();
/// // This supplier says with a 404 that a new order is not everywhere yet.
/// let policy = move |attempt: &Attempt<'_>| match attempt.outcome() {
///     AttemptOutcome::Response(response)
///         if response.status() == 404 && attempt.head().path().starts_with("/orders/") =>
///     {
///         Decision::Retry(Again::new(RetryReason::Policy))
///     }
///     _ => standard.decide(attempt),
/// };
/// # use bartizan_retry::Policy;
/// let layer = RetryLayer::new().with_policy(policy);
/// # let _ = layer;
/// ```
pub trait Policy: Send + Sync + 'static {
    /// What is done about this attempt. Called once for each that has an outcome, successes included, unless it
    /// [passes](Self::passes).
    fn decide(&self, attempt: &Attempt<'_>) -> Decision;

    /// Whether an HTTP response with this status is returned whatever else there is to say of it. One that is need not
    /// be shown to [`decide`](Self::decide), which most calls then save. Never asked for gRPC.
    ///
    /// Default: none is, so that all are shown.
    fn passes(&self, status: StatusCode) -> bool {
        let _ = status;
        false
    }
}

impl<F: Fn(&Attempt<'_>) -> Decision + Send + Sync + 'static> Policy for F {
    fn decide(&self, attempt: &Attempt<'_>) -> Decision {
        self(attempt)
    }
}

/// An attempt that has an outcome.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) number: u32,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) wall: WallClock<'a>,
    pub(crate) outcome: AttemptOutcome<'a>,
}

impl<'a> Attempt<'a> {
    /// The head of the request, as the first attempt sent it.
    pub fn head(&self) -> &'a RequestHead {
        self.head
    }

    /// Which attempt of the call it was, counted from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The time since the call was made.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// What became of it.
    pub fn outcome(&self) -> &AttemptOutcome<'a> {
        &self.outcome
    }

    /// The wait that `Retry-After` asks for, in seconds or any of the three forms of a date (RFC 9110 section 10.2.3);
    /// zero for a past date, `None` when it is not there or malformed.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.outcome {
            AttemptOutcome::Response(response) if !response.headers.is_empty() => {
                bartizan_core::retry_after(response.headers, (self.wall.0)())
            }
            _ => None,
        }
    }
}

/// Reads the wall clock, for the few who want it.
#[derive(Clone, Copy)]
pub(crate) struct WallClock<'a>(pub(crate) &'a dyn Fn() -> SystemTime);

impl fmt::Debug for WallClock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

/// What became of an attempt.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttemptOutcome<'a> {
    /// The head of a response. Of gRPC only one that has a status already is shown: any other commits the call.
    Response(ResponseHead<'a>),
    /// The inner service failed.
    Failed(Failure<'a>),
    /// There was no response in the time that an attempt has.
    TimedOut,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) grpc: Option<GrpcCode>,
}

impl<'a> ResponseHead<'a> {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers; of gRPC, where they are the only ones, they are the trailers too.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The gRPC status of a call: its own, or what stands for the HTTP status of an answer that has none.
    pub fn grpc_code(&self) -> Option<GrpcCode> {
        self.grpc
    }
}
