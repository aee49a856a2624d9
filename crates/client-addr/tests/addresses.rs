//! What the layer makes of an address, by rule.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use bartizan_client_addr::{ClientAddrLayer, ConfigError, MissingAddr};
use bartizan_core::{ClientAddr, Fact, RequestContext, ResponseBody, insert_peer_addr};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::{Layer, ServiceExt};

/// The response of a service behind `layer`; if the service was reached, with the context it saw.
async fn send(layer: &ClientAddrLayer, request: Request<()>) -> Response<ResponseBody<Full<Bytes>>> {
    let inner = tower::service_fn(async |request: Request<()>| {
        let mut response = Response::new(Full::default());
        let context = RequestContext::get(request.extensions()).expect("the layer inserts one").clone();
        response.extensions_mut().insert(context);
        Ok::<_, Infallible>(response)
    });
    layer.layer(inner).oneshot(request).await.expect("the service does not fail")
}

fn from(peer: &str) -> Request<()> {
    let mut request = Request::new(());
    insert_peer_addr(request.extensions_mut(), peer.parse().unwrap());
    request
}

async fn seen(layer: &ClientAddrLayer, request: Request<()>) -> Option<ClientAddr> {
    send(layer, request).await.extensions().get::<RequestContext>().expect("forwarded").client_addr()
}

#[tokio::test]
async fn cli_01_the_address_is_the_peers_whatever_the_headers_say() {
    let mut request = from("192.0.2.7");
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"] {
        request.headers_mut().insert(name, "203.0.113.9".parse().unwrap());
    }
    let addr = seen(&ClientAddrLayer::peer(), request).await.unwrap();
    assert_eq!(addr.ip().to_string(), "192.0.2.7");
}

#[tokio::test]
async fn cli_01_a_bare_socket_address_in_the_extensions_will_do() {
    let mut request = Request::new(());
    request.extensions_mut().insert("192.0.2.7:4711".parse::<SocketAddr>().unwrap());
    assert_eq!(seen(&ClientAddrLayer::peer(), request).await.unwrap().to_string(), "192.0.2.7");
}

#[tokio::test]
async fn cli_04_a_mapped_address_is_the_ipv4_address() {
    for peer in ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:0207", "0:0:0:0:0:ffff:c000:207"] {
        let addr = seen(&ClientAddrLayer::peer(), from(peer)).await.unwrap();
        assert_eq!((addr.ip().to_string(), addr.key().to_string()), ("192.0.2.7".into(), "192.0.2.7".into()));
    }
}

#[tokio::test]
async fn cli_04_the_key_of_an_ipv6_address_is_its_network() {
    let peer = "2001:db8:1:2ff:3:4:5:6";
    for (prefix, key) in [(48, "2001:db8:1::"), (56, "2001:db8:1:200::"), (64, "2001:db8:1:2ff::")] {
        let layer = ClientAddrLayer::peer().with_ipv6_prefix(prefix).unwrap();
        let addr = seen(&layer, from(peer)).await.unwrap();
        assert_eq!((addr.ip().to_string(), addr.key().to_string()), (peer.into(), key.into()));
    }
    let addr = seen(&ClientAddrLayer::peer(), from(peer)).await.unwrap();
    assert_eq!(addr.key().to_string(), "2001:db8:1:2ff::", "/64 by default");
}

#[tokio::test]
async fn cli_04_port_and_zone_make_no_second_caller() {
    let mut keys = Vec::new();
    for peer in ["[fe80::1%1]:80", "[fe80::1%2]:81", "[fe80::1]:82"] {
        let mut request = Request::new(());
        request.extensions_mut().insert(peer.parse::<SocketAddr>().unwrap());
        keys.push(seen(&ClientAddrLayer::peer(), request).await.unwrap().key());
    }
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

proptest! {
    #[test]
    fn cli_04_two_addresses_share_a_key_exactly_when_they_share_the_prefix(
        first: u128, flipped in 0_u32..128, prefix in 48_u8..=64,
    ) {
        let layer = ClientAddrLayer::peer().with_ipv6_prefix(prefix).unwrap();
        let [first, second] = [first, first ^ (1 << (127 - flipped))].map(|bits| IpAddr::V6(bits.into()));
        prop_assume!(first.to_canonical().is_ipv6() && second.to_canonical().is_ipv6());
        let key = |peer: IpAddr| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(seen(&layer, from(&peer.to_string()))).unwrap().key()
        };
        prop_assert_eq!(key(first) == key(second), flipped >= u32::from(prefix));
    }
}

#[test]
fn cli_04_a_prefix_outside_48_to_64_fails_where_it_is_set() {
    for prefix in [0, 47, 65, 128, 255] {
        let error = ClientAddrLayer::peer().with_ipv6_prefix(prefix).unwrap_err();
        assert_eq!(error, ConfigError::Ipv6Prefix(prefix));
        assert!(error.to_string().starts_with(&format!("ipv6_prefix: /{prefix} ")), "{error}");
    }
}

#[tokio::test]
async fn a_request_without_a_peer_address_goes_on_without_one() {
    let response = send(&ClientAddrLayer::peer(), Request::new(())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.extensions().get::<RequestContext>().unwrap().client_addr(), None);
}

#[tokio::test]
async fn a_request_without_a_peer_address_is_refused_where_that_was_asked_for() {
    let layer = ClientAddrLayer::peer().with_missing(MissingAddr::Refuse);
    assert_eq!(send(&layer, from("192.0.2.7")).await.status(), StatusCode::OK);

    let refused = send(&layer, Request::new(())).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "60");
    let body = refused.collect().await.unwrap().to_bytes();
    let problem = bartizan_core::Problem::from_slice(&body).unwrap();
    assert_eq!(problem.extensions["code"], "dependency_unavailable");
    assert!(!String::from_utf8_lossy(&body).contains("peer"), "the cause is for the log");

    let call = Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
    let refused = send(&layer, call).await;
    assert_eq!(
        (refused.status(), &refused.headers()["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
}

#[tokio::test]
async fn the_outermost_layer_of_this_kind_decides() {
    for (outer, inner) in [("192.0.2.7", Some("203.0.113.9")), ("192.0.2.7", None)] {
        let mut request = inner.map_or_else(|| Request::new(()), from);
        let context = RequestContext::of(&mut request);
        context.set_client_addr(ClientAddr::new(outer.parse().unwrap()));
        let layer = ClientAddrLayer::peer().with_missing(MissingAddr::Refuse);
        assert_eq!(seen(&layer, request).await.unwrap().to_string(), outer);
    }
}

#[tokio::test]
async fn the_wide_event_tells_where_the_address_is_from() {
    for (mut request, source) in [(from("192.0.2.7"), "peer"), (Request::new(()), "missing")] {
        RequestContext::of(&mut request).event().enable();
        let response = send(&ClientAddrLayer::peer(), request).await;
        let context = response.extensions().get::<RequestContext>().unwrap();
        context.event().read(|facts| assert_eq!(facts, [("client_addr.source", Fact::from(source))]));
    }
}
