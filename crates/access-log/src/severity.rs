use bartizan_core::{Ending, GrpcCode, Outcome};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// All went well. The first to be dropped.
    Info,
    /// Refused, wrong, or left by the client.
    Warn,
    /// The service's own failure.
    Error,
}

impl Severity {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let failed = matches!(outcome.ending, Ending::BodyError | Ending::ServiceError | Ending::Panic)
            || outcome.status.is_some_and(|status| status.is_server_error())
            || outcome.grpc.is_some_and(GrpcCode::is_server_error);
        let odd = outcome.ending != Ending::Completed
            || outcome.rejection.is_some()
            || outcome.status.is_some_and(|status| status.is_client_error())
            || outcome.grpc.is_some_and(|code| code != GrpcCode::Ok);
        match (failed, odd) {
            (true, _) => Self::Error,
            (false, true) => Self::Warn,
            (false, false) => Self::Info,
        }
    }
}
