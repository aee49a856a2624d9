//! The client that fetches keys and tokens unless it is given another.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{
            HttpConnector,
            dns::{GaiResolver, Name},
        },
    },
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tower_service::Service;

use super::{endpoint::is_loopback, target::Targets};
use crate::{ConfigError, error::Part};

/// A small HTTP client: TLS by rustls, certificates by the roots that the operating system trusts, HTTP/1.1, a
/// new connection for each exchange. It follows no redirect, reads no proxy settings from the environment, and
/// connects to public addresses alone, whatever a name resolves to (JWK-01).
///
/// The roots are the system's, and not a list built in: that is where a company puts its own, and where they are
/// updated without a release.
///
/// Clones share the configuration.
#[derive(Clone)]
#[must_use = "a client does nothing until it is used"]
pub struct HttpsClient {
    roots: Arc<RootCertStore>,
    targets: Targets,
    loopback_http: bool,
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
}

impl HttpsClient {
    /// A client that trusts the roots of the operating system.
    ///
    /// # Errors
    ///
    /// When the system has none: images without a distribution often lack the package `ca-certificates`.
    pub fn new() -> Result<Self, HttpsClientError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::with_store(roots, HttpsClientError::NoRoots)
    }

    /// A client that trusts these roots and no others: certificates in PEM.
    ///
    /// # Errors
    ///
    /// When there is none in it, or one that cannot be read.
    pub fn with_only_roots(pem: &[u8]) -> Result<Self, HttpsClientError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| HttpsClientError::BadRoots)?;
            roots.add(certificate).map_err(|_| HttpsClientError::BadRoots)?;
        }
        Self::with_store(roots, HttpsClientError::BadRoots)
    }

    /// As builders want it.
    pub(crate) fn configured(loopback_http: bool) -> Result<Self, ConfigError> {
        let client = Self::new().map_err(|_| {
            ConfigError::new(
                Part::HttpsClient,
                "client",
                "finds no root certificates of the operating system",
            )
        })?;
        Ok(if loopback_http { client.with_insecure_loopback_http() } else { client })
    }

    fn with_store(roots: RootCertStore, if_empty: HttpsClientError) -> Result<Self, HttpsClientError> {
        if roots.is_empty() {
            return Err(if_empty);
        }
        let roots = Arc::new(roots);
        let client = connect(&roots, Targets::default(), false);
        Ok(Self { roots, targets: Targets::default(), loopback_http: false, client })
    }

    /// Connects to addresses of private networks and of this machine, too: for an identity provider inside. Whoever
    /// can change what a name resolves to, or the discovery document, then chooses among those. Default: public
    /// addresses alone. Link-local addresses stay closed.
    pub fn with_private_targets(mut self) -> Self {
        self.targets = Targets { loopback: true, private: true };
        self.reconnect()
    }

    /// Connects to this machine, and that without TLS: for development and tests. Default: https alone.
    pub fn with_insecure_loopback_http(mut self) -> Self {
        self.targets.loopback = true;
        self.loopback_http = true;
        self.reconnect()
    }

    fn reconnect(mut self) -> Self {
        self.client = connect(&self.roots, self.targets, self.loopback_http);
        self
    }

    fn check(&self, request: &Request<Full<Bytes>>) -> Result<(), HttpsClientError> {
        let host = request.uri().host().unwrap_or_default();
        // An address is not resolved, so the resolver does not see it.
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if bare.parse().is_ok_and(|ip: IpAddr| !self.targets.permits(ip)) {
            return Err(HttpsClientError::ForbiddenTarget);
        }
        let is_secure = request.uri().scheme_str() == Some("https");
        let is_allowed = is_secure || (self.loopback_http && is_loopback(host));
        if is_allowed { Ok(()) } else { Err(HttpsClientError::Insecure) }
    }
}

fn connect(
    roots: &Arc<RootCertStore>,
    targets: Targets,
    loopback_http: bool,
) -> Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>> {
    // Never the provider that the process may have installed: it may be none, or another.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions")
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(Resolver { gai: GaiResolver::new(), targets });
    http.enforce_http(false);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls);
    let https = if loopback_http { https.https_or_http() } else { https.https_only() };
    // The next exchange is minutes away. A connection kept until then is most often dead, and hides a changed name.
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(https.enable_http1().wrap_connector(http))
}

impl fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsClient")
            .field("roots", &self.roots.len())
            .field("private_targets", &self.targets.private)
            .field("insecure_loopback_http", &self.loopback_http)
            .finish_non_exhaustive()
    }
}

impl Service<Request<Full<Bytes>>> for HttpsClient {
    type Response = Response<Incoming>;
    type Error = HttpsClientError;
    type Future = HttpsClientFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpsClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> HttpsClientFuture {
        let exchange = self.check(&request).map(|()| self.client.request(request));
        HttpsClientFuture(Box::pin(async move {
            exchange?.await.map_err(|error| HttpsClientError::Exchange(error.into()))
        }))
    }
}

/// Response future of [`HttpsClient`].
#[must_use = "futures do nothing unless polled"]
pub struct HttpsClientFuture(
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, HttpsClientError>> + Send>>,
);

impl fmt::Debug for HttpsClientFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsClientFuture(..)")
    }
}

impl Future for HttpsClientFuture {
    type Output = Result<Response<Incoming>, HttpsClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// Resolves names, and hides that they have an address which must not be connected to: one is enough to refuse all.
#[derive(Clone)]
struct Resolver {
    gai: GaiResolver,
    targets: Targets,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.gai.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, targets) = (self.gai.call(name), self.targets);
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving.await?.collect();
            if found.iter().any(|address| !targets.permits(address.ip())) {
                return Err(HttpsClientError::ForbiddenTarget.into());
            }
            Ok(found.into_iter())
        })
    }
}

/// Why the client has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum HttpsClientError {
    /// The operating system has no root certificates.
    NoRoots,
    /// The root certificates cannot be read.
    BadRoots,
    /// The address is not one that the client may connect to.
    ForbiddenTarget,
    /// The address does not begin with `https`.
    Insecure,
    /// No connection, no TLS, or no HTTP.
    Exchange(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for HttpsClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoots => "the operating system has no root certificates",
            Self::BadRoots => "the root certificates cannot be read",
            Self::ForbiddenTarget => "the server has an address of a private network or of this machine",
            Self::Insecure => "the address is not an https address",
            Self::Exchange(_) => "the connection to the server failed",
        })
    }
}

impl Error for HttpsClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Exchange(error) => Some(&**error),
            _ => None,
        }
    }
}
