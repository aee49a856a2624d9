//! What a reset HTTP/2 stream means for the gRPC call on it.

use super::GrpcCode;

impl GrpcCode {
    /// The status of a call whose HTTP/2 stream was reset with this error code (RFC 9113 section 7) before it had a
    /// status, as [gRPC's protocol] maps them.
    ///
    /// `REFUSED_STREAM` is `UNAVAILABLE`, and the call was surely not processed; `CANCEL` is `CANCELLED`,
    /// `ENHANCE_YOUR_CALM` `RESOURCE_EXHAUSTED`, `INADEQUATE_SECURITY` `PERMISSION_DENIED`, and the rest `INTERNAL`.
    ///
    /// ```
    /// use bartizan_core::GrpcCode;
    ///
    /// assert_eq!(GrpcCode::from_reset(0x7), GrpcCode::Unavailable);
    /// assert_eq!(GrpcCode::from_reset(0x1), GrpcCode::Internal);
    /// ```
    ///
    /// [gRPC's protocol]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
    pub fn from_reset(error_code: u32) -> Self {
        match error_code {
            0x7 => Self::Unavailable,
            0x8 => Self::Cancelled,
            0xb => Self::ResourceExhausted,
            0xc => Self::PermissionDenied,
            _ => Self::Internal,
        }
    }

    /// The same for the error of a client or a body, if a reset stream is what caused it: hyper's errors, and those
    /// that hold one of h2's at any depth.
    #[cfg(feature = "h2")]
    pub fn from_reset_error(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        /// Deeper than any chain of causes, should one lead back to itself.
        const DEEPEST: usize = 32;
        std::iter::successors(Some(error), |error| error.source())
            .take(DEEPEST)
            .find_map(|error| error.downcast_ref::<h2::Error>().filter(|error| error.is_reset())?.reason())
            .map(|reason| Self::from_reset(reason.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_11_a_reset_stream_has_the_status_that_the_protocol_gives_it() {
        let expected = |error_code| match error_code {
            // REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY.
            7 => GrpcCode::Unavailable,
            8 => GrpcCode::Cancelled,
            11 => GrpcCode::ResourceExhausted,
            12 => GrpcCode::PermissionDenied,
            _ => GrpcCode::Internal,
        };
        for error_code in (0..=20).chain([u32::MAX]) {
            assert_eq!(GrpcCode::from_reset(error_code), expected(error_code), "{error_code}");
        }
    }

    #[cfg(feature = "h2")]
    #[test]
    fn grpc_11_a_reset_is_found_among_the_causes_of_an_error() {
        #[derive(Debug)]
        struct Outer(h2::Error);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the call failed")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        // An error of h2 that is no reset, and one that is of another kind altogether.
        let reason = Outer(h2::Reason::CANCEL.into());
        assert_eq!(GrpcCode::from_reset_error(&reason), None);
        assert_eq!(GrpcCode::from_reset_error(&std::fmt::Error), None);
    }
}
