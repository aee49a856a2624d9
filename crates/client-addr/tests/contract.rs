//! The contract every layer passes.

use std::net::{IpAddr, Ipv4Addr};

use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, MissingAddr, TrustedProxies};
use bartizan_core::{Reason, insert_peer_addr};
use bartizan_testkit::contract;
use http::HeaderValue;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

#[test]
fn the_layer_keeps_the_contract() {
    contract(ClientAddrLayer::peer)
        .accept(|request| insert_peer_addr(request.extensions_mut(), PEER))
        .check();
}

#[test]
fn the_layer_keeps_the_contract_when_it_refuses() {
    contract(|| ClientAddrLayer::peer().with_missing(MissingAddr::Refuse))
        .accept(|request| insert_peer_addr(request.extensions_mut(), PEER))
        .refuse(Reason::DependencyUnavailable, |request| request.extensions_mut().clear())
        .check();
}

#[test]
fn the_layer_keeps_the_contract_behind_proxies() {
    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
        let layer = move || {
            let proxies = TrustedProxies::networks(["192.0.2.0/24"]).expect("a network").with_origin();
            ClientAddrLayer::behind(proxies, header).with_missing(MissingAddr::Refuse)
        };
        contract(layer)
            .accept(|request| {
                insert_peer_addr(request.extensions_mut(), PEER);
                let headers = request.headers_mut();
                headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
                headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
                headers.insert("forwarded", HeaderValue::from_static("for=203.0.113.9;proto=https"));
            })
            .refuse(Reason::DependencyUnavailable, |request| request.extensions_mut().clear())
            .check();
    }
}
