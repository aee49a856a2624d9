use std::fmt;

use http::{HeaderMap, HeaderValue, StatusCode};

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "the names and their meaning are gRPC's: https://grpc.io/docs/guides/status-codes/"
)]
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    const ALL: [(Self, &'static str, &'static str); 17] = [
        (Self::Ok, "OK", "0"),
        (Self::Cancelled, "CANCELLED", "1"),
        (Self::Unknown, "UNKNOWN", "2"),
        (Self::InvalidArgument, "INVALID_ARGUMENT", "3"),
        (Self::DeadlineExceeded, "DEADLINE_EXCEEDED", "4"),
        (Self::NotFound, "NOT_FOUND", "5"),
        (Self::AlreadyExists, "ALREADY_EXISTS", "6"),
        (Self::PermissionDenied, "PERMISSION_DENIED", "7"),
        (Self::ResourceExhausted, "RESOURCE_EXHAUSTED", "8"),
        (Self::FailedPrecondition, "FAILED_PRECONDITION", "9"),
        (Self::Aborted, "ABORTED", "10"),
        (Self::OutOfRange, "OUT_OF_RANGE", "11"),
        (Self::Unimplemented, "UNIMPLEMENTED", "12"),
        (Self::Internal, "INTERNAL", "13"),
        (Self::Unavailable, "UNAVAILABLE", "14"),
        (Self::DataLoss, "DATA_LOSS", "15"),
        (Self::Unauthenticated, "UNAUTHENTICATED", "16"),
    ];

    /// The name, as logs and metrics write it: `NOT_FOUND`.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The number, as the wire carries it.
    pub fn number(self) -> i32 {
        i32::from(self as u8)
    }

    /// The value of the `grpc-status` field.
    pub fn to_header(self) -> HeaderValue {
        HeaderValue::from_static(Self::ALL[self as usize].2)
    }

    /// The value of a `grpc-status` field: decimal, no leading zeros. Anything else is `UNKNOWN`.
    pub fn from_header(value: &HeaderValue) -> Self {
        Self::from_bytes(value.as_bytes())
    }

    pub(crate) fn from_bytes(value: &[u8]) -> Self {
        let number = match value {
            [d @ b'0'..=b'9'] => d - b'0',
            [b'1', d @ b'0'..=b'6'] => 10 + (d - b'0'),
            _ => return Self::Unknown,
        };
        Self::ALL.get(usize::from(number)).map_or(Self::Unknown, |(code, ..)| *code)
    }

    /// The status that headers or trailers carry, if they carry one.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        headers.get("grpc-status").map(Self::from_header)
    }

    /// What the HTTP status of an answer stands for that has no `grpc-status`: a proxy's, and no gRPC server's.
    ///
    /// For clients alone, as gRPC's [mapping of HTTP statuses] says: a server must not use it.
    ///
    /// [mapping of HTTP statuses]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
    pub fn of_http_status(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 431 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// Whether the code tells of a failure of the server rather than of the call: `UNKNOWN`,
    /// `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS`, as OpenTelemetry's
    /// conventions for server spans have it.
    pub fn is_server_error(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::DeadlineExceeded
                | Self::Unimplemented
                | Self::Internal
                | Self::Unavailable
                | Self::DataLoss
        )
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_03_status_is_decimal_without_leading_zeros() {
        for (index, (code, name, digits)) in GrpcCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
            assert_eq!(code.to_header(), index.to_string());
            assert_eq!(digits, index.to_string());
            assert_eq!(code.as_str(), name);
            assert_eq!(GrpcCode::from_header(&code.to_header()), code);
        }
        for bad in ["", "00", "01", "17", "160", "-1", " 1", "1 ", "x", "OK"] {
            assert_eq!(GrpcCode::from_header(&HeaderValue::from_static(bad)), GrpcCode::Unknown, "{bad}");
        }
    }
}
