//! The address of the caller of a tower service, in the canonical form that limits and logs share.
//!
//! The layer takes the address of the connection's other end, from wherever the server left it, and sets it in
//! the request's context. Limits by address, the access log and handlers read it there.
//!
//! ```
//! use bartizan_client_addr::{ClientAddrLayer, MissingAddr};
//! use bartizan_core::{RequestContext, insert_peer_addr};
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = ClientAddrLayer::peer().with_ipv6_prefix(56)?.with_missing(MissingAddr::Refuse);
//! let service = layer.layer(tower::service_fn(async |request: Request<()>| {
//!     let context = RequestContext::get(request.extensions()).expect("the layer inserts one");
//!     let addr = context.client_addr().expect("refused without");
//!     Ok::<_, std::convert::Infallible>(Response::new(format!("{} counts as {}", addr.ip(), addr.key())))
//! }));
//!
//! let mut request = Request::new(());
//! // What axum and tonic do for you; see the features.
//! insert_peer_addr(request.extensions_mut(), "2001:db8:1:2ff::7".parse()?);
//! let accepted = service.clone().oneshot(request).await?;
//! # use http_body_util::BodyExt;
//! let body = accepted.collect().await?.to_bytes();
//! assert_eq!(body, "2001:db8:1:2ff::7 counts as 2001:db8:1:200::");
//!
//! let refused = service.oneshot(Request::new(())).await?;
//! assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
//! # Ok(()) }
//! ```
//!
//! # What it does
//!
//! 1. It reads the peer address: axum's `ConnectInfo<SocketAddr>`, tonic's `TcpConnectInfo` or its TLS twin, what
//!    [`insert_peer_addr`](bartizan_core::insert_peer_addr) put there, or a bare `SocketAddr` extension.
//!    Headers are never read: any caller can write `X-Forwarded-For`.
//! 2. It brings the address to one form: an IPv4-mapped IPv6 address is the IPv4 address, port and zone are gone.
//!    For keys, native IPv6 addresses are masked to their network, [/64 by
//!    default](ClientAddrLayer::with_ipv6_prefix).
//! 3. It sets [`ClientAddr`](bartizan_core::ClientAddr) in the request's context, unless a layer further out did,
//!    and notes in the wide event where it is from: `client_addr.source` is `peer` or `missing`.
//! 4. A request without an address shows that the server was put together wrongly. That is reported once for a
//!    layer and its clones, with the fix. The request [goes on without](MissingAddr::SharedBucket), or is
//!    [refused](MissingAddr::Refuse).
//!
//! # Caveats
//!
//! - Behind a proxy or load balancer the peer is the proxy, and all callers are one.
//! - A server on a Unix socket has no peer addresses: leave the layer out, or live with the one report.
//!
//! # In a stack
//!
//! Phase `Address`: before limits by address and authentication. It needs nothing and provides
//! [`fact::ClientAddr`](bartizan_core::fact::ClientAddr).
//!
//! # Features
//!
//! All off by default.
//!
//! - `axum`: reads `ConnectInfo`. Serve with `into_make_service_with_connect_info::<SocketAddr>()`.
//! - `tonic`: reads `TcpConnectInfo`. `tonic-tls`: reads `TlsConnectInfo` too.
//! - `tracing`: reports a missing address as an error event, target `bartizan`, rather than on standard error.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod layer;
mod service;

pub use self::{
    config::{ConfigError, MissingAddr},
    layer::ClientAddrLayer,
    service::ClientAddrService,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
