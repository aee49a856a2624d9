//! Whose word about the caller is taken.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::ConfigError;

/// The proxies in front of a service, whose word about the caller is taken.
///
/// Either they are known by address, or there is a fixed number of them. Everything further left in the header is
/// what the caller wrote, and is never believed.
///
/// ```
/// use bartizan_client_addr::{ConfigError, TrustedProxies};
///
/// TrustedProxies::networks(["10.0.0.0/8", "2001:db8:17::/48", "192.0.2.1"])?;
/// TrustedProxies::hops(2)?; // a CDN, then a load balancer
/// assert_eq!(TrustedProxies::networks(["0.0.0.0/0"]), Err(ConfigError::Everyone("0.0.0.0/0".into())));
/// # Ok::<_, ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TrustedProxies {
    trust: Trust,
    origin: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Trust {
    Networks(Box<[IpNet]>),
    Hops(u8),
}

impl TrustedProxies {
    /// The most hops that can be trusted by number: 32.
    pub const MAX_HOPS: u8 = 32;

    /// Proxies in these networks, written as CIDRs (`10.0.0.0/8`) or single addresses. Headers are read only
    /// where the peer is one of them. IPv4-mapped IPv6 is the IPv4 network.
    ///
    /// # Errors
    ///
    /// When the list is empty, when an entry is not a network, and when one is everyone (`0.0.0.0/0`, `::/0`).
    pub fn networks<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        let networks =
            networks.into_iter().map(|text| network(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if networks.is_empty() {
            return Err(ConfigError::NoProxies);
        }
        Ok(Self { trust: Trust::Networks(IpNet::aggregate(&networks).into()), origin: false })
    }

    /// This many proxies, whatever their addresses: each appends the address that its request came from, and the
    /// caller's is the `hops`-th from the right.
    ///
    /// Only right where nobody reaches the service past them: the peer is believed unseen, and also where it has
    /// no address (a Unix socket). Prefer [`networks`](Self::networks) where the addresses are known.
    ///
    /// # Errors
    ///
    /// When `hops` is zero or more than [`MAX_HOPS`](Self::MAX_HOPS).
    pub fn hops(hops: u8) -> Result<Self, ConfigError> {
        if (1..=Self::MAX_HOPS).contains(&hops) {
            Ok(Self { trust: Trust::Hops(hops), origin: false })
        } else {
            Err(ConfigError::Hops(hops))
        }
    }

    /// Believes the proxies about the scheme and host that the caller used, too: requests get a
    /// [`ForwardedOrigin`](crate::ForwardedOrigin) among their extensions where a proxy told one, and spans the
    /// scheme as their `url.scheme`. Default: no.
    ///
    /// Only right where the proxies set or remove these fields: many pass on what the caller wrote.
    pub fn with_origin(mut self) -> Self {
        self.origin = true;
        self
    }

    pub(crate) fn tell_origin(&self) -> bool {
        self.origin
    }

    /// Whether the hop at `addr`, `depth` hops from this service, is one of the proxies. The peer is at depth 0.
    pub(crate) fn trusts(&self, depth: usize, addr: Option<IpAddr>) -> bool {
        match &self.trust {
            Trust::Networks(networks) => addr.is_some_and(|addr| {
                let addr = addr.to_canonical();
                networks.iter().any(|network| network.contains(&addr))
            }),
            Trust::Hops(hops) => depth < usize::from(*hops),
        }
    }
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let network = text
        .parse()
        .or_else(|_| text.parse().map(|addr: IpAddr| IpNet::from(addr)))
        .map_err(|_| ConfigError::Network(text.to_owned()))?;
    let network = canonical(network).trunc();
    // Halves too: two of them are everyone, and no fleet of proxies is that large.
    if network.prefix_len() < 2 { Err(ConfigError::Everyone(text.to_owned())) } else { Ok(network) }
}

/// Peers are compared in canonical form, so a network of mapped addresses has to be in it too.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && v6.prefix_len() >= 96
        && let IpAddr::V4(addr) = IpAddr::V6(v6.addr()).to_canonical()
        && let Ok(v4) = Ipv4Net::new(addr, v6.prefix_len() - 96)
    {
        return v4.into();
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_01_a_proxy_is_known_in_any_spelling_of_its_address() {
        let proxies = ["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8::/32", "203.0.113.9", "172.16.9.9/12"];
        let proxies = TrustedProxies::networks(proxies).unwrap();
        let trusts = |addr: &str| proxies.trusts(0, Some(addr.parse().unwrap()));
        for addr in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8:1::1", "203.0.113.9", "172.31.0.1"]
        {
            assert!(trusts(addr), "{addr}");
        }
        for addr in ["11.0.0.1", "192.0.3.1", "2001:db9::1", "203.0.113.8", "172.32.0.1", "::a01:203"] {
            assert!(!trusts(addr), "{addr}");
        }
        assert!(!proxies.trusts(0, None), "who has no address is nobody's proxy");
    }

    #[test]
    fn cli_01_proxies_that_cannot_be_meant_fail_where_they_are_set() {
        assert_eq!(TrustedProxies::networks([""; 0]), Err(ConfigError::NoProxies));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "proxy.example", "10.0.0.1:80", "[::1]", " 10.0.0.1"] {
            let error = TrustedProxies::networks(["192.0.2.1", text]).unwrap_err();
            assert_eq!(error, ConfigError::Network(text.into()));
            assert!(error.to_string().starts_with("trusted_proxies: "), "{error}");
        }
        for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "128.0.0.0/1", "8000::/1"] {
            let error = TrustedProxies::networks([text]).unwrap_err();
            assert_eq!(error, ConfigError::Everyone(text.into()));
            assert_eq!(error.to_string(), format!("trusted_proxies: {text} is everyone"));
        }
        for hops in [0, 33, 255] {
            let error = TrustedProxies::hops(hops).unwrap_err();
            assert_eq!(error, ConfigError::Hops(hops));
            assert_eq!(error.to_string(), format!("hops: {hops} is not between 1 and 32"));
        }
        assert!(TrustedProxies::hops(1).is_ok() && TrustedProxies::hops(32).is_ok());
    }
}
