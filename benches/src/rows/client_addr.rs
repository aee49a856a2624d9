//! The caller's address: of the peer, and behind two proxies.
//!
//! No peer stands beside it: the libraries for this purpose are extractors, which run in the handler.

use axum::extract::ConnectInfo;
use bartizan::client_addr::{ClientAddrLayer, ForwardedHeader, TrustedProxies};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use tower_layer::Layer as _;

use super::request::{self, PEER};
use crate::{Arm, Bare, Body, Prepared, Scenario};

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours("client address of the peer", None, |arm| ours(arm, ClientAddrLayer::peer())),
        Scenario::ours("client address in X-Forwarded-For, two proxies", None, |arm| {
            ours(arm, behind(ForwardedHeader::XForwardedFor))
        }),
        Scenario::ours("client address in Forwarded, two proxies", None, |arm| {
            ours(arm, behind(ForwardedHeader::Forwarded))
        }),
    ]
}

fn behind(header: ForwardedHeader) -> ClientAddrLayer {
    let proxies = TrustedProxies::networks(["10.0.0.0/8", "203.0.113.0/24"]).expect("networks");
    ClientAddrLayer::behind(proxies, header)
}

/// As it arrives through two proxies, from a caller who wrote an address of its own.
fn proxied() -> Request<Body> {
    let mut request = request::with_context();
    request.extensions_mut().insert(ConnectInfo(PEER));
    let headers = request.headers_mut();
    headers.insert(
        HeaderName::from_static("x-forwarded-for"),
        HeaderValue::from_static("198.51.100.1, 192.0.2.7, 10.0.0.2"),
    );
    headers.insert(
        header::FORWARDED,
        HeaderValue::from_static("for=198.51.100.1, for=192.0.2.7;proto=https, for=\"10.0.0.2:80\""),
    );
    request
}

fn ours(arm: Arm, layer: ClientAddrLayer) -> Prepared {
    arm.prepare(proxied, StatusCode::OK, move |bare: Bare<Body>| layer.layer(bare))
}
