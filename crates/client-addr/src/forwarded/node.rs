//! How the two headers write an address.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str,
};

use super::list::trim;

/// An entry of `X-Forwarded-For`, which no standard describes: an address, with a port as some proxies write it,
/// IPv6 with or without brackets, a zone, or quotes around it all.
pub(super) fn x_forwarded_for(text: &[u8]) -> Option<IpAddr> {
    let text = match text {
        [b'"', inside @ .., b'"'] => trim(inside),
        bare => bare,
    };
    bare_v6(text).or_else(|| with_port(text, is_port))
}

/// The node of RFC 7239 section 6: IPv4, or IPv6 in brackets, with a port, which may be a name. `unknown` and names
/// (`_hidden`) are no addresses.
pub(super) fn forwarded(text: &[u8]) -> Option<IpAddr> {
    with_port(text, |port| is_port(port) || is_obfuscated(port))
}

fn with_port(text: &[u8], is_port: impl Fn(&[u8]) -> bool) -> Option<IpAddr> {
    let (addr, rest) = if let Some(inside) = text.strip_prefix(b"[") {
        let end = inside.iter().position(|byte| *byte == b']')?;
        (bare_v6(&inside[..end])?, &inside[end + 1..])
    } else {
        let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        (str::from_utf8(&text[..end]).ok()?.parse::<Ipv4Addr>().ok()?.into(), &text[end..])
    };
    (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port)).then_some(addr)
}

/// Without its zone, which means something on the hop's own links only: RFC 4007 section 11.
fn bare_v6(text: &[u8]) -> Option<IpAddr> {
    let end = text.iter().position(|byte| *byte == b'%').unwrap_or(text.len());
    let (addr, zone) = text.split_at(end);
    let zone_is_sane = zone.is_empty() || (zone.len() > 1 && zone[1..].iter().all(|byte| is_name(*byte)));
    if !zone_is_sane {
        return None;
    }
    str::from_utf8(addr).ok()?.parse::<Ipv6Addr>().ok().map(|addr| IpAddr::V6(addr).to_canonical())
}

fn is_port(text: &[u8]) -> bool {
    matches!(text.len(), 1..=5)
        && text.iter().all(u8::is_ascii_digit)
        && text.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65_535
}

/// RFC 7239 section 6.3.
fn is_obfuscated(text: &[u8]) -> bool {
    matches!(text, [b'_', name @ ..] if !name.is_empty() && name.iter().all(|byte| is_name(*byte)))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEITHER: [&str; 22] = [
        "",
        "unknown",
        "_hidden",
        "_SEVKISEK",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.07",
        "0xc0.0.2.7",
        "3221225991",
        "192.0.2.7:",
        "192.0.2.7:x",
        "192.0.2.7:65536",
        "192.0.2.7:000080",
        "192.0.2.7 ",
        "192.0.2.7%eth0",
        "[192.0.2.7]",
        "[2001:db8::1",
        "[2001:db8::1]80",
        "[2001:db8::1]:",
        "[fe80::1%]",
        "[fe80::1%a b]",
    ];

    #[test]
    fn cli_04_port_and_zone_are_gone_from_x_forwarded_for() {
        for (text, addr) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::1:80", "2001:db8::1:80"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25]:80", "fe80::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:c000:207]:1", "192.0.2.7"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("\" 192.0.2.7 \"", "192.0.2.7"),
        ] {
            assert_eq!(x_forwarded_for(text.as_bytes()), Some(addr.parse().unwrap()), "{text}");
        }
        for text in NEITHER.into_iter().chain(["192.0.2.7:_p", "\"", "\"192.0.2.7", "\"\"192.0.2.7\"\""]) {
            assert_eq!(x_forwarded_for(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn cli_03_a_node_is_ipv4_or_ipv6_in_brackets() {
        for (text, addr) in [
            ("192.0.2.43", "192.0.2.43"),
            ("192.0.2.43:47011", "192.0.2.43"),
            ("192.0.2.43:_port", "192.0.2.43"),
            ("[2001:db8:cafe::17]", "2001:db8:cafe::17"),
            ("[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"),
            ("[::ffff:192.0.2.7]:_a.b-c", "192.0.2.7"),
        ] {
            assert_eq!(forwarded(text.as_bytes()), Some(addr.parse().unwrap()), "{text}");
        }
        let only_here = ["2001:db8::1", "unknown:80", "_a:80", "192.0.2.7:_", "192.0.2.7:_a b"];
        for text in NEITHER.into_iter().chain(only_here) {
            assert_eq!(forwarded(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn cli_04_every_address_is_read_back_in_every_spelling() {
        bolero::check!().with_type::<(u128, bool, u16)>().for_each(|(bits, v4, port)| {
            let addr = if *v4 {
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap()))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits(*bits))
            };
            let bracketed = if *v4 { addr.to_string() } else { format!("[{addr}]") };
            let expected = Some(addr.to_canonical());
            assert_eq!(x_forwarded_for(addr.to_string().as_bytes()), expected);
            for text in [bracketed.clone(), format!("{bracketed}:{port}")] {
                assert_eq!(x_forwarded_for(text.as_bytes()), expected, "{text}");
                assert_eq!(forwarded(text.as_bytes()), expected, "{text}");
            }
        });
    }

    #[test]
    fn cli_02_what_is_read_is_canonical_whatever_the_bytes() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let strict = forwarded(bytes);
            let lenient = x_forwarded_for(bytes);
            for addr in [strict, lenient].into_iter().flatten() {
                assert_eq!(addr, addr.to_canonical());
            }
            if let (Some(strict), Some(lenient)) = (strict, lenient) {
                assert_eq!(strict, lenient, "two readings of one text");
            }
        });
    }
}
