//! What no limit applies to.

use std::net::IpAddr;

use bartizan_core::{PathSet, RequestContext};
use http::{HeaderName, Method, header};
use ipnet::{IpNet, Ipv4Net};

use crate::{ConfigError, RequestHead};

/// Requests that pass without being counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exempt {
    preflights: bool,
    /// Headers with credentials besides [`CREDENTIALS`].
    credentials: Vec<HeaderName>,
    methods: Vec<Method>,
    paths: PathSet,
    networks: Vec<IpNet>,
}

impl Exempt {
    pub(crate) fn add_preflights(&mut self) {
        self.preflights = true;
    }

    pub(crate) fn add_credential_header(&mut self, name: HeaderName) {
        self.credentials.push(name);
    }

    pub(crate) fn add_methods(&mut self, methods: impl IntoIterator<Item = Method>) {
        self.methods.extend(methods);
    }

    pub(crate) fn add_paths<P: AsRef<str>>(
        &mut self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<(), ConfigError> {
        self.paths.add(paths).map_err(|error| ConfigError::new("exempt_paths", error.message()))
    }

    pub(crate) fn add_network(&mut self, text: &str) -> Result<(), ConfigError> {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let network = network
            .ok_or(ConfigError::new("allow_list", "must be addresses or networks, such as `10.0.0.0/8`"))?;
        self.networks.push(canonical(network));
        Ok(())
    }

    /// Whether nothing but a preflight can be exempt.
    pub(crate) fn has_no_lists(&self) -> bool {
        self.methods.is_empty() && self.paths.is_empty() && self.networks.is_empty()
    }

    /// Whether no limit applies to this request.
    #[inline]
    pub(crate) fn covers(&self, head: &RequestHead<'_>) -> bool {
        (*head.method() == Method::OPTIONS && self.preflights && self.is_preflight(head))
            || (!self.has_no_lists() && self.lists(head))
    }

    fn lists(&self, head: &RequestHead<'_>) -> bool {
        self.methods.contains(head.method())
            || self.paths.contains(head.uri().path())
            || head
                .context()
                .and_then(RequestContext::client_addr)
                .is_some_and(|addr| self.networks.iter().any(|network| network.contains(&addr.ip())))
    }

    /// What a browser asks before a request to another origin; a CORS layer answers it. With a credential, which no
    /// browser sends along (Fetch section 4.8), it is somebody who tries one where nobody counts.
    fn is_preflight(&self, head: &RequestHead<'_>) -> bool {
        let headers = head.headers();
        headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && !CREDENTIALS.iter().chain(&self.credentials).any(|name| headers.contains_key(name))
            && head.uri().query().is_none()
    }
}

/// Where requests carry credentials. A query may too.
const CREDENTIALS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-auth-token"),
];

/// A network of IPv4-mapped addresses is the IPv4 network (CLI-04).
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(addr) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(addr, prefix)
    {
        return IpNet::V4(v4);
    }
    network
}

#[cfg(test)]
mod tests {
    use bartizan_core::ClientAddr;
    use http::Request;

    use super::*;

    #[test]
    fn a_path_is_exempt_whatever_its_query() {
        let mut exempt = Exempt::default();
        exempt.add_paths(["/healthz"]).unwrap();
        let covers = |path: &str| exempt.covers(&RequestHead::of(&Request::get(path).body(()).unwrap()));
        assert!(covers("/healthz") && covers("/healthz?deep=1") && !covers("/healthz/x"));
    }

    #[test]
    fn lay_06_a_path_or_network_that_can_never_match_is_refused() {
        assert_eq!(Exempt::default().add_paths(["healthz"]).unwrap_err().field(), "exempt_paths");
        for network in ["", "10.0.0.0/33", "example.com", "10.0.0"] {
            assert_eq!(Exempt::default().add_network(network).unwrap_err().field(), "allow_list");
        }
    }

    #[test]
    fn cli_04_the_allow_list_knows_an_address_in_any_spelling() {
        let mut exempt = Exempt::default();
        for network in ["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8::/32", "203.0.113.9"] {
            exempt.add_network(network).unwrap();
        }
        let covers = |addr: &str| {
            let mut request = Request::new(());
            RequestContext::of(&mut request).set_client_addr(ClientAddr::new(addr.parse().unwrap()));
            exempt.covers(&RequestHead::of(&request))
        };
        for addr in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8:1::1", "203.0.113.9"] {
            assert!(covers(addr), "{addr}");
        }
        for addr in ["11.0.0.1", "192.0.3.1", "2001:db9::1", "203.0.113.8"] {
            assert!(!covers(addr), "{addr}");
        }
        assert!(!exempt.covers(&RequestHead::of(&Request::new(()))), "no address");
    }

    #[test]
    fn only_a_whole_preflight_is_one() {
        let request = |origin: bool, method: bool| {
            let mut request = Request::options("/");
            if origin {
                request = request.header("origin", "https://a.example");
            }
            if method {
                request = request.header("access-control-request-method", "PUT");
            }
            request.body(()).unwrap()
        };
        let mut exempt = Exempt::default();
        assert!(!exempt.covers(&RequestHead::of(&request(true, true))), "unless they are to pass");
        exempt.add_preflights();
        assert!(exempt.covers(&RequestHead::of(&request(true, true))));
        assert!(!exempt.covers(&RequestHead::of(&request(true, false))));
        assert!(!exempt.covers(&RequestHead::of(&request(false, true))));
        for name in &CREDENTIALS {
            let mut tried = request(true, true);
            tried.headers_mut().insert(name, "a guess".parse().unwrap());
            assert!(!exempt.covers(&RequestHead::of(&tried)), "{name}");
        }
        let mut tried = request(true, true);
        *tried.uri_mut() = "/?api_key=guess".parse().unwrap();
        assert!(!exempt.covers(&RequestHead::of(&tried)));
    }
}
