//! What a [`ClientAddrLayer`](crate::ClientAddrLayer) is told, checked.

use std::fmt;

/// What becomes of a request whose connection has no known address.
///
/// The server was put together wrongly, and only a request can show it. Whatever is chosen here, the fault is
/// reported once, with its fix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissingAddr {
    /// It goes on without an address. Limits by address count all such requests together, in one shared bucket:
    /// the service works, and is still protected. The default.
    #[default]
    SharedBucket,
    /// It is refused: 503 `dependency_unavailable`, for gRPC `UNAVAILABLE`. For services that must never act for
    /// a caller whose address they do not know.
    Refuse,
}

/// A setting of [`ClientAddrLayer`](crate::ClientAddrLayer) that can never work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// `ipv6_prefix` is not between 48 and 64.
    Ipv6Prefix(u8),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv6Prefix(prefix) => {
                write!(f, "ipv6_prefix: /{prefix} is not between /48 (a site) and /64 (a network)")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
