//! Tokens bound to the certificate of the TLS connection (RFC 8705 section 3).

use std::{fmt, net::IpAddr};

use bartizan_core::peer_addr;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, Request};
use ipnet::IpNet;
use sfv::{BareItem, Item, Parser};

use super::Thumbprint;
use crate::{ConfigError, Failure, JwtLayer, error::Part, key::sha256};

/// RFC 9440 section 2.
static CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
static CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The longest certificate that is read from a header, encoded.
const MAX_HEADER: usize = 16 * 1024;

/// The certificate that a client showed in the TLS handshake: what the code that accepts connections puts into the
/// extensions of their requests. It must have verified that the client holds the certificate's key, as every TLS
/// library does before it names a peer's certificate; by whom the certificate was issued does not matter to a token.
///
/// Hashed once, when it is made: make it once per connection, and clone it into each request.
///
/// ```
/// use bartizan_auth::ClientCertificate;
/// use http::Request;
///
/// # let der = vec![0x30, 0x00];
/// let certificate = ClientCertificate::from_der(der); // with rustls: `connection.peer_certificates()`, the first
/// let mut request = Request::new(());
/// request.extensions_mut().insert(certificate.clone());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    der: Bytes,
    thumbprint: Thumbprint,
}

impl ClientCertificate {
    /// The certificate in DER: that of the client itself, none of its chain.
    pub fn from_der(der: impl Into<Bytes>) -> Self {
        let der = der.into();
        Self { thumbprint: sha256(&der), der }
    }

    /// The certificate in DER.
    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// What a token bound to it has as `x5t#S256`: SHA-256 in base64url.
    pub fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.thumbprint)
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("thumbprint", &self.thumbprint()).finish_non_exhaustive()
    }
}

/// Where the certificates of clients come from, for [`JwtLayer::with_mtls`](crate::JwtLayer::with_mtls).
///
/// From a [`ClientCertificate`] among the extensions of the request or, with the feature `tonic-tls`, from what tonic's
/// TLS acceptor left there. A header `Client-Cert` (RFC 9440) is taken from
/// [trusted proxies](Self::with_trusted_proxies) alone, and removed from all other requests.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MutualTls {
    proxies: Box<[IpNet]>,
}

impl MutualTls {
    /// Certificates of connections that end here.
    pub fn new() -> Self {
        Self::default()
    }

    /// Proxies that end the TLS connections of clients, by network (`10.0.0.0/8`) or address. Of a request whose peer
    /// is one of them the header `Client-Cert` says the client's certificate, and nothing else does: the certificate
    /// of that connection, if it has one, is the proxy's. The proxy must remove what the client wrote under the name.
    ///
    /// # Errors
    ///
    /// When there is none, one is not a network, or is everyone (`0.0.0.0/0`, `::/0`).
    pub fn with_trusted_proxies<I>(mut self, networks: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let read = |(index, text): (usize, I::Item)| {
            let text = text.as_ref();
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.filter(|network| network.prefix_len() > 0).ok_or_else(|| {
                ConfigError::new(
                    Part::MutualTls,
                    format!("trusted_proxies[{index}]"),
                    "must be an address or a network, and not everyone",
                )
            })
        };
        let proxies = networks.into_iter().enumerate().map(read).collect::<Result<Box<[_]>, _>>()?;
        if proxies.is_empty() {
            return Err(ConfigError::new(Part::MutualTls, "trusted_proxies", "must name at least one proxy"));
        }
        self.proxies = proxies;
        Ok(self)
    }

    /// Only proxies may speak for a client.
    pub(crate) fn strip<B>(&self, request: &mut Request<B>) {
        if !self.is_from_proxy(request.extensions()) {
            request.headers_mut().remove(&CLIENT_CERT);
            request.headers_mut().remove(&CLIENT_CERT_CHAIN);
        }
    }

    /// Whether the client has the certificate of this thumbprint.
    pub(crate) fn check<B>(&self, request: &Request<B>, wanted: &Thumbprint) -> Result<(), Failure> {
        let shown = if self.is_from_proxy(request.extensions()) {
            of_header(request.headers())
        } else {
            of_connection(request.extensions())
        };
        match shown {
            Some(shown) if shown == *wanted => Ok(()),
            Some(_) => Err(Failure::WrongCertificate),
            None => Err(Failure::NoCertificate),
        }
    }

    fn is_from_proxy(&self, extensions: &Extensions) -> bool {
        let is_proxy =
            |addr: IpAddr| self.proxies.iter().any(|network| network.contains(&addr.to_canonical()));
        !self.proxies.is_empty() && peer_addr(extensions).is_some_and(is_proxy)
    }
}

/// One line, one byte sequence (RFC 9440 section 2.1).
fn of_header(headers: &HeaderMap) -> Option<Thumbprint> {
    let mut lines = headers.get_all(&CLIENT_CERT).iter();
    let line = lines.next().filter(|line| line.len() <= MAX_HEADER)?;
    if lines.next().is_some() {
        return None;
    }
    match Parser::new(line.as_bytes()).parse::<Item>().ok()?.bare_item {
        BareItem::ByteSequence(der) if !der.is_empty() => Some(sha256(&der)),
        _ => None,
    }
}

fn of_connection(extensions: &Extensions) -> Option<Thumbprint> {
    extensions
        .get::<ClientCertificate>()
        .map(|certificate| certificate.thumbprint)
        .or_else(|| of_tonic(extensions))
}

#[cfg(feature = "tonic-tls")]
fn of_tonic(extensions: &Extensions) -> Option<Thumbprint> {
    use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
    let certificates = extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?.peer_certs()?;
    // The client's own comes first (RFC 8446 section 4.4.2).
    certificates.first().map(|certificate| sha256(certificate))
}

#[cfg(not(feature = "tonic-tls"))]
fn of_tonic(_: &Extensions) -> Option<Thumbprint> {
    None
}

impl<K, C, P> JwtLayer<K, C, P> {
    /// Accepts tokens that are bound to a client's certificate (`cnf` with `x5t#S256`, RFC 8705) from whoever shows
    /// that certificate. Default: such a token is refused. Tokens that are not bound are accepted from everybody,
    /// unless [binding is required](Self::with_binding_required).
    pub fn with_mtls(mut self, mtls: MutualTls) -> Self {
        self.edit().possession.mtls = Some(mtls.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::insert_peer_addr;
    use http::HeaderValue;

    use super::*;

    fn header(value: &[u8]) -> Option<Thumbprint> {
        let mut headers = HeaderMap::new();
        headers.insert(&CLIENT_CERT, HeaderValue::from_bytes(value).ok()?);
        of_header(&headers)
    }

    #[test]
    fn pop_03_a_certificate_in_a_header_is_one_byte_sequence() {
        assert_eq!(header(b":AAEC:"), Some(sha256(&[0, 1, 2])));
        assert_eq!(header(b":AAEC:;a=1"), Some(sha256(&[0, 1, 2])), "parameters mean nothing yet");
        for value in [&b""[..], b"AAEC", b"::", b":AAEC", b"\"AAEC\"", b":AA=C:", b":AAEC:, :AAEC:", b":%%:"]
        {
            assert_eq!(header(value), None, "{value:?}");
        }
        assert_eq!(header(format!(":{}:", "A".repeat(MAX_HEADER)).as_bytes()), None);
    }

    #[test]
    fn pop_03_any_header_is_read_without_a_panic() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let _ = header(bytes);
            let encoded = format!(":{}:", base64::prelude::BASE64_STANDARD.encode(bytes));
            let expected = (!bytes.is_empty() && encoded.len() <= MAX_HEADER).then(|| sha256(bytes));
            assert_eq!(header(encoded.as_bytes()), expected);
        });
    }

    #[test]
    fn pop_03_a_proxy_is_known_by_its_address_however_it_is_written() {
        let mtls = MutualTls::new().with_trusted_proxies(["10.0.0.0/8", "2001:db8::1"]).unwrap();
        for (addr, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("2001:db8::1", true),
            ("11.1.2.3", false),
            ("2001:db8::2", false),
        ] {
            let mut extensions = Extensions::new();
            insert_peer_addr(&mut extensions, addr.parse().unwrap());
            assert_eq!(mtls.is_from_proxy(&extensions), expected, "{addr}");
            assert!(!MutualTls::new().is_from_proxy(&extensions));
        }
        assert!(!mtls.is_from_proxy(&Extensions::new()), "nobody is not a proxy");
    }
}
