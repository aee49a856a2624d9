//! What became of a request, and whether that counts as success.

use http::{Extensions, StatusCode, response::Parts};

use crate::{BodyEnd, BodyReport, GrpcCode, Protocol, Reason, Rejection};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// The answer was sent to its end.
    Completed,
    /// The other side went away first: the future or the body was dropped before its end.
    ClientAborted,
    /// A deadline passed, the request's own or an upstream's.
    Timeout,
    /// The response body failed on the way.
    BodyError,
    /// The service returned an error instead of a response.
    ServiceError,
    /// The service panicked.
    Panic,
}

impl Ending {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientAborted => "client_aborted",
            Self::Timeout => "timeout",
            Self::BodyError => "body_error",
            Self::ServiceError => "service_error",
            Self::Panic => "panic",
        }
    }
}

/// What became of a request: known when the response body has ended, not before.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The HTTP status, if a response head was there; never made up.
    pub status: Option<StatusCode>,
    /// The gRPC status: from the trailers, from the last frame of a gRPC-Web body, or from the head of a
    /// Trailers-Only answer. `UNKNOWN` for a gRPC response that ended without one; `None` for plain HTTP.
    pub grpc: Option<GrpcCode>,
    /// The bytes of body that were handed on.
    pub bytes: u64,
    /// The refusal, if the answer was one.
    pub rejection: Option<Rejection>,
}

impl Outcome {
    /// What became of a request that never had a response head.
    pub fn without_response(ending: Ending) -> Self {
        Self { ending, status: None, grpc: None, bytes: 0, rejection: None }
    }

    /// The stable code of the refusal, if the answer was one.
    pub fn rejection_code(&self) -> Option<&'static str> {
        self.rejection.as_ref().map(|rejection| rejection.reason().code())
    }
}

/// What the head of a response tells of the outcome.
#[derive(Debug)]
pub(crate) struct Head {
    status: StatusCode,
    /// Whether the answer is gRPC, and so not over before its status.
    is_grpc: bool,
    grpc: Option<GrpcCode>,
    rejection: Option<Rejection>,
}

impl Head {
    /// `protocol` is the response's own.
    pub(crate) fn of(protocol: Protocol, parts: &Parts) -> Self {
        let grpc = if protocol.is_grpc() { GrpcCode::from_headers(&parts.headers) } else { None };
        Self { is_grpc: protocol.is_grpc(), grpc, ..Self::of_http(parts) }
    }

    /// Of a response that is no gRPC.
    #[inline]
    pub(crate) fn of_http(parts: &Parts) -> Self {
        let extensions = &parts.extensions;
        let rejection = if extensions.is_empty() { None } else { refusal(extensions) };
        Self { status: parts.status, is_grpc: false, grpc: None, rejection }
    }

    /// The outcome of what nearly all responses are: complete, no gRPC, and no refusal.
    #[inline]
    pub(crate) fn plain_outcome(&self, report: &BodyReport) -> Option<Outcome> {
        let is_plain = report.end == BodyEnd::Complete
            && report.grpc.is_none()
            && !self.is_grpc
            && self.grpc.is_none()
            && self.rejection.is_none();
        let (ending, status) = (Ending::Completed, Some(self.status));
        is_plain.then_some(Outcome { ending, status, grpc: None, bytes: report.bytes, rejection: None })
    }

    pub(crate) fn into_outcome(self, report: &BodyReport) -> Outcome {
        let ending = match report.end {
            BodyEnd::Complete => match &self.rejection {
                Some(rejection) if rejection.is_panic() => Ending::Panic,
                Some(rejection)
                    if matches!(rejection.reason(), Reason::DeadlineExceeded | Reason::RequestTimeout) =>
                {
                    Ending::Timeout
                }
                _ => Ending::Completed,
            },
            BodyEnd::Error => Ending::BodyError,
            BodyEnd::Dropped => Ending::ClientAborted,
            BodyEnd::Panic => Ending::Panic,
        };
        let missing = || (self.is_grpc && ending == Ending::Completed).then_some(GrpcCode::Unknown);
        let grpc = self.grpc.or(report.grpc).or_else(missing);
        Outcome { ending, status: Some(self.status), grpc, bytes: report.bytes, rejection: self.rejection }
    }
}

/// Apart from the rest, because most answers have no extensions.
fn refusal(extensions: &Extensions) -> Option<Rejection> {
    extensions.get().cloned()
}

/// Whether an outcome counts for or against a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It did what it should.
    Success,
    /// It failed.
    Failure,
    /// It says nothing about the service, and is not counted at all.
    Ignored,
}

/// Decides what counts as failure.
pub trait Classify {
    /// The verdict on `outcome`.
    fn classify(&self, outcome: &Outcome) -> Verdict;
}

/// A closure may classify.
impl<F: Fn(&Outcome) -> Verdict> Classify for F {
    fn classify(&self, outcome: &Outcome) -> Verdict {
        self(outcome)
    }
}

/// The server's view: a failure is a 5xx, one of gRPC's server errors ([`GrpcCode::is_server_error`]), a broken
/// body or a panic. A refused or wrong request is the caller's affair, and so a success of the server; what the
/// client left is ignored.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerClassifier;

impl Classify for ServerClassifier {
    fn classify(&self, outcome: &Outcome) -> Verdict {
        match outcome.ending {
            Ending::ClientAborted => Verdict::Ignored,
            Ending::BodyError | Ending::ServiceError | Ending::Panic => Verdict::Failure,
            // A client too slow to send its request is told so with a 408, which is no failure of the server.
            Ending::Completed | Ending::Timeout => failure_if(match (outcome.grpc, outcome.status) {
                (Some(code), _) => code.is_server_error(),
                (None, status) => status.is_none_or(|status| status.is_server_error()),
            }),
        }
    }
}

/// The client's view, for breakers and retries: a failure is a transport error, a timeout, a broken body, HTTP
/// 500, 502, 503 or 504, or gRPC `UNKNOWN`, `INTERNAL`, `UNAVAILABLE`, `DEADLINE_EXCEEDED` or `DATA_LOSS`. What
/// a local layer refused, and what the caller cancelled, is ignored; but a failure that the head of the response tells
/// is one also for a caller that does not read the body, as hardly anybody does.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientClassifier;

impl Classify for ClientClassifier {
    fn classify(&self, outcome: &Outcome) -> Verdict {
        if outcome.rejection.is_some() && outcome.ending != Ending::Timeout {
            return Verdict::Ignored;
        }
        match outcome.ending {
            Ending::ClientAborted if tells_failure(outcome) => Verdict::Failure,
            Ending::ClientAborted => Verdict::Ignored,
            Ending::BodyError | Ending::ServiceError | Ending::Panic | Ending::Timeout => Verdict::Failure,
            Ending::Completed => failure_if(tells_failure(outcome)),
        }
    }
}

/// Whether the upstream itself says that it failed.
fn tells_failure(outcome: &Outcome) -> bool {
    match (outcome.grpc, outcome.status) {
        (Some(code), _) => matches!(
            code,
            GrpcCode::Unknown
                | GrpcCode::Internal
                | GrpcCode::Unavailable
                | GrpcCode::DeadlineExceeded
                | GrpcCode::DataLoss
        ),
        (None, status) => status.is_some_and(|status| matches!(status.as_u16(), 500 | 502 | 503 | 504)),
    }
}

fn failure_if(failed: bool) -> Verdict {
    if failed { Verdict::Failure } else { Verdict::Success }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> Outcome {
        Outcome { status: StatusCode::from_u16(status).ok(), ..Outcome::without_response(Ending::Completed) }
    }

    fn grpc(code: GrpcCode) -> Outcome {
        Outcome { grpc: Some(code), ..http(200) }
    }

    #[test]
    fn cb_07_what_a_client_counts_as_failure() {
        let failures = [500, 502, 503, 504].map(http).into_iter().chain(
            [
                GrpcCode::Unknown,
                GrpcCode::Internal,
                GrpcCode::Unavailable,
                GrpcCode::DeadlineExceeded,
                GrpcCode::DataLoss,
            ]
            .map(grpc),
        );
        for outcome in failures {
            assert_eq!(ClientClassifier.classify(&outcome), Verdict::Failure, "{outcome:?}");
        }
        let successes = [200, 304, 400, 404, 429, 501]
            .map(http)
            .into_iter()
            .chain([GrpcCode::Ok, GrpcCode::NotFound, GrpcCode::ResourceExhausted].map(grpc));
        for outcome in successes {
            assert_eq!(ClientClassifier.classify(&outcome), Verdict::Success, "{outcome:?}");
        }
        let own = Outcome { rejection: Some(Reason::CircuitOpen.into()), ..http(503) };
        assert_eq!(ClientClassifier.classify(&own), Verdict::Ignored);
        let cancelled = Outcome::without_response(Ending::ClientAborted);
        assert_eq!(ClientClassifier.classify(&cancelled), Verdict::Ignored);
        let unread = |outcome| Outcome { ending: Ending::ClientAborted, ..outcome };
        for cancelled in [http(200), http(404)].map(unread) {
            assert_eq!(ClientClassifier.classify(&cancelled), Verdict::Ignored, "{cancelled:?}");
        }
        for failed in [http(503), grpc(GrpcCode::Unavailable)].map(unread) {
            assert_eq!(ClientClassifier.classify(&failed), Verdict::Failure, "nobody reads an error's body");
        }
    }

    #[test]
    fn obs_06_a_limited_or_unauthenticated_call_is_no_server_error() {
        for code in
            [GrpcCode::ResourceExhausted, GrpcCode::Unauthenticated, GrpcCode::Cancelled, GrpcCode::Ok]
        {
            assert_eq!(ServerClassifier.classify(&grpc(code)), Verdict::Success, "{code}");
        }
        for code in [GrpcCode::Unknown, GrpcCode::Unimplemented, GrpcCode::Unavailable, GrpcCode::DataLoss] {
            assert_eq!(ServerClassifier.classify(&grpc(code)), Verdict::Failure, "{code}");
        }
    }
}
