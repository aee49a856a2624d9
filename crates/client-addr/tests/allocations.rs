//! What the layer costs in allocations. The counter needs a test program of its own.

use std::{convert::Infallible, future::ready, hint::black_box};

use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, TrustedProxies};
use bartizan_core::{RequestContext, insert_peer_addr};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};

/// How often memory is asked for while a request with these headers, and a context, comes in.
fn allocations(layer: &ClientAddrLayer, headers: &[(&'static str, &'static str)]) -> u64 {
    let inner =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let mut service = layer.layer(inner);
    let mut request = Request::new(());
    RequestContext::of(&mut request);
    insert_peer_addr(request.extensions_mut(), "10.0.0.1".parse().expect("an address"));
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    allocation_counter::measure(|| drop(black_box(service.call(request)))).count_total
}

#[test]
fn an_address_is_found_without_an_allocation() {
    let headers = [
        ("x-forwarded-for", "203.0.113.9, [2001:db8::1]:4711"),
        ("x-forwarded-for", "10.0.0.3, ::ffff:10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.9, for=\"[2001:db8::\\1]\";proto=https, for=\"10.0.0.2:80\""),
    ];
    assert_eq!(allocations(&ClientAddrLayer::peer(), &headers), 0);
    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
        for proxies in [TrustedProxies::networks(["10.0.0.0/8"]), TrustedProxies::hops(2)] {
            let layer = ClientAddrLayer::behind(proxies.expect("they are sane"), header);
            assert_eq!(allocations(&layer, &headers), 0, "{layer:?}");
        }
    }
}

#[test]
fn an_origin_that_no_proxy_told_costs_nothing() {
    let proxies = TrustedProxies::hops(1).expect("it is sane").with_origin();
    let layer = ClientAddrLayer::behind(proxies, ForwardedHeader::XForwardedFor);
    assert_eq!(allocations(&layer, &[("x-forwarded-for", "192.0.2.7")]), 0);
    let told = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")];
    assert_eq!(allocations(&layer, &told), 1, "the extension itself");
}
