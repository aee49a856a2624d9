//! The address of the caller of a tower service, in the canonical form that limits and logs share.
//!
//! The layer takes the address of the connection's other end, or the one that trusted proxies tell, and sets it in
//! the request's context. Limits by address, the access log and handlers read it there.
//!
//! ```
//! use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, MissingAddr, TrustedProxies};
//! use bartizan_core::{RequestContext, insert_peer_addr};
//! use http::{Request, Response, StatusCode};
//! # use http_body_util::BodyExt;
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let proxies = TrustedProxies::networks(["10.0.0.0/8"])?;
//! let layer = ClientAddrLayer::behind(proxies, ForwardedHeader::XForwardedFor)
//!     .with_ipv6_prefix(56)?
//!     .with_missing(MissingAddr::Refuse);
//! let service = layer.layer(tower::service_fn(async |request: Request<()>| {
//!     let context = RequestContext::get(request.extensions()).expect("the layer inserts one");
//!     let addr = context.client_addr().expect("refused without");
//!     Ok::<_, std::convert::Infallible>(Response::new(format!("{} counts as {}", addr.ip(), addr.key())))
//! }));
//!
//! // From a trusted proxy. What is left of the address that it appended is the caller's invention.
//! let mut request = Request::new(());
//! request.headers_mut().insert("x-forwarded-for", "192.0.2.1, 2001:db8:1:2ff::7".parse()?);
//! insert_peer_addr(request.extensions_mut(), "10.0.0.1".parse()?); // axum and tonic do so: see the features
//! let accepted = service.clone().oneshot(request).await?;
//! assert_eq!(accepted.collect().await?.to_bytes(), "2001:db8:1:2ff::7 counts as 2001:db8:1:200::");
//!
//! // From anyone else: the header is not believed.
//! let mut request = Request::new(());
//! request.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse()?);
//! insert_peer_addr(request.extensions_mut(), "203.0.113.9".parse()?);
//! let accepted = service.clone().oneshot(request).await?;
//! assert_eq!(accepted.collect().await?.to_bytes(), "203.0.113.9 counts as 203.0.113.9");
//!
//! let refused = service.oneshot(Request::new(())).await?;
//! assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
//! # Ok(()) }
//! ```
//!
//! # What it does
//!
//! 1. It reads the peer address: axum's `ConnectInfo<SocketAddr>`, tonic's `TcpConnectInfo` or its TLS twin, what
//!    [`insert_peer_addr`](bartizan_core::insert_peer_addr) put there, or a bare `SocketAddr` extension; or else
//!    [an extension of yours](ClientAddrLayer::with_peer_from) alone.
//! 2. [`ClientAddrLayer::peer`] stops there: any caller can write `X-Forwarded-For`. [`ClientAddrLayer::behind`]
//!    goes on where the peer is a [trusted proxy](TrustedProxies), by its network or as one of a number of hops. It
//!    walks the [one header chosen](ForwardedHeader) from the right, over all its lines, and takes the first address
//!    that is not a trusted proxy's. The left-most is what the caller wrote.
//! 3. An entry that is malformed, `unknown` or a made-up name (`_hidden`), and the end of the header, end the walk at
//!    the last good hop: such a caller counts as the proxy it came through. No more than 64 entries are read.
//! 4. It brings the address to one form: an IPv4-mapped IPv6 address is the IPv4 address, port and zone are gone.
//!    For keys, native IPv6 addresses are masked to their network, [/64 by
//!    default](ClientAddrLayer::with_ipv6_prefix).
//! 5. It sets [`ClientAddr`](bartizan_core::ClientAddr) in the request's context, unless a layer further out did,
//!    and notes in the wide event where it is from: `client_addr.source` is `peer`, `forwarded` or `missing`.
//! 6. [Where asked to](TrustedProxies::with_origin) it believes the same proxies about the scheme and host, and
//!    inserts a [`ForwardedOrigin`] into the request's extensions. From `Forwarded` it takes those of the caller's
//!    own entry. From `X-Forwarded-Proto` and `-Host` it takes a single value as it is, and of several the one at the
//!    place, from the right, where the address stood.
//! 7. A request without an address shows that the server was put together wrongly. That is reported once for a
//!    layer and its clones, with the fix. The request [goes on without](MissingAddr::SharedBucket), or is
//!    [refused](MissingAddr::Refuse).
//!
//! Finding the address allocates nothing; an origin costs the extension and a copy of the host.
//!
//! # Caveats
//!
//! - With [`peer`](ClientAddrLayer::peer) behind a proxy or load balancer the peer is the proxy, and all callers are
//!   one.
//! - A proxy must append to the chosen header, or replace it. One that passes on what the caller wrote, or a network
//!   of proxies from which callers come too, lets them choose their address.
//! - [A number of hops](TrustedProxies::hops) is right only where nobody reaches the service past the proxies.
//! - A server on a Unix socket has no peer addresses: count the hops, or leave the layer out.
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
mod forwarded;
mod layer;
mod origin;
mod service;
mod trust;

pub use self::{
    config::{ConfigError, MissingAddr},
    forwarded::ForwardedHeader,
    layer::ClientAddrLayer,
    origin::ForwardedOrigin,
    service::ClientAddrService,
    trust::TrustedProxies,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
