//! The layer and its settings.

use std::sync::Arc;

use bartizan_core::{ClientAddr, Fault, ServerLayer, fact, phase};
use tower_layer::Layer;

use crate::{ClientAddrService, ConfigError, MissingAddr};

/// Notes where each request comes from, in the one form that limits and logs share.
///
/// See the [crate documentation](crate). Clones report a missing address once between them.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientAddrLayer {
    settings: Settings,
    fault: Arc<Fault>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) ipv6_prefix: u8,
    pub(crate) missing: MissingAddr,
}

impl ClientAddrLayer {
    /// The address of the peer, the other end of the connection. Headers are never read: behind a proxy it is
    /// the proxy's.
    pub fn peer() -> Self {
        Self {
            settings: Settings {
                ipv6_prefix: ClientAddr::DEFAULT_IPV6_PREFIX,
                missing: MissingAddr::default(),
            },
            fault: Arc::new(Fault::new("client_addr", "no request tells the address of its peer", FIX)),
        }
    }

    /// Counts native IPv6 addresses with the same first `prefix` bits as one caller. Default: 64.
    ///
    /// A provider gives a customer a network of /64 at least, often /56 and sometimes /48. A shorter prefix takes
    /// more of one customer's networks together, and more customers too.
    ///
    /// # Errors
    ///
    /// When `prefix` is not between 48 and 64.
    pub fn with_ipv6_prefix(mut self, prefix: u8) -> Result<Self, ConfigError> {
        if !(48..=64).contains(&prefix) {
            return Err(ConfigError::Ipv6Prefix(prefix));
        }
        self.settings.ipv6_prefix = prefix;
        Ok(self)
    }

    /// What becomes of a request without a peer address. Default: [`MissingAddr::SharedBucket`].
    pub fn with_missing(mut self, missing: MissingAddr) -> Self {
        self.settings.missing = missing;
        self
    }
}

const FIX: &str = "axum: serve with `into_make_service_with_connect_info::<SocketAddr>()` and enable the feature `axum`; \
     tonic: enable `tonic`, and `tonic-tls` under TLS; other servers: call `bartizan_core::insert_peer_addr`";

impl ServerLayer for ClientAddrLayer {
    type Phase = phase::Address;
    type Needs = ();
    type Provides = fact::ClientAddr;

    fn name(&self) -> &'static str {
        "client_addr"
    }
}

impl<S> Layer<S> for ClientAddrLayer {
    type Service = ClientAddrService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientAddrService::new(inner, self.settings, Arc::clone(&self.fault))
    }
}
