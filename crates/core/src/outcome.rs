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
    /// Of a gRPC call that was answered by something that is no gRPC, a proxy say: the code that its HTTP status stands for
    /// ([`GrpcCode::of_http_status`]). For the caller's side alone: a server must not use it.
    pub grpc_by_status: Option<GrpcCode>,
    /// The bytes of body that were handed on.
    pub bytes: u64,
    /// Whether the body was dropped before anybody asked for any of it, when the head had told all there is to tell: not
    /// that of a gRPC answer whose status was still to come.
    pub unread: bool,
    /// The refusal, if the answer was one.
    pub rejection: Option<Rejection>,
}

impl Outcome {
    /// What became of a request that never had a response head.
    pub fn without_response(ending: Ending) -> Self {
        Self {
            ending,
            status: None,
            grpc: None,
            grpc_by_status: None,
            bytes: 0,
            unread: false,
            rejection: None,
        }
    }

    /// The gRPC status of a call as its caller sees it: its own, or the one that the HTTP status of an answer without one
    /// stands for. `None` for plain HTTP, and where there is no answer.
    #[inline]
    pub fn grpc_of_call(&self) -> Option<GrpcCode> {
        self.grpc.or(self.grpc_by_status)
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
    /// Whether it is what nearly all are: no gRPC and no refusal, and not asked for in gRPC.
    is_plain: bool,
    /// Whether the answer is gRPC, and so not over before its status.
    is_grpc: bool,
    grpc: Option<GrpcCode>,
    grpc_by_status: Option<GrpcCode>,
    rejection: Option<Rejection>,
}

impl Head {
    /// `protocol` is the response's own; `is_grpc_call` says whether it was asked for in gRPC.
    pub(crate) fn of(protocol: Protocol, is_grpc_call: bool, parts: &Parts) -> Self {
        let is_grpc = protocol.is_grpc();
        let grpc = if is_grpc { GrpcCode::from_headers(&parts.headers) } else { None };
        let stands_for = || GrpcCode::of_http_status(parts.status);
        let grpc_by_status = (is_grpc_call && !is_grpc).then(stands_for);
        let plain = Self::of_http(parts);
        Self { is_plain: plain.is_plain && !is_grpc && !is_grpc_call, is_grpc, grpc, grpc_by_status, ..plain }
    }

    /// Of a response that is no gRPC.
    #[inline]
    pub(crate) fn of_http(parts: &Parts) -> Self {
        let extensions = &parts.extensions;
        let rejection = if extensions.is_empty() { None } else { refusal(extensions) };
        let (status, is_plain) = (parts.status, rejection.is_none());
        Self { status, is_plain, is_grpc: false, grpc: None, grpc_by_status: None, rejection }
    }

    /// The outcome of what nearly all responses are: plain, and complete.
    #[inline]
    pub(crate) fn plain_outcome(&self, report: &BodyReport) -> Option<Outcome> {
        let is_plain = self.is_plain && report.end == BodyEnd::Complete && report.grpc.is_none();
        let (status, bytes) = (Some(self.status), report.bytes);
        is_plain.then_some(Outcome { status, bytes, ..Outcome::without_response(Ending::Completed) })
    }

    pub(crate) fn into_outcome(self, report: &BodyReport) -> Outcome {
        let ending = match report.end {
            BodyEnd::Complete => match &self.rejection {
                Some(rejection) if rejection.is_panic() => Ending::Panic,
                Some(rejection) if is_timeout(rejection) => Ending::Timeout,
                _ => Ending::Completed,
            },
            BodyEnd::Error => Ending::BodyError,
            BodyEnd::Dropped => Ending::ClientAborted,
            BodyEnd::Panic => Ending::Panic,
        };
        let missing = || (self.is_grpc && ending == Ending::Completed).then_some(GrpcCode::Unknown);
        let grpc = self.grpc.or(report.grpc).or_else(missing);
        Outcome {
            ending,
            status: Some(self.status),
            grpc,
            grpc_by_status: self.grpc_by_status,
            bytes: report.bytes,
            unread: report.unread && (!self.is_grpc || grpc.is_some()),
            rejection: self.rejection,
        }
    }
}

/// Whether a refusal says that time was over.
fn is_timeout(rejection: &Rejection) -> bool {
    matches!(rejection.reason(), Reason::DeadlineExceeded | Reason::RequestTimeout)
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
/// 500, 502, 503 or 504, or gRPC `UNKNOWN`, `INTERNAL`, `UNAVAILABLE`, `DEADLINE_EXCEEDED` or `DATA_LOSS`; a gRPC call that
/// was answered by something else has the code that the HTTP status stands for (GRPC-08).
///
/// What a local layer refused is ignored, the timeout of an attempt that was made apart, and so is what the caller
/// cancelled. A caller that drops a body without having asked for it, as many do that need the status alone, has not
/// cancelled: the head decides, unless the status of the call was still to come (gRPC). One that drops it half way has
/// cancelled, but a failure that the head tells is a failure also then.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientClassifier;

impl Classify for ClientClassifier {
    fn classify(&self, outcome: &Outcome) -> Verdict {
        if let Some(rejection) = &outcome.rejection {
            // Whether or not somebody has read what it says.
            let ended = matches!(outcome.ending, Ending::Timeout | Ending::ClientAborted);
            let is_failure = ended && is_timeout(rejection) && !rejection.is_unsent();
            return if is_failure { Verdict::Failure } else { Verdict::Ignored };
        }
        match outcome.ending {
            Ending::ClientAborted if tells_failure(outcome) => Verdict::Failure,
            Ending::ClientAborted if !outcome.unread => Verdict::Ignored,
            Ending::ClientAborted => Verdict::Success,
            Ending::BodyError | Ending::ServiceError | Ending::Panic | Ending::Timeout => Verdict::Failure,
            Ending::Completed => failure_if(tells_failure(outcome)),
        }
    }
}

/// Whether the upstream itself says that it failed.
fn tells_failure(outcome: &Outcome) -> bool {
    match (outcome.grpc_of_call(), outcome.status) {
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
    fn cb_07_a_body_that_nobody_asked_for_is_no_cancelled_call() {
        let unread = |outcome| Outcome { ending: Ending::ClientAborted, unread: true, ..outcome };
        for (outcome, expected) in [
            (http(200), Verdict::Success),
            (http(404), Verdict::Success),
            (http(503), Verdict::Failure),
            (grpc(GrpcCode::Ok), Verdict::Success),
        ] {
            assert_eq!(ClientClassifier.classify(&unread(outcome)), expected);
        }
    }

    #[test]
    fn cb_07_and_rt_14_the_timeout_of_an_attempt_is_a_failure_read_or_not_unless_nothing_was_sent() {
        let timeout =
            |ending, rejection: Rejection| Outcome { ending, rejection: Some(rejection), ..http(504) };
        for ending in [Ending::Timeout, Ending::ClientAborted] {
            let of = |rejection| ClientClassifier.classify(&timeout(ending, rejection));
            assert_eq!(of(Reason::DeadlineExceeded.into()), Verdict::Failure, "{ending:?}");
            assert_eq!(of(Rejection::new(Reason::DeadlineExceeded).unsent()), Verdict::Ignored, "{ending:?}");
            assert_eq!(of(Reason::CircuitOpen.into()), Verdict::Ignored, "{ending:?}");
        }
    }

    #[test]
    fn grpc_08_a_call_that_something_else_answered_has_the_code_of_its_http_status() {
        let of = |protocol, is_call, status| {
            let (parts, ()) = http::Response::builder().status(status).body(()).unwrap().into_parts();
            let report = BodyReport { end: BodyEnd::Complete, bytes: 0, grpc: None, unread: false };
            Head::of(protocol, is_call, &parts).into_outcome(&report)
        };
        for (status, code, verdict) in [
            (200, GrpcCode::Unknown, Verdict::Failure),
            (400, GrpcCode::Internal, Verdict::Failure),
            (401, GrpcCode::Unauthenticated, Verdict::Success),
            (404, GrpcCode::Unimplemented, Verdict::Success),
            (429, GrpcCode::Unavailable, Verdict::Failure),
            (503, GrpcCode::Unavailable, Verdict::Failure),
        ] {
            let outcome = of(Protocol::Http, true, status);
            assert_eq!((outcome.grpc, outcome.grpc_of_call()), (None, Some(code)), "{status}");
            assert_eq!(ClientClassifier.classify(&outcome), verdict, "{status}");
            assert_eq!(of(Protocol::Http, false, status).grpc_of_call(), None, "{status}");
        }
        assert_eq!(
            of(Protocol::Grpc, true, 429).grpc_of_call(),
            Some(GrpcCode::Unknown),
            "it ended without one"
        );
        let server = ServerClassifier.classify(&of(Protocol::Http, true, 200));
        assert_eq!(server, Verdict::Success, "a server must not use it");
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
