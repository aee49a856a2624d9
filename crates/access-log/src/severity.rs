use bartizan_core::{Ending, GrpcCode};

use crate::record::End;

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
    pub(crate) fn of(end: &End<'_>) -> Self {
        let failed = matches!(end.ending, Ending::BodyError | Ending::ServiceError | Ending::Panic)
            || end.status.is_some_and(|status| status.is_server_error())
            || end.grpc.is_some_and(GrpcCode::is_server_error);
        let odd = end.ending != Ending::Completed
            || end.rejection.is_some()
            || end.status.is_some_and(|status| status.is_client_error())
            || end.grpc.is_some_and(|code| code != GrpcCode::Ok);
        match (failed, odd) {
            (true, _) => Self::Error,
            (false, true) => Self::Warn,
            (false, false) => Self::Info,
        }
    }
}
