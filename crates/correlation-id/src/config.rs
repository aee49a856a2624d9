//! Settings that the layers share, and what can be wrong with one.

use std::fmt;

use http::HeaderName;

/// Whether what comes in with a request is believed: its ids, its trace, its baggage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// Callers are our own services: a valid id is taken as it is, and a valid trace goes on. The default.
    #[default]
    Internal,
    /// Callers are anyone: every id is replaced. What the caller sent is kept in the wide event, escaped and cut
    /// to 128 bytes, as `correlation_id.original_request_id` and `correlation_id.original_correlation_id`. Every
    /// trace is restarted; the caller's is kept as `trace_context.original_parent`. Baggage is dropped.
    Edge,
}

/// A setting of one of the layers that can never work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no header name, or the name of a header that already means something else to HTTP or gRPC.
    HeaderName {
        /// Which name: `request_id_header` or `correlation_id_header`.
        field: &'static str,
        /// What was given.
        name: String,
    },
    /// Both ids have the same header.
    SameHeader(HeaderName),
    /// The list of authorities is empty: nothing would be sent anywhere.
    NoAuthority,
    /// The text is neither `host` nor `host:port`.
    Authority(String),
    /// The text is not a token, and so the key of no baggage member.
    BaggageKey(String),
    /// The two texts make no entry of a `tracestate`, or one of more than 128 characters.
    StateEntry {
        /// The key that was given.
        key: String,
        /// The value that was given.
        value: String,
    },
    /// The share of traces that are sampled is not between 0 and 1.
    SampledShare,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderName { field, name } => {
                write!(f, "{field}: {name:?} cannot be the name of a header that carries an id")
            }
            Self::SameHeader(name) => {
                write!(f, "correlation_id_header: `{name}` is the header of the request id already")
            }
            Self::NoAuthority => f.write_str("authorities: the list is empty"),
            Self::Authority(text) => write!(f, "authorities: {text:?} is neither `host` nor `host:port`"),
            Self::BaggageKey(text) => write!(f, "baggage: {text:?} cannot be the key of a member"),
            Self::StateEntry { key, value } => {
                write!(f, "state_entry: {key:?} and {value:?} make no entry of up to 128 characters")
            }
            Self::SampledShare => f.write_str("sampled_share: the share is not between 0 and 1"),
        }
    }
}

impl std::error::Error for ConfigError {}
