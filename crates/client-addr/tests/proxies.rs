//! The layer behind proxies.

use std::{convert::Infallible, net::IpAddr};

use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, ForwardedOrigin, MissingAddr, TrustedProxies};
use bartizan_core::{Fact, RequestContext, insert_peer_addr};
use bytes::Bytes;
use http::{Request, Response, StatusCode, uri::Scheme};
use http_body_util::Full;
use tower::{Layer, ServiceExt};

fn proxies() -> TrustedProxies {
    TrustedProxies::networks(["10.0.0.0/8"]).unwrap()
}

fn behind() -> ClientAddrLayer {
    ClientAddrLayer::behind(proxies(), ForwardedHeader::XForwardedFor)
}

fn request(peer: Option<&str>, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(()).unwrap();
    if let Some(peer) = peer {
        insert_peer_addr(request.extensions_mut(), peer.parse().unwrap());
    }
    request
}

/// What the service behind the layer saw; none where the layer refused.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    addr: Option<String>,
    key: Option<String>,
    source: Option<Fact>,
    origin: Option<ForwardedOrigin>,
    scheme: Option<Scheme>,
}

async fn send(layer: &ClientAddrLayer, mut request: Request<()>) -> (StatusCode, Option<Seen>) {
    RequestContext::of(&mut request).event().enable();
    let inner = tower::service_fn(async |request: Request<()>| {
        let context = RequestContext::get(request.extensions()).expect("the layer inserts one");
        let mut source = None;
        context.event().read(|facts| {
            source =
                facts.iter().find(|(name, _)| *name == "client_addr.source").map(|(_, fact)| fact.clone());
        });
        let seen = Seen {
            addr: context.client_addr().map(|addr| addr.to_string()),
            key: context.client_addr().map(|addr| addr.key().to_string()),
            source,
            origin: request.extensions().get().cloned(),
            scheme: context.forwarded_scheme(),
        };
        let mut response = Response::new(Full::<Bytes>::default());
        response.extensions_mut().insert(seen);
        Ok::<_, Infallible>(response)
    });
    let response = layer.layer(inner).oneshot(request).await.expect("the service does not fail");
    (response.status(), response.extensions().get().cloned())
}

async fn seen(layer: &ClientAddrLayer, request: Request<()>) -> Seen {
    send(layer, request).await.1.expect("forwarded")
}

#[tokio::test]
async fn cli_01_headers_count_only_where_the_peer_is_a_trusted_proxy() {
    for (peer, addr, source) in [
        ("10.0.0.1", "192.0.2.7", "forwarded"),
        ("::ffff:10.0.0.1", "192.0.2.7", "forwarded"),
        ("203.0.113.9", "203.0.113.9", "peer"),
    ] {
        let seen = seen(&behind(), request(Some(peer), &[("x-forwarded-for", "192.0.2.7")])).await;
        assert_eq!((seen.addr.as_deref(), seen.source), (Some(addr), Some(Fact::from(source))));
    }
    let silent = seen(&behind(), request(Some("10.0.0.1"), &[])).await;
    assert_eq!((silent.addr.as_deref(), silent.source), (Some("10.0.0.1"), Some(Fact::from("peer"))));
}

#[tokio::test]
async fn cli_02_the_leftmost_address_is_not_the_callers() {
    let headers = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "192.0.2.7, 10.0.0.2")];
    let seen = seen(&behind(), request(Some("10.0.0.1"), &headers)).await;
    assert_eq!(seen.addr.as_deref(), Some("192.0.2.7"));
}

#[tokio::test]
async fn cli_03_the_header_that_was_not_chosen_is_ignored() {
    let headers = [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=\"[2001:db8:1:2ff::1]:4711\"")];
    for (header, addr) in
        [(ForwardedHeader::XForwardedFor, "192.0.2.7"), (ForwardedHeader::Forwarded, "2001:db8:1:2ff::1")]
    {
        let layer = ClientAddrLayer::behind(proxies(), header);
        assert_eq!(seen(&layer, request(Some("10.0.0.1"), &headers)).await.addr.as_deref(), Some(addr));
    }
}

#[tokio::test]
async fn cli_04_a_forwarded_address_has_the_canonical_key() {
    let layer = behind().with_ipv6_prefix(56).unwrap();
    for (told, addr, key) in [
        ("[2001:db8:1:2ff::1]:4711", "2001:db8:1:2ff::1", "2001:db8:1:200::"),
        ("::ffff:c000:207", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:80", "192.0.2.7", "192.0.2.7"),
    ] {
        let seen = seen(&layer, request(Some("10.0.0.1"), &[("x-forwarded-for", told)])).await;
        assert_eq!((seen.addr.as_deref(), seen.key.as_deref()), (Some(addr), Some(key)));
    }
}

#[tokio::test]
async fn cli_05_the_origin_is_told_under_the_same_trust_and_where_it_was_asked_for() {
    let headers = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "api.example.com"),
    ];
    let asked = ClientAddrLayer::behind(proxies().with_origin(), ForwardedHeader::XForwardedFor);
    let told = seen(&asked, request(Some("10.0.0.1"), &headers)).await;
    let origin = told.origin.expect("told");
    assert_eq!(told.scheme, Some(Scheme::HTTPS), "for those who have the context alone");
    assert_eq!(origin.scheme().map(|scheme| scheme.as_str()), Some("https"));
    assert_eq!(origin.host().map(|host| host.as_str()), Some("api.example.com"));

    for (layer, peer) in
        [(&asked, "203.0.113.9"), (&behind(), "10.0.0.1"), (&ClientAddrLayer::peer(), "10.0.0.1")]
    {
        let untold = seen(layer, request(Some(peer), &headers)).await;
        assert_eq!((untold.origin, untold.scheme), (None, None), "{peer}");
    }
}

#[tokio::test]
async fn cli_01_trusted_hops_need_no_peer_address() {
    let layer = ClientAddrLayer::behind(TrustedProxies::hops(1).unwrap(), ForwardedHeader::XForwardedFor)
        .with_missing(MissingAddr::Refuse);
    let seen = seen(&layer, request(None, &[("x-forwarded-for", "203.0.113.9, 192.0.2.7")])).await;
    assert_eq!(seen.addr.as_deref(), Some("192.0.2.7"));

    for headers in [&[][..], &[("x-forwarded-for", "unknown")]] {
        let (status, seen) = send(&layer, request(None, headers)).await;
        assert_eq!((status, seen), (StatusCode::SERVICE_UNAVAILABLE, None));
    }
}

#[tokio::test]
async fn cli_01_trusted_networks_need_a_peer_address() {
    let headers = [("x-forwarded-for", "192.0.2.7")];
    let (status, _) = send(&behind().with_missing(MissingAddr::Refuse), request(None, &headers)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let shared = seen(&behind(), request(None, &headers)).await;
    assert_eq!((shared.addr, shared.source), (None, Some(Fact::from("missing"))));
}

#[tokio::test]
async fn cli_01_an_extension_of_ones_own_tells_the_peer_and_nothing_else_does() {
    #[derive(Clone)]
    struct Accepted(Option<IpAddr>);

    let layer = behind().with_peer_from(|accepted: &Accepted| accepted.0);
    for (accepted, expected) in [
        (Some(Accepted("10.0.0.1".parse().ok())), Some("192.0.2.7")),
        (Some(Accepted("203.0.113.9".parse().ok())), Some("203.0.113.9")),
        (Some(Accepted(None)), None),
        (None, None),
    ] {
        let mut request = request(Some("10.0.0.1"), &[("x-forwarded-for", "192.0.2.7")]);
        if let Some(accepted) = accepted {
            request.extensions_mut().insert(accepted);
        }
        assert_eq!(seen(&layer, request).await.addr.as_deref(), expected);
    }
}
