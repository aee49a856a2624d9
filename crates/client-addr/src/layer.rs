//! The layer and its settings.

use std::{any::type_name, fmt, net::IpAddr, sync::Arc};

use bartizan_core::{ClientAddr, Fault, ServerLayer, fact, peer_addr, phase};
use http::Extensions;
use tower_layer::Layer;

use crate::{ClientAddrService, ConfigError, ForwardedHeader, MissingAddr, TrustedProxies};

/// Notes where each request comes from, in the one form that limits and logs share.
///
/// See the [crate documentation](crate). Clones report a missing address once between them.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientAddrLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) forwarded: Option<(TrustedProxies, ForwardedHeader)>,
    peer: Option<PeerFrom>,
    pub(crate) ipv6_prefix: u8,
    pub(crate) missing: MissingAddr,
    pub(crate) fault: Arc<Fault>,
}

type PeerFrom = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

impl ClientAddrLayer {
    /// The address of the peer, the other end of the connection. Headers are never read: behind a proxy it is
    /// the proxy's.
    pub fn peer() -> Self {
        Self::new(None)
    }

    /// The address that trusted proxies tell in `header`: the first from the right that is not a proxy's own. Where
    /// the peer is not a proxy, its own address.
    ///
    /// ```
    /// use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, TrustedProxies};
    ///
    /// let proxies = TrustedProxies::networks(["10.0.0.0/8"])?;
    /// let layer = ClientAddrLayer::behind(proxies, ForwardedHeader::XForwardedFor);
    /// # Ok::<_, bartizan_client_addr::ConfigError>(())
    /// ```
    pub fn behind(proxies: TrustedProxies, header: ForwardedHeader) -> Self {
        Self::new(Some((proxies, header)))
    }

    fn new(forwarded: Option<(TrustedProxies, ForwardedHeader)>) -> Self {
        Self {
            settings: Arc::new(Settings {
                forwarded,
                peer: None,
                ipv6_prefix: ClientAddr::DEFAULT_IPV6_PREFIX,
                missing: MissingAddr::default(),
                fault: Arc::new(Fault::new("client_addr", "no request tells the address of its peer", FIX)),
            }),
        }
    }

    /// Takes the peer's address from the request extension `T`, and from nowhere else: for servers of one's own,
    /// and for connections behind the PROXY protocol. Default: what axum, tonic or
    /// [`insert_peer_addr`](bartizan_core::insert_peer_addr) left.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// # use bartizan_client_addr::ClientAddrLayer;
    ///
    /// #[derive(Clone)]
    /// struct Accepted { from: Option<SocketAddr> }
    ///
    /// let layer = ClientAddrLayer::peer().with_peer_from(|accepted: &Accepted| Some(accepted.from?.ip()));
    /// ```
    pub fn with_peer_from<T>(mut self, read: impl Fn(&T) -> Option<IpAddr> + Send + Sync + 'static) -> Self
    where
        T: Send + Sync + 'static,
    {
        let settings = Arc::make_mut(&mut self.settings);
        settings.peer = Some(Arc::new(move |extensions| read(extensions.get()?)));
        let what =
            format!("no request tells the address of its peer in the extension `{}`", type_name::<T>());
        settings.fault = Arc::new(Fault::named("client_addr", what, FIX_EXTENSION));
        self
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
        Arc::make_mut(&mut self.settings).ipv6_prefix = prefix;
        Ok(self)
    }

    /// What becomes of a request without an address. Default: [`MissingAddr::SharedBucket`].
    pub fn with_missing(mut self, missing: MissingAddr) -> Self {
        Arc::make_mut(&mut self.settings).missing = missing;
        self
    }
}

const FIX: &str = "axum: serve with `into_make_service_with_connect_info::<SocketAddr>()` and enable the feature `axum`; \
     tonic: enable `tonic`, and `tonic-tls` under TLS; other servers: call `bartizan_core::insert_peer_addr`, or \
     name an extension with `with_peer_from`";

const FIX_EXTENSION: &str =
    "let the server insert that extension, with an address, into every request it accepts";

impl Settings {
    /// The address of the connection's other end.
    pub(crate) fn peer(&self, extensions: &Extensions) -> Option<IpAddr> {
        match &self.peer {
            Some(read) => read(extensions),
            None => peer_addr(extensions),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("forwarded", &self.forwarded)
            .field("ipv6_prefix", &self.ipv6_prefix)
            .field("missing", &self.missing)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

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
        ClientAddrService::new(inner, Arc::clone(&self.settings))
    }
}
