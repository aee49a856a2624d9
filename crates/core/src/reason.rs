//! The conditions under which a layer refuses, one row each.

use http::StatusCode;

use crate::GrpcCode;

/// Why a request was refused.
///
/// Each reason has one HTTP status, one gRPC code and one stable [`code`](Self::code), whichever layer refuses
/// with it. The code is API: clients and dashboards match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Credentials are missing, invalid or expired. Carries at least one challenge in `WWW-Authenticate`.
    Unauthenticated,
    /// A credential was sent two ways, or its header is malformed.
    MalformedCredentials,
    /// The caller is known, and not allowed.
    PermissionDenied,
    /// The resource exists, and is hidden from this caller: the same body as [`Reason::RouteNotFound`].
    Hidden,
    /// A body, query or header that does not parse.
    MalformedRequest,
    /// A body, query or header that parses, and breaks its schema.
    SchemaViolation,
    /// The media type of the request body is not accepted here.
    UnsupportedMediaType,
    /// The content coding of the request body is not accepted here.
    UnsupportedContentEncoding,
    /// Nothing this service can send is acceptable to the client.
    NotAcceptable,
    /// No such route or method name.
    RouteNotFound,
    /// The request target is too long.
    UriTooLong,
    /// The route exists, not for this method. Carries `Allow`.
    MethodNotAllowed,
    /// A body, a part of it, or a message is too large.
    ContentTooLarge,
    /// The header block is too large.
    HeadersTooLarge,
    /// This caller is over its rate or quota.
    RateLimited,
    /// The service sheds load; not this caller's fault.
    Overloaded,
    /// A circuit breaker is open.
    CircuitOpen,
    /// Not implemented.
    NotImplemented,
    /// An upstream answered wrongly.
    BadGateway,
    /// An upstream timed out, or the request's own deadline passed.
    DeadlineExceeded,
    /// The client sent its request body too slowly.
    RequestTimeout,
    /// An idempotency key is required and missing, or malformed.
    IdempotencyKeyInvalid,
    /// The first request with this idempotency key is still running.
    IdempotencyKeyInUse,
    /// This idempotency key was used with another payload.
    IdempotencyKeyReused,
    /// A precondition of the request failed.
    PreconditionFailed,
    /// The request must carry a precondition.
    PreconditionRequired,
    /// The requested API version is unknown.
    VersionUnknown,
    /// No requested representation version is available (`Accept`).
    VersionNotAcceptable,
    /// The request body's version is not supported (`Content-Type`).
    VersionUnsupported,
    /// The requested API version was removed.
    VersionRemoved,
    /// Something a layer depends on is away, and the layer is configured to fail closed.
    DependencyUnavailable,
    /// A bug or a panic. Says nothing but the request id.
    Internal,
    /// Any other HTTP error status, kept as a foreign layer set it.
    Status(StatusCode),
}

struct Row {
    status: StatusCode,
    grpc: GrpcCode,
    code: &'static str,
    title: &'static str,
    detail: &'static str,
}

impl Reason {
    /// Every reason with a row of its own: all but [`Reason::Status`].
    pub const ALL: [Self; 32] = [
        Self::Unauthenticated,
        Self::MalformedCredentials,
        Self::PermissionDenied,
        Self::Hidden,
        Self::MalformedRequest,
        Self::SchemaViolation,
        Self::UnsupportedMediaType,
        Self::UnsupportedContentEncoding,
        Self::NotAcceptable,
        Self::RouteNotFound,
        Self::UriTooLong,
        Self::MethodNotAllowed,
        Self::ContentTooLarge,
        Self::HeadersTooLarge,
        Self::RateLimited,
        Self::Overloaded,
        Self::CircuitOpen,
        Self::NotImplemented,
        Self::BadGateway,
        Self::DeadlineExceeded,
        Self::RequestTimeout,
        Self::IdempotencyKeyInvalid,
        Self::IdempotencyKeyInUse,
        Self::IdempotencyKeyReused,
        Self::PreconditionFailed,
        Self::PreconditionRequired,
        Self::VersionUnknown,
        Self::VersionNotAcceptable,
        Self::VersionUnsupported,
        Self::VersionRemoved,
        Self::DependencyUnavailable,
        Self::Internal,
    ];

    fn row(self) -> Row {
        use GrpcCode as G;
        let (status, grpc, code, title, detail) = match self {
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                G::Unauthenticated,
                "unauthenticated",
                "Authentication required",
                "This request needs valid credentials.",
            ),
            Self::MalformedCredentials => (
                StatusCode::BAD_REQUEST,
                G::Unauthenticated,
                "malformed_credentials",
                "Malformed credentials",
                "Send exactly one credential, in the form the challenge names.",
            ),
            Self::PermissionDenied => (
                StatusCode::FORBIDDEN,
                G::PermissionDenied,
                "permission_denied",
                "Permission denied",
                "The credentials are valid, and do not allow this request.",
            ),
            Self::Hidden => (StatusCode::NOT_FOUND, G::NotFound, "not_found", "Not found", NOT_FOUND),
            Self::MalformedRequest => (
                StatusCode::BAD_REQUEST,
                G::InvalidArgument,
                "malformed_request",
                "Malformed request",
                "The request does not parse.",
            ),
            Self::SchemaViolation => (
                StatusCode::UNPROCESSABLE_ENTITY,
                G::InvalidArgument,
                "schema_violation",
                "Schema violation",
                "The request parses, and does not match what this route accepts.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                G::Unimplemented,
                "unsupported_media_type",
                "Unsupported media type",
                "This route does not accept a body of this content type.",
            ),
            Self::UnsupportedContentEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                G::Unimplemented,
                "unsupported_content_encoding",
                "Unsupported content encoding",
                "This route does not accept a body of this content encoding.",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                G::InvalidArgument,
                "not_acceptable",
                "Not acceptable",
                "No representation of this resource is acceptable to the client.",
            ),
            Self::RouteNotFound => {
                (StatusCode::NOT_FOUND, G::Unimplemented, "not_found", "Not found", NOT_FOUND)
            }
            Self::UriTooLong => (
                StatusCode::URI_TOO_LONG,
                G::ResourceExhausted,
                "uri_too_long",
                "URI too long",
                "The request target is longer than this service accepts.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                G::Unimplemented,
                "method_not_allowed",
                "Method not allowed",
                "This route does not answer this method; see Allow.",
            ),
            Self::ContentTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                G::ResourceExhausted,
                "content_too_large",
                "Content too large",
                "The request body is larger than this route accepts.",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                G::ResourceExhausted,
                "headers_too_large",
                "Headers too large",
                "The request headers are larger than this service accepts.",
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                G::ResourceExhausted,
                "rate_limited",
                "Rate limit exceeded",
                "This caller is over its rate limit; wait as Retry-After says.",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                G::Unavailable,
                "overloaded",
                "Overloaded",
                "The service is shedding load; try again later.",
            ),
            Self::CircuitOpen => (
                StatusCode::SERVICE_UNAVAILABLE,
                G::Unavailable,
                "circuit_open",
                "Circuit open",
                "A service this one depends on is failing and is not being called; try again later.",
            ),
            Self::NotImplemented => (
                StatusCode::NOT_IMPLEMENTED,
                G::Unimplemented,
                "not_implemented",
                "Not implemented",
                "This service does not implement what the request asks for.",
            ),
            Self::BadGateway => (
                StatusCode::BAD_GATEWAY,
                G::Unavailable,
                "bad_gateway",
                "Bad gateway",
                "A service this one depends on answered wrongly.",
            ),
            Self::DeadlineExceeded => (
                StatusCode::GATEWAY_TIMEOUT,
                G::DeadlineExceeded,
                "deadline_exceeded",
                "Deadline exceeded",
                "The request did not finish in its time.",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                G::DeadlineExceeded,
                "request_timeout",
                "Request timeout",
                "The request body arrived too slowly.",
            ),
            Self::IdempotencyKeyInvalid => (
                StatusCode::BAD_REQUEST,
                G::InvalidArgument,
                "idempotency_key_invalid",
                "Idempotency key invalid",
                "This route needs one well-formed Idempotency-Key.",
            ),
            Self::IdempotencyKeyInUse => (
                StatusCode::CONFLICT,
                G::Aborted,
                "idempotency_key_in_use",
                "Idempotency key in use",
                "The first request with this Idempotency-Key is still running.",
            ),
            Self::IdempotencyKeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                G::FailedPrecondition,
                "idempotency_key_reused",
                "Idempotency key reused",
                "This Idempotency-Key was used with another payload.",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                G::FailedPrecondition,
                "precondition_failed",
                "Precondition failed",
                "A precondition of the request does not hold.",
            ),
            Self::PreconditionRequired => (
                StatusCode::PRECONDITION_REQUIRED,
                G::FailedPrecondition,
                "precondition_required",
                "Precondition required",
                "This route accepts conditional requests only.",
            ),
            Self::VersionUnknown => (
                StatusCode::BAD_REQUEST,
                G::Unimplemented,
                "version_unknown",
                "Version unknown",
                "This service does not know the requested version.",
            ),
            Self::VersionNotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                G::Unimplemented,
                "version_not_acceptable",
                "Version not acceptable",
                "This service cannot answer in the requested version.",
            ),
            Self::VersionUnsupported => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                G::Unimplemented,
                "version_unsupported",
                "Version unsupported",
                "This service does not accept a body of this version.",
            ),
            Self::VersionRemoved => (
                StatusCode::GONE,
                G::Unimplemented,
                "version_removed",
                "Version removed",
                "This version was removed.",
            ),
            Self::DependencyUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                G::Unavailable,
                "dependency_unavailable",
                "Dependency unavailable",
                "A part of this service is temporarily away; try again later.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                G::Internal,
                "internal",
                "Internal error",
                "The service failed; quote the request id when you report this.",
            ),
            Self::Status(status) => {
                let phrase = status.canonical_reason().unwrap_or("Error");
                (status, grpc_of_foreign(status), code_of_foreign(status), phrase, phrase)
            }
        };
        Row { status, grpc, code, title, detail }
    }

    /// The HTTP status of the refusal.
    pub fn status(self) -> StatusCode {
        self.row().status
    }

    /// The gRPC code of the refusal.
    pub fn grpc_code(self) -> GrpcCode {
        self.row().grpc
    }

    /// The stable machine-readable name, in snake case: `code` of the problem, and in upper case the `reason` of
    /// gRPC's `ErrorInfo`.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The title used once the service names problem types of its own; until then RFC 9457 section 4.2.1 wants
    /// the phrase of the status.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// The detail a refusal has when its layer gives none.
    pub fn default_detail(self) -> &'static str {
        self.row().detail
    }

    /// The reason that stands for an HTTP error status set by a foreign layer or handler.
    ///
    /// A status that is no error (below 400) maps to [`Reason::Internal`].
    pub fn from_status(status: StatusCode) -> Self {
        match status.as_u16() {
            ..400 => Self::Internal,
            401 => Self::Unauthenticated,
            400 => Self::MalformedRequest,
            403 => Self::PermissionDenied,
            404 => Self::RouteNotFound,
            405 => Self::MethodNotAllowed,
            406 => Self::NotAcceptable,
            408 => Self::RequestTimeout,
            412 => Self::PreconditionFailed,
            413 => Self::ContentTooLarge,
            414 => Self::UriTooLong,
            415 => Self::UnsupportedMediaType,
            422 => Self::SchemaViolation,
            428 => Self::PreconditionRequired,
            429 => Self::RateLimited,
            431 => Self::HeadersTooLarge,
            500 => Self::Internal,
            501 => Self::NotImplemented,
            502 => Self::BadGateway,
            503 => Self::Overloaded,
            504 => Self::DeadlineExceeded,
            _ => Self::Status(status),
        }
    }
}

const NOT_FOUND: &str = "There is nothing here.";

/// A snake-case name for the registered statuses that have no row of their own.
fn code_of_foreign(status: StatusCode) -> &'static str {
    match status.as_u16() {
        402 => "payment_required",
        407 => "proxy_authentication_required",
        409 => "conflict",
        410 => "gone",
        411 => "length_required",
        416 => "range_not_satisfiable",
        417 => "expectation_failed",
        421 => "misdirected_request",
        423 => "locked",
        424 => "failed_dependency",
        425 => "too_early",
        426 => "upgrade_required",
        451 => "unavailable_for_legal_reasons",
        505 => "http_version_not_supported",
        507 => "insufficient_storage",
        508 => "loop_detected",
        511 => "network_authentication_required",
        400..500 => "client_error",
        _ => "server_error",
    }
}

/// By the meaning that `google/rpc/code.proto` gives the codes; the protocol's own table is for clients only.
fn grpc_of_foreign(status: StatusCode) -> GrpcCode {
    match status.as_u16() {
        407 | 511 => GrpcCode::Unauthenticated,
        409 | 423 => GrpcCode::Aborted,
        416 => GrpcCode::OutOfRange,
        425 | 507 => GrpcCode::Unavailable,
        451 => GrpcCode::PermissionDenied,
        499 => GrpcCode::Cancelled,
        505 => GrpcCode::Unimplemented,
        400..500 => GrpcCode::FailedPrecondition,
        _ => GrpcCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_an_error_status_an_error_code_and_a_stable_name() {
        for reason in Reason::ALL {
            assert!(reason.status().is_client_error() || reason.status().is_server_error(), "{reason:?}");
            assert_ne!(reason.grpc_code(), GrpcCode::Ok, "{reason:?}");
            let code = reason.code();
            assert!((3..=63).contains(&code.len()), "{code}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn codes_are_unique_but_for_the_hidden_resource() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len() - 1);
        assert_eq!(Reason::Hidden.code(), Reason::RouteNotFound.code());
        assert_eq!(Reason::Hidden.default_detail(), Reason::RouteNotFound.default_detail());
        assert_ne!(Reason::Hidden.grpc_code(), Reason::RouteNotFound.grpc_code());
    }

    #[test]
    fn foreign_statuses_keep_their_status() {
        for code in 400..600 {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(Reason::from_status(status).status(), status);
        }
        assert_eq!(Reason::from_status(StatusCode::OK), Reason::Internal);
    }
}
