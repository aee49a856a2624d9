//! What happens when Redis does not answer.

use std::{error::Error, fmt, time::Duration};

use bartizan_core::{Reason, Rejection};

use crate::{policy::LAYER, refusal::REDUCED_CAPACITY};

/// What becomes of a request whose limits Redis did not decide: it is away, too slow, or takes no writes.
///
/// It never waits longer than the store's [timeout](crate::RedisStore::with_timeout). Each is counted, see the
/// feature `metrics`, and the wide event tells it as `rate_limit.store_failure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureMode {
    /// It passes without being counted: the service stays up, and is not protected. The default.
    #[default]
    Open,
    /// It is refused with 503 (UNAVAILABLE): for what must never pass unlimited, such as attempts to log in.
    Closed,
    /// It is decided by a limit of the same settings in the memory of this process, which starts with full buckets.
    /// So many instances let through so many times the rate at most.
    Local,
}

/// Why Redis did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no answer in time.
    Timeout,
    /// There was an error, or an answer that is none.
    Error,
    /// It was not asked: it has failed before, and has not come back yet.
    Down,
}

impl Failure {
    /// As a label and a fact.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Down => "down",
        }
    }
}

/// Redis did not answer, or not in time.
///
/// The message names where it was looked for, without users and passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUnavailable {
    pub(super) failure: Failure,
    pub(super) address: Box<str>,
}

impl fmt::Display for RedisUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.failure {
            Failure::Timeout => "does not answer in time",
            Failure::Error => "cannot be reached, or refuses: see its address, user and password",
            Failure::Down => "takes no writes",
        };
        write!(f, "rate limit: Redis at {} {problem}", self.address)
    }
}

impl Error for RedisUnavailable {}

/// The refusal where limits fail closed. The store looks for Redis about once a second.
#[cold]
pub(super) fn closed() -> Rejection {
    Rejection::new(Reason::DependencyUnavailable)
        .with_layer(LAYER)
        .with_type(REDUCED_CAPACITY)
        .with_detail("It cannot be told now whether the request is within its limits. Try again later.")
        .with_retry_after(Duration::from_secs(1))
}
