use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Where a request came from, in the one form that limits and logs share.
///
/// An IPv4-mapped IPv6 address in any spelling is the IPv4 address. Port and zone are gone. For keys, a native
/// IPv6 address is masked to the prefix its network gives one customer, /64 by default: without that, one user
/// owns 2^64 keys.
///
/// ```
/// use bartizan_core::ClientAddr;
///
/// let mapped = ClientAddr::new("::ffff:192.0.2.7".parse().unwrap());
/// assert_eq!(mapped.to_string(), "192.0.2.7");
/// let native = ClientAddr::new("2001:db8:1:2:3:4:5:6".parse().unwrap());
/// assert_eq!(native.key().to_string(), "2001:db8:1:2::");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr {
    ip: IpAddr,
    ipv6_prefix: u8,
}

impl ClientAddr {
    /// The prefix that one caller usually has: /64.
    pub const DEFAULT_IPV6_PREFIX: u8 = 64;

    /// The canonical form of `ip`, with keys by /64.
    pub fn new(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), ipv6_prefix: Self::DEFAULT_IPV6_PREFIX }
    }

    /// Masks keys of native IPv6 addresses to this prefix length instead; more than 128 is 128.
    #[must_use]
    pub fn with_ipv6_prefix(mut self, prefix: u8) -> Self {
        self.ipv6_prefix = prefix.min(128);
        self
    }

    /// The whole address, for logs.
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// The address that stands for the caller, for limits.
    pub fn key(self) -> IpAddr {
        match self.ip {
            IpAddr::V4(_) => self.ip,
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.ipv6_prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
        }
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_04_one_caller_has_one_key() {
        for (text, ip, key) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("::ffff:c000:207", "192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::"),
            ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::"),
        ] {
            let addr = ClientAddr::new(text.parse().unwrap());
            assert_eq!((addr.ip().to_string(), addr.key().to_string()), (ip.into(), key.into()), "{text}");
        }
        let addr = ClientAddr::new("2001:db8:1:2:3::".parse().unwrap());
        for (prefix, key) in
            [(48, "2001:db8:1::"), (0, "::"), (128, "2001:db8:1:2:3::"), (255, "2001:db8:1:2:3::")]
        {
            assert_eq!(addr.with_ipv6_prefix(prefix).key().to_string(), key);
        }
    }
}
