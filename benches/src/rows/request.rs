//! The requests that scenarios send.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use bartizan::{ClientAddr, RequestContext};
use http::{HeaderValue, Method, Request, header};

use crate::Body;

/// Where every request is from.
pub(super) const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 40_000);

/// What an ordinary client sends, as it arrives at the first layer.
pub(super) fn plain() -> Request<Body> {
    let mut request = Request::new(Body::default());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = "/v1/orders/17".parse().expect("a path is a URI");
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("client/1.0"));
    request
}

/// The same further in: an outer layer has inserted the request's context.
pub(super) fn with_context() -> Request<Body> {
    let mut request = plain();
    RequestContext::of(&mut request);
    request
}

/// The peer's address, as axum's server leaves it, and the address in the context, as a layer of ours leaves it.
pub(super) fn with_peer() -> Request<Body> {
    let mut request = with_context();
    request.extensions_mut().insert(ConnectInfo(PEER));
    RequestContext::of(&mut request).set_client_addr(ClientAddr::new(PEER.ip()));
    request
}
