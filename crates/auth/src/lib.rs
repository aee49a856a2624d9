//! API keys, and rights on routes, for HTTP and gRPC services.
//!
//! [`ApiKeyLayer`] lets a request pass when it carries a good key, and tells all layers further in who the caller
//! is; [`RequireLayer`] asks on a route for a scope or a role.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bartizan_auth::{ApiKey, ApiKeyLayer, RequireLayer, StaticKeys};
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Once per caller: the key goes to the caller, the record into the service's configuration.
//! let key = ApiKey::generate("orders")?;
//! let record = key.record("billing").with_scopes(["orders:read"]);
//!
//! let keys = StaticKeys::new([record])?;
//! let service = |scope| {
//!     ServiceBuilder::new()
//!         .layer(ApiKeyLayer::new(keys.clone()))
//!         .layer(RequireLayer::scope(scope))
//!         .service(service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::from("hello")))))
//! };
//! let request = || Request::get("/").header("x-api-key", key.expose()).body(String::new());
//!
//! assert_eq!(service("orders:read").oneshot(request()?).await?.status(), StatusCode::OK);
//!
//! let refused = service("orders:read").oneshot(Request::default()).await?;
//! assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(refused.headers()["www-authenticate"], "ApiKey realm=\"api\"");
//!
//! assert_eq!(service("orders:write").oneshot(request()?).await?.status(), StatusCode::FORBIDDEN);
//! # Ok(()) }
//! ```
//!
//! # What happens to a request
//!
//! 1. A header named by [`with_identity_header`](ApiKeyLayer::with_identity_header) is removed: callers do not say
//!    who they are.
//! 2. A path opened by [`with_bypass`](ApiKeyLayer::with_bypass) passes without a look at its credentials.
//! 3. The key is taken from `x-api-key`, or from `Authorization: ApiKey …` (the scheme in any case); for gRPC that
//!    is metadata. From the query only after [`with_query_parameter`](ApiKeyLayer::with_query_parameter). Two of
//!    them, two lines of either header, a value with a comma, or a good key beside another caller whom a layer
//!    further out authenticated: 400 `malformed_credentials`.
//! 4. No key: 401 `unauthenticated` with the challenge `ApiKey realm="…"`. An
//!    [optional](ApiKeyLayer::optional) layer lets the request pass instead, without a principal.
//! 5. The form and the checksum of the key are checked, its public part is looked up, and the digest of its secret
//!    compared in constant time. An unknown id costs the same digest and the same comparison.
//! 6. A key that is mistyped, unknown, wrong, not yet valid, expired, revoked, or used from outside its networks
//!    gets the answer of no key at all, byte for byte but for the request id. Which it was is told to logs and
//!    metrics alone. A good key on a route that it is not for: 403.
//! 7. The credential is removed, with any `Authorization` of another scheme; the
//!    [principal](bartizan_core::RequestContext::principal) is set; the time of last use is noted, to the minute.
//!
//! [`RequireLayer`] answers 401 when there is no principal, with the challenge of the authentication layer that let
//! the request pass, and 403 when the right is missing, naming it.
//!
//! # Keys
//!
//! `orders_7HqN2mXk4TzB_` and 38 characters: 32 of secret, 190 random bits, and 6 of checksum; see [`ApiKey`]. Stores
//! hold SHA-256 digests, never secrets. To change a secret without an interruption,
//! [`rotate`](KeyRecord::rotate) the record and hand it to [`StaticKeys::replace`]: the old and the new key are live
//! until [`retire_previous`](KeyRecord::retire_previous). A revocation by `replace` takes effect with the next
//! request.
//!
//! # Deployment
//!
//! - Serve keys over TLS alone: whoever sees one has it.
//! - A key limited to networks needs the client's address, so a layer that finds it must stand further out; a peer
//!   address is not used, since behind a proxy it is the proxy's. A key limited to routes needs the router's
//!   template: with axum, the layer belongs under `Router::layer`, and core's feature `axum` must be on.
//! - Shared caches know that `Authorization` makes an answer private, and do not know it of `x-api-key`: handlers
//!   behind one should answer with `Cache-Control: private`.
//! - With a key in the query, an outer access log, a proxy, and axum's `OriginalUri` see it. Prefer a header.
//! - Failed attempts are cheap (no key stretching: a secret of 190 bits needs none), yet not free: put a limit by
//!   address further out.
//!
//! # In a stack
//!
//! [`ApiKeyLayer`] belongs to phase `Authentication`: inside limits by address, outside limits by principal. It
//! provides `Principal`; as `optional` it does not. [`RequireLayer`] belongs to phase `Authorization`, needs
//! `Principal`, and is most at home on routes: `.route_layer(RequireLayer::scope("orders:write"))`.
//!
//! # What it tells
//!
//! - Metric `bartizan_auth_decisions_total{scheme,outcome,reason}`: scheme `api_key` or `require`; outcome `accepted`,
//!   `anonymous`, `bypassed` or `refused`; reason `none`, `missing`, `ambiguous`, `malformed`, `unknown_key`,
//!   `wrong_secret`, `not_yet_valid`, `expired`, `revoked`, `wrong_network`, `wrong_route`, `no_principal`,
//!   `insufficient_scope` or `insufficient_role`.
//! - Facts of the wide event: `auth.scheme`, `auth.outcome`, `auth.key_id`, `auth.failure`.
//! - `tracing` events of target `bartizan::auth`: refusals at `info`, the rest at `debug`.
//!
//! # Features
//!
//! - `aws-lc-rs` (on by default): SHA-256 by aws-lc-rs, which needs a C compiler. Without it, by RustCrypto.
//! - `metrics`: counts through the `metrics` facade.
//! - `tracing`: emits events.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod challenge;
mod credential;
mod error;
mod failure;
mod future;
mod key;
mod layer;
mod require;
mod rule;
mod service;
mod settings;
mod static_keys;
mod store;
mod telemetry;
mod verify;

use self::failure::Failure;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
pub use self::{
    error::{ConfigError, GenerateError, ParseKeyError},
    future::ApiKeyFuture,
    key::{ApiKey, KeyRecord, StoredKey},
    layer::{ApiKeyLayer, Optional, Presence, Required},
    require::{Require, RequireLayer},
    service::ApiKeyService,
    static_keys::{FoundKey, StaticKeys},
    store::KeyStore,
};
