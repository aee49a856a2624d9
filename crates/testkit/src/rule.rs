//! What a failure says: the rule that was broken, then what was seen.

use std::fmt;

/// A rule of the contract. Those with an identifier are written down in the project's `docs/rules.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What the author of the test said of the layer does not hold.
    Setup,
    /// `poll_ready` of the inner service is respected.
    Readiness,
    /// Everything is released when a request ends, however it ends.
    Release,
    /// A request ends when its response body ends.
    Settled,
    /// Bodies pass frame by frame.
    Bodies,
    /// Trailers pass.
    Trailers,
    /// A problem is a JSON object under its own media type.
    Problem,
    /// The status of a problem is the status of its response.
    Status,
    /// The extensions that every problem has.
    Members,
    /// Refusals are neither stored nor sniffed.
    Headers,
    /// The answer to HEAD has no body.
    Head,
    /// Refusals come before the request body is polled.
    Early,
    /// gRPC refusals are Trailers-Only.
    TrailersOnly,
    /// Binary metadata is unpadded, and agrees with the status.
    Details,
    /// Metadata fits what clients accept.
    MetadataSize,
    /// gRPC-Web refusals keep the request's content type.
    GrpcWeb,
    /// Every 401 has a challenge.
    Challenge,
    /// State belongs to the layer value.
    SharedState,
    /// What others put into requests and responses survives.
    Extensions,
    /// The error of the inner service passes.
    Errors,
    /// A refusal names its reason, and what goes with it.
    Refusal,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "contract set-up",
            Self::Readiness => "LAY-03",
            Self::Release => "LAY-01",
            Self::Settled => "LAY-02",
            Self::Bodies => "LAY-04",
            Self::Trailers => "GRPC-12",
            Self::Problem => "ERR-01",
            Self::Status => "ERR-02",
            Self::Members => "ERR-06",
            Self::Headers => "ERR-09",
            Self::Head => "ERR-10",
            Self::Early => "ERR-11",
            Self::TrailersOnly => "GRPC-02",
            Self::Details => "GRPC-05",
            Self::MetadataSize => "GRPC-07",
            Self::GrpcWeb => "GRPC-14",
            Self::Challenge => "AUT-01",
            Self::SharedState => "shared state",
            Self::Extensions => "extensions",
            Self::Errors => "errors",
            Self::Refusal => "refusal",
        })
    }
}

/// Ends the suite: `rule` is broken.
#[track_caller]
pub(crate) fn broken(rule: Rule, seen: fmt::Arguments<'_>) -> ! {
    panic!("{rule}: {seen}")
}

/// Ends the suite with the rule and what was seen, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $rule:ident, $($seen:tt)+) => {
        if !$condition {
            $crate::rule::broken($crate::rule::Rule::$rule, format_args!($($seen)+));
        }
    };
}

/// Ends the suite with the rule and what was seen.
macro_rules! fail {
    ($rule:ident, $($seen:tt)+) => {
        $crate::rule::broken($crate::rule::Rule::$rule, format_args!($($seen)+))
    };
}

pub(crate) use {ensure, fail};
