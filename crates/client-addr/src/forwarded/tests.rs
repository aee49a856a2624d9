use http::HeaderValue;

use super::*;

/// Two proxies at 10.0.0.0/8, and one with IPv6.
fn proxies() -> TrustedProxies {
    TrustedProxies::networks(["10.0.0.0/8", "2001:db8:a::/48"]).unwrap()
}

fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
}

fn walk(
    header: ForwardedHeader,
    proxies: &TrustedProxies,
    peer: &str,
    lines: &[&str],
) -> (Option<String>, usize) {
    let headers = headers(&header.name(), lines);
    let found = header.walk(proxies, peer.parse().ok(), &headers);
    (found.addr.map(|addr| addr.to_string()), found.depth)
}

#[test]
fn cli_02_the_walk_goes_from_the_right_to_the_first_address_not_trusted() {
    for (peer, lines, addr, depth) in [
        ("10.0.0.1", &["192.0.2.7"][..], "192.0.2.7", 1),
        ("10.0.0.1", &["203.0.113.9, 192.0.2.7"], "192.0.2.7", 1),
        ("10.0.0.1", &["203.0.113.9, 192.0.2.7, 10.0.0.2"], "192.0.2.7", 2),
        ("10.0.0.1", &["203.0.113.9", "192.0.2.7,10.0.0.3", "10.0.0.2"], "192.0.2.7", 3),
        ("10.0.0.1", &["192.0.2.7, [2001:db8:a::1]:80, ::ffff:10.0.0.2"], "192.0.2.7", 3),
        ("2001:db8:a::9", &["2001:db8:b::7"], "2001:db8:b::7", 1),
        // Nobody but proxies: the furthest of them.
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3", 2),
        // Nothing to read.
        ("10.0.0.1", &[], "10.0.0.1", 0),
        ("10.0.0.1", &["", " , "], "10.0.0.1", 0),
        // Empty entries are none.
        ("10.0.0.1", &["192.0.2.7, , 10.0.0.2,", ""], "192.0.2.7", 2),
    ] {
        let expected = (Some(addr.to_owned()), depth);
        assert_eq!(walk(ForwardedHeader::XForwardedFor, &proxies(), peer, lines), expected, "{lines:?}");
    }
}

#[test]
fn cli_02_what_cannot_be_read_ends_the_walk_at_the_last_good_hop() {
    for bad in ["unknown", "_hidden", "192.0.2.256", "-", "localhost", "\"", "192.0.2.7 192.0.2.8", "\u{e4}"]
    {
        let line = format!("192.0.2.7, {bad}, 10.0.0.2");
        let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, line)]);
        let peer = Some("10.0.0.1".parse().unwrap());
        let found = ForwardedHeader::XForwardedFor.walk(&proxies(), peer, &headers);
        assert_eq!((found.addr, found.depth), (Some("10.0.0.2".parse().unwrap()), 1), "{bad}");
    }
}

#[test]
fn cli_01_a_peer_that_is_no_proxy_is_not_believed() {
    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
        for peer in ["192.0.2.7", "11.0.0.1", "2001:db8:b::1"] {
            let lines = ["for=203.0.113.9", "203.0.113.9"];
            assert_eq!(walk(header, &proxies(), peer, &lines), (Some(peer.to_owned()), 0));
        }
        assert_eq!(walk(header, &proxies(), "no address", &["for=203.0.113.9"]), (None, 0));
    }
}

#[test]
fn cli_01_hops_are_counted_from_the_right() {
    for (hops, lines, addr, depth) in [
        (1, &["203.0.113.9, 192.0.2.7"][..], Some("192.0.2.7"), 1),
        (2, &["203.0.113.9, 192.0.2.7, 198.51.100.1"], Some("192.0.2.7"), 2),
        (2, &["203.0.113.9", "192.0.2.7", "198.51.100.1"], Some("192.0.2.7"), 2),
        (2, &["unknown, 198.51.100.1"], Some("198.51.100.1"), 1),
        (3, &["198.51.100.1"], Some("198.51.100.1"), 1),
        (1, &["unknown"], None, 0),
    ] {
        let proxies = TrustedProxies::hops(hops).unwrap();
        for (peer, known) in [("192.0.2.200", true), ("a socket without addresses", false)] {
            let addr = addr.or(known.then_some(peer)).map(str::to_owned);
            assert_eq!(
                walk(ForwardedHeader::XForwardedFor, &proxies, peer, lines),
                (addr, depth),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn cli_03_forwarded_is_walked_the_same_way() {
    for (lines, addr, depth) in [
        (&["for=192.0.2.60;proto=http;by=203.0.113.43"][..], "192.0.2.60", 1),
        (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17", 1),
        (&["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17", 1),
        (&["for=203.0.113.9, for=192.0.2.43", "FOR=10.0.0.2;by=\"_a,b\""], "192.0.2.43", 2),
        (&["for=192.0.2.43, for=\"[::ffff:10.0.0.2]\", for=\"10.0.0.3:80\""], "192.0.2.43", 3),
        // Escapes in a quoted string.
        (&["for=\"192.0.2.\\60\""], "192.0.2.60", 1),
        // No address: the last good hop.
        (&["for=192.0.2.43, for=unknown, for=10.0.0.2"], "10.0.0.2", 1),
        (&["for=192.0.2.43, for=_hidden"], "10.0.0.1", 0),
        (&["for=192.0.2.43, proto=https"], "10.0.0.1", 0),
        (&["for=192.0.2.43, for=2001:db8:a::1"], "10.0.0.1", 0),
        (&["for=192.0.2.43, for=\"2001:db8:a::1\""], "10.0.0.1", 0),
        (&["for=192.0.2.43;for=192.0.2.44"], "10.0.0.1", 0),
        // A caller's open quote does not reach what the proxy wrote.
        (&["for=\"10.0.0.9, for=192.0.2.43"], "192.0.2.43", 1),
    ] {
        let expected = (Some(addr.to_owned()), depth);
        assert_eq!(walk(ForwardedHeader::Forwarded, &proxies(), "10.0.0.1", lines), expected, "{lines:?}");
    }
}

#[test]
fn cli_03_the_other_header_is_never_read() {
    let headers: HeaderMap = [(X_FORWARDED_FOR, "192.0.2.1"), (header::FORWARDED, "for=192.0.2.2")]
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let peer = Some("10.0.0.1".parse().unwrap());
    for (header, addr) in
        [(ForwardedHeader::XForwardedFor, "192.0.2.1"), (ForwardedHeader::Forwarded, "192.0.2.2")]
    {
        let found = header.walk(&proxies(), peer, &headers);
        assert_eq!(found.addr, Some(addr.parse().unwrap()));
    }
}

#[test]
fn cli_02_no_more_entries_are_read_than_a_chain_can_have() {
    let line = format!("192.0.2.7{}", ", 10.0.0.2".repeat(200));
    let (addr, depth) = walk(ForwardedHeader::XForwardedFor, &proxies(), "10.0.0.1", &[&line]);
    assert_eq!((addr.as_deref(), depth), (Some("10.0.0.2"), MAX_ENTRIES));
    let line = format!("192.0.2.7{}", ",".repeat(200));
    let (addr, depth) = walk(ForwardedHeader::XForwardedFor, &proxies(), "10.0.0.1", &[&line]);
    assert_eq!((addr.as_deref(), depth), (Some("10.0.0.1"), 0), "empty ones are counted as work");
}

#[test]
fn cli_02_nothing_a_caller_writes_changes_what_the_proxies_tell() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(written) = HeaderValue::from_bytes(bytes) else { return };
        let peer = Some("10.0.0.1".parse().unwrap());
        for (header, appended) in [
            (ForwardedHeader::XForwardedFor, "192.0.2.7, 10.0.0.2"),
            (ForwardedHeader::Forwarded, "for=192.0.2.7;host=a, for=\"10.0.0.2:80\""),
        ] {
            let joined = [written.as_bytes(), b", ", appended.as_bytes()].concat();
            let joined = HeaderMap::from_iter([(header.name(), HeaderValue::from_bytes(&joined).unwrap())]);
            let mut lines = HeaderMap::from_iter([(header.name(), written.clone())]);
            lines.append(header.name(), HeaderValue::from_static(appended));
            for headers in [joined, lines] {
                let found = header.walk(&proxies(), peer, &headers);
                assert_eq!((found.addr, found.depth), (Some("192.0.2.7".parse().unwrap()), 2));
            }
        }
    });
}

/// The origin, written `scheme host`, with `-` for what is not known.
fn origin(header: ForwardedHeader, lines: &[(&'static str, &'static str)]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for (name, line) in lines {
        headers.append(*name, HeaderValue::from_static(line));
    }
    let found = header.walk(&proxies(), Some("10.0.0.1".parse().unwrap()), &headers);
    let origin = header.origin(&found, &headers)?;
    let scheme = origin.scheme().map_or("-", |scheme| scheme.as_str());
    Some(format!("{scheme} {}", origin.host().map_or("-", |host| host.as_str())))
}

#[test]
fn cli_05_the_origin_stands_where_the_callers_address_stands() {
    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";
    const HOST: &str = "x-forwarded-host";
    for (lines, expected) in [
        (
            &[(FOR, "192.0.2.7"), (PROTO, "https"), (HOST, "api.example.com:8443")][..],
            Some("https api.example.com:8443"),
        ),
        // One value, which the proxies pass on.
        (&[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "HTTPS")], Some("https -")),
        (&[(PROTO, "http")], Some("http -")),
        // One value for each hop; what is further left is the caller's.
        (&[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "https, http")], Some("https -")),
        (&[(FOR, "192.0.2.7"), (PROTO, "https, http")], Some("http -")),
        (
            &[(FOR, "192.0.2.7, 10.0.0.2"), (HOST, "evil.example, a.example"), (HOST, "b.example")],
            Some("- a.example"),
        ),
        (
            &[(FOR, "192.0.2.7, 10.0.0.3, 10.0.0.2"), (HOST, "a.example, b.example, c.example, d.example")],
            Some("- b.example"),
        ),
        (&[(FOR, "192.0.2.7, 10.0.0.3, 10.0.0.2"), (PROTO, "https, http")], None),
        // Nothing that is a scheme or a host.
        (&[(FOR, "192.0.2.7"), (PROTO, "javascript"), (HOST, "user@evil.example")], None),
        (&[(FOR, "192.0.2.7"), (PROTO, "https"), (HOST, "a b")], Some("https -")),
        (&[(FOR, "192.0.2.7"), (HOST, ":80")], None),
        (&[(FOR, "192.0.2.7"), ("forwarded", "for=192.0.2.7;proto=https")], None),
    ] {
        assert_eq!(origin(ForwardedHeader::XForwardedFor, lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn cli_05_forwarded_tells_the_origin_in_the_callers_entry() {
    for (line, expected) in [
        ("for=192.0.2.7;proto=https;host=\"api.example.com:8443\"", Some("https api.example.com:8443")),
        (
            "for=192.0.2.7;proto=https;host=\"a.\\example\", for=10.0.0.2;proto=http;host=b.example",
            Some("https a.example"),
        ),
        ("for=203.0.113.9;proto=http;host=evil.example, for=192.0.2.7;proto=https", Some("https -")),
        // A proxy may hide the caller and tell the origin.
        ("for=unknown;proto=https;host=a.example", Some("https a.example")),
        ("for=192.0.2.7;proto=ftp;host=\"\"", None),
        ("for=192.0.2.7", None),
        ("", None),
    ] {
        let lines = [("forwarded", line), ("x-forwarded-proto", "http"), ("x-forwarded-host", "c.example")];
        assert_eq!(origin(ForwardedHeader::Forwarded, &lines).as_deref(), expected, "{line}");
    }
}
