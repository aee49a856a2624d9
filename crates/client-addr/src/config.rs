//! What a [`ClientAddrLayer`](crate::ClientAddrLayer) is told, checked.

use std::fmt;

use crate::TrustedProxies;

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
    /// `trusted_proxies` is empty: nobody would be believed.
    NoProxies,
    /// This text in `trusted_proxies` is neither an address nor a network.
    Network(String),
    /// This network in `trusted_proxies` is every address there is: any caller could then say who it is.
    Everyone(String),
    /// `hops` is zero, or more than [`TrustedProxies::MAX_HOPS`](crate::TrustedProxies::MAX_HOPS).
    Hops(u8),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv6Prefix(prefix) => {
                write!(f, "ipv6_prefix: /{prefix} is not between /48 (a site) and /64 (a network)")
            }
            Self::NoProxies => f.write_str("trusted_proxies: the list is empty"),
            Self::Network(text) => {
                write!(f, "trusted_proxies: {text:?} is neither an address nor a network such as 10.0.0.0/8")
            }
            Self::Everyone(text) => write!(f, "trusted_proxies: {text} is everyone"),
            Self::Hops(hops) => {
                write!(f, "hops: {hops} is not between 1 and {}", TrustedProxies::MAX_HOPS)
            }
        }
    }
}

impl std::error::Error for ConfigError {}
