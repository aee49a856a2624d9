//! Addresses that must not be connected to on the word of a configuration, a document or a name server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a client may connect to. Decided over the resolved address, so that no name can lead elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    /// This machine.
    pub(super) loopback: bool,
    /// This network.
    pub(super) private: bool,
}

impl Targets {
    pub(super) fn permits(self, ip: IpAddr) -> bool {
        match reach(ip) {
            Reach::Public => true,
            Reach::Loopback => self.loopback,
            Reach::Private => self.private,
            Reach::Never => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Public,
    Loopback,
    Private,
    /// What no server has: link-local, where clouds tell their secrets; multicast; documentation; the reserved.
    Never,
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

/// By IANA's registry of special-purpose addresses (RFC 6890).
fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        [127, ..] => Reach::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Reach::Private,
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // Mapped, translated (RFC 6052), and 6to4 addresses lead to the IPv4 address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        // Everything that is assigned to be reached lies in here (RFC 4291 section 2.4).
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach_of(text: &str) -> Reach {
        reach(text.parse().unwrap())
    }

    #[test]
    fn jwk_01_addresses_that_are_not_public_are_told_apart() {
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert_eq!(reach_of(public), Reach::Public, "{public}");
        }
        for loopback in
            ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
        {
            assert_eq!(reach_of(loopback), Reach::Loopback, "{loopback}");
        }
        for private in ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(reach_of(private), Reach::Private, "{private}");
        }
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.1",
            "::",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:169.254.169.254",
            "2001::1",
            "::127.0.0.1",
        ] {
            assert_eq!(reach_of(never), Reach::Never, "{never}");
        }
    }

    #[test]
    fn jwk_01_nothing_opens_link_local_addresses() {
        let all = Targets { loopback: true, private: true };
        assert!(all.permits([10, 0, 0, 1].into()) && all.permits([127, 0, 0, 1].into()));
        assert!(!all.permits([169, 254, 169, 254].into()));
        assert!(!Targets::default().permits([127, 0, 0, 1].into()));
        assert!(!Targets::default().permits([10, 0, 0, 1].into()));
    }
}
