//! The policy that is right for most.

use std::time::Duration;

use bartizan_core::GrpcCode;
use http::StatusCode;

use super::{Again, Attempt, AttemptOutcome, Decision, Policy, ResponseHead, RetryReason, SkipReason};
use crate::{ConfigError, Failure, RequestHead, grpc::Pushback};

/// What is retried unless a policy of your own says otherwise.
///
/// 1. **Surely not processed**, whatever the method: no connection was made, HTTP/2 refused the stream or went away
///    before it, 421 and 425, these two once.
/// 2. **Perhaps processed**, where that may happen twice ([`RequestHead::is_idempotent`]): 408, 429, 502, 503, 504, a
///    connection that failed, an attempt that took too long.
/// 3. **gRPC**: UNAVAILABLE, whatever the method, and whatever amounts to it: 429, 502, 503 and 504 of a proxy.
///    `grpc-retry-pushback-ms` is waited for exactly, and not at all when it is negative or no number. An attempt that
///    took too long is repeated where the call is marked as [`Idempotent`](crate::Idempotent), or
///    [`DEADLINE_EXCEEDED`](Self::with_grpc_code) is to be.
///
/// `Retry-After` of any of these responses is kept to, where there is no pushback; a wait longer than
/// [the most](Self::with_max_retry_after) is not made, and the response is returned.
///
/// ```
/// use bartizan_retry::StandardPolicy;
/// use http::StatusCode;
///
/// let policy = StandardPolicy::new().with_status(StatusCode::INTERNAL_SERVER_ERROR)?;
/// assert!(StandardPolicy::new().with_status(StatusCode::NOT_IMPLEMENTED).is_err());
/// # let _ = policy;
/// # Ok::<(), bartizan_retry::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StandardPolicy {
    statuses: Vec<StatusCode>,
    codes: Vec<GrpcCode>,
    max_retry_after: Duration,
}

impl StandardPolicy {
    /// The policy with its defaults.
    pub fn new() -> Self {
        Self {
            statuses: vec![
                StatusCode::REQUEST_TIMEOUT,
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            codes: vec![GrpcCode::Unavailable],
            max_retry_after: Duration::from_secs(30),
        }
    }

    /// Retries this HTTP status too: 500, say.
    ///
    /// # Errors
    ///
    /// When it is not a status that another attempt can change: 501, 505, and what is neither a 5xx, 408, 409, 423,
    /// 424 nor 429.
    pub fn with_status(mut self, status: StatusCode) -> Result<Self, ConfigError> {
        let may_change = match status.as_u16() {
            501 | 505 => false,
            408 | 409 | 423 | 424 | 429 => true,
            _ => status.is_server_error(),
        };
        if !may_change {
            return Err(ConfigError::new(
                "status",
                format!("{} is not one that another attempt can change", status.as_u16()),
            ));
        }
        if !self.statuses.contains(&status) {
            self.statuses.push(status);
        }
        Ok(self)
    }

    /// Does not retry this HTTP status.
    pub fn without_status(mut self, status: StatusCode) -> Self {
        self.statuses.retain(|known| *known != status);
        self
    }

    /// Retries this gRPC status too: RESOURCE_EXHAUSTED, say. gRPC calls have no method that tells whether they may be
    /// repeated, so this holds for all calls through the layer.
    ///
    /// # Errors
    ///
    /// When it is OK.
    pub fn with_grpc_code(mut self, code: GrpcCode) -> Result<Self, ConfigError> {
        if code == GrpcCode::Ok {
            return Err(ConfigError::new("code", "must not be OK"));
        }
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
        Ok(self)
    }

    /// Does not retry this gRPC status.
    pub fn without_grpc_code(mut self, code: GrpcCode) -> Self {
        self.codes.retain(|known| *known != code);
        self
    }

    /// The longest wait that a server may ask for, by `Retry-After` or gRPC's pushback: for more, the response is
    /// returned at once. Default: 30 s.
    ///
    /// # Errors
    ///
    /// When it is longer than a day.
    pub fn with_max_retry_after(mut self, max: Duration) -> Result<Self, ConfigError> {
        if max > Duration::from_secs(86_400) {
            return Err(ConfigError::new("max_retry_after", "must be at most a day"));
        }
        self.max_retry_after = max;
        Ok(self)
    }

    fn http(&self, attempt: &Attempt<'_>, status: StatusCode) -> Decision {
        if self.passes(status) {
            return Decision::Return;
        }
        match status {
            StatusCode::MISDIRECTED_REQUEST => {
                self.when_asked(attempt, Again::new(RetryReason::Misdirected).once())
            }
            StatusCode::TOO_EARLY => self.when_asked(attempt, Again::new(RetryReason::TooEarly).once()),
            _ if !self.statuses.contains(&status) => Decision::Return,
            _ if !attempt.head.is_idempotent() => Decision::Skip(SkipReason::NotIdempotent),
            _ => self.when_asked(attempt, Again::new(RetryReason::Status)),
        }
    }

    /// Another attempt, not before `Retry-After` says.
    fn when_asked(&self, attempt: &Attempt<'_>, retry: Again) -> Decision {
        match attempt.retry_after() {
            Some(wait) if wait > self.max_retry_after => Decision::Skip(SkipReason::RetryAfter),
            Some(wait) => Decision::Retry(retry.at_least(wait)),
            None => Decision::Retry(retry),
        }
    }

    fn grpc(&self, attempt: &Attempt<'_>, code: GrpcCode, response: ResponseHead<'_>) -> Decision {
        if code == GrpcCode::Ok {
            return Decision::Return;
        }
        let retry = Again::new(RetryReason::GrpcStatus);
        match Pushback::read(response.headers) {
            Some(Pushback::Never) => Decision::Skip(SkipReason::Pushback),
            _ if !self.codes.contains(&code) => Decision::Return,
            Some(Pushback::After(wait)) if wait > self.max_retry_after => {
                Decision::Skip(SkipReason::Pushback)
            }
            Some(Pushback::After(wait)) => Decision::Retry(retry.exactly(wait)),
            // A proxy's answer has no pushback, but it may have this.
            None => self.when_asked(attempt, retry),
        }
    }

    fn failed(&self, head: &RequestHead, failure: Failure<'_>) -> Decision {
        if failure.is_connect() {
            return Decision::Retry(Again::new(RetryReason::Connect));
        }
        if failure.is_refused() {
            return Decision::Retry(Again::new(RetryReason::NotProcessed));
        }
        if head.protocol().is_grpc() {
            return if self.codes.contains(&failure.grpc_code()) {
                Decision::Retry(Again::new(RetryReason::Transport))
            } else {
                Decision::Return
            };
        }
        if_idempotent(head.is_idempotent(), RetryReason::Transport)
    }
}

fn if_idempotent(idempotent: bool, reason: RetryReason) -> Decision {
    if idempotent { Decision::Retry(Again::new(reason)) } else { Decision::Skip(SkipReason::NotIdempotent) }
}

impl Policy for StandardPolicy {
    fn decide(&self, attempt: &Attempt<'_>) -> Decision {
        match &attempt.outcome {
            AttemptOutcome::Response(response) => match response.grpc {
                None => self.http(attempt, response.status),
                Some(code) => self.grpc(attempt, code, *response),
            },
            AttemptOutcome::Failed(failure) => self.failed(attempt.head, *failure),
            AttemptOutcome::TimedOut => {
                let head = attempt.head;
                let may_repeat = if head.protocol().is_grpc() {
                    self.codes.contains(&GrpcCode::DeadlineExceeded)
                        || head.extension::<crate::Idempotent>().is_some()
                } else {
                    head.is_idempotent()
                };
                if_idempotent(may_repeat, RetryReason::Timeout)
            }
        }
    }

    #[inline]
    fn passes(&self, status: StatusCode) -> bool {
        status.as_u16() < 400
    }
}

impl Default for StandardPolicy {
    fn default() -> Self {
        Self::new()
    }
}
