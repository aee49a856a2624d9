//! What a policy may decide.

use std::{fmt, time::Duration};

/// What is done about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The caller gets it: a success, or a failure that no other attempt would help.
    Return,
    /// The caller gets it, although another attempt might help: counted with the reason.
    Skip(SkipReason),
    /// It is tried again.
    Retry(Again),
}

/// Another attempt, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Again {
    pub(crate) reason: RetryReason,
    pub(crate) wait: Wait,
    pub(crate) once: bool,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Backoff,
    AtLeast(Duration),
    Exactly(Duration),
}

impl Again {
    /// Another attempt, after the wait that the layer's [`Backoff`](crate::Backoff) says.
    pub fn new(reason: RetryReason) -> Self {
        Self { reason, wait: Wait::Backoff, once: false }
    }

    /// After this, and the random wait of the backoff on top, so that those who were told the same do not come back at
    /// the same time.
    pub fn at_least(self, wait: Duration) -> Self {
        Self { wait: Wait::AtLeast(wait), ..self }
    }

    /// After exactly this. The backoff begins anew, as gRPC's pushback wants it.
    pub fn exactly(self, wait: Duration) -> Self {
        Self { wait: Wait::Exactly(wait), ..self }
    }

    /// No more than once in a call for this reason.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of their numbers.
            #[cfg_attr(not(any(feature = "metrics", test)), expect(dead_code))]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in metrics and in the wide event.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

labels! {
    /// Why an attempt is made again.
    RetryReason {
        /// No connection was made.
        Connect = "connect",
        /// The server did not process the request: HTTP/2's REFUSED_STREAM, or a GOAWAY that does not cover it.
        NotProcessed = "not_processed",
        /// 421: the connection was not one for this host (RFC 9110 section 15.5.20).
        Misdirected = "misdirected",
        /// 425: the server does not want to process what may be a replay (RFC 8470).
        TooEarly = "too_early",
        /// The HTTP status.
        Status = "status",
        /// The gRPC status.
        GrpcStatus = "grpc_status",
        /// The connection failed.
        Transport = "transport",
        /// An attempt took too long.
        Timeout = "timeout",
        /// A policy of your own wants it.
        Policy = "policy",
    }
}

labels! {
    /// Why an attempt that failed is not made again.
    SkipReason {
        /// The request may have been processed, and must not be twice.
        NotIdempotent = "not_idempotent",
        /// All attempts are made.
        Attempts = "attempts",
        /// The budget does not cover it.
        Budget = "budget",
        /// Too little time is left.
        Deadline = "deadline",
        /// `Retry-After` asks for too long a wait.
        RetryAfter = "retry_after",
        /// gRPC's pushback says no, or asks for too long a wait.
        Pushback = "pushback",
        /// More of the request body was read than is kept.
        BodyTooLarge = "body_too_large",
        /// The request body itself failed.
        BodyFailed = "body_failed",
        /// The call is a retry already, of those who asked us.
        AlreadyRetry = "already_retry",
        /// A layer of ours refused, on this side.
        LocalRejection = "local_rejection",
        /// A policy of your own says so.
        Policy = "policy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_shown_by_their_names_in_metrics() {
        assert!(RetryReason::ALL.iter().all(|reason| reason.to_string() == reason.as_str()));
        assert!(SkipReason::ALL.iter().all(|reason| reason.to_string() == reason.as_str()));
    }
}
