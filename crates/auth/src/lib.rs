//! API keys, access tokens, and rights on routes, for HTTP and gRPC services.
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
//! # Tokens
//!
//! [`JwtLayer`] lets a request pass when it carries a good access token: a JWT that is well signed, in force, from the
//! issuer, and for this service.
//!
//! ```
//! use bartizan_auth::{Algorithm, JwtLayer, KeySet, RequireLayer, TokenPolicy, VerifyingKey};
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
//! // From a secret here; most often from a PEM, a JWK set or a file.
//! let secret = b"0123456789abcdef0123456789abcdef";
//! let keys = KeySet::from(VerifyingKey::from_secret(Algorithm::Hs256, secret)?);
//! let policy = TokenPolicy::new("https://id.example", ["https://orders.example"])?;
//! let service = ServiceBuilder::new()
//!     .layer(JwtLayer::new(keys, policy))
//!     .layer(RequireLayer::scope("orders:read"))
//!     .service(service_fn(async |_: Request<String>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
//!     }));
//!
//! // What an issuer does.
//! let token = |audience: &str| {
//!     let claims = serde_json::json!({
//!         "iss": "https://id.example", "sub": "alice", "aud": audience, "exp": 4_102_444_800_u64,
//!         "scope": "orders:read",
//!     });
//!     jsonwebtoken::encode(&Default::default(), &claims, &jsonwebtoken::EncodingKey::from_secret(secret))
//! };
//! let request = |token: &str| {
//!     Request::get("/").header("authorization", format!("Bearer {token}")).body(String::new())
//! };
//!
//! let good = token("https://orders.example")?;
//! assert_eq!(service.clone().oneshot(request(&good)?).await?.status(), StatusCode::OK);
//!
//! let for_another = token("https://billing.example")?;
//! let refused = service.oneshot(request(&for_another)?).await?;
//! assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
//! let challenge = refused.headers()["www-authenticate"].to_str()?;
//! assert!(challenge.starts_with("Bearer realm=\"api\", error=\"invalid_token\""));
//! # }
//! # Ok(()) }
//! ```
//!
//! 1. The token is taken from `Authorization: Bearer …`, one line, the scheme in any case; for gRPC that is metadata.
//!    Two of them, two lines, a token in the query beside it, or a value that no token has the form of: 400
//!    `malformed_credentials` with `error="invalid_request"`.
//! 2. No token: 401 with the challenge `Bearer realm="…"`, and no `error`. An [optional](JwtLayer::optional) layer lets
//!    the request pass instead.
//! 3. A token that was accepted before, with the same keys, is compared and not verified again, until it expires; see
//!    [`with_cache`](JwtLayer::with_cache).
//! 4. Any other must be compact, in strict base64url, of JSON objects in which no name occurs twice, and not longer than
//!    16 KiB. The key is found by `kid` and `alg` among those of the issuer that `iss` names; no key is ever taken from the
//!    token, each is for one algorithm, and there is no `none`. Encrypted tokens and critical extensions are refused.
//! 5. The signature is verified, then the claims, as the [`TokenPolicy`] says.
//! 6. A token that is not accepted gets 401 with `error="invalid_token"`, the same for each. Why is told to logs and
//!    metrics alone. While a source has no keys yet the answer is 503, for the token may be good.
//! 7. The token is removed; the principal is set, from `sub`, `iss`, `scope` (or `scp`), `roles` and `jti`; the claims are
//!    there in a [type of your own](JwtLayer::with_claims) if you want them.
//!
//! Keys are found by a [`KeySource`]: a [`KeySet`] that never changes, [`SharedKeys`] that are replaced by hand, or
//! [`RemoteKeys`] that are fetched. [`with_issuer`](JwtLayer::with_issuer) adds an issuer with keys of its own. [`AuthLayer`] takes keys
//! or tokens, whichever is there.
//!
//! # Keys of an issuer
//!
//! [`RemoteKeys`] fetches the keys of an issuer and keeps them current, also while the issuer is away, slow, or talks
//! rubbish; its documentation says when it fetches, and what becomes of requests meanwhile.
//!
//! ```
//! use bartizan_auth::{Algorithm, JwtLayer, RemoteKeys, TokenPolicy};
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
//! // Any tower service fetches; with the feature `https-client`, `build()` brings one. This one is an issuer whose
//! // key everybody can have (RFC 8037 appendix A.2).
//! let issuer = service_fn(async |_| {
//!     let key = serde_json::json!({
//!         "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "1",
//!         "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
//!     });
//!     Ok::<_, std::io::Error>(Response::new(serde_json::json!({"keys": [key]}).to_string()))
//! });
//! let keys = RemoteKeys::jwks("https://id.example/keys", Algorithm::EdDsa).build_with(issuer)?;
//! let policy = TokenPolicy::new("https://id.example", ["https://orders.example"])?;
//! let service = ServiceBuilder::new()
//!     .layer(JwtLayer::new(keys.clone(), policy))
//!     .service(service_fn(async |_: Request<String>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
//!     }));
//! # use base64::{Engine, prelude::BASE64_STANDARD};
//! # let der = BASE64_STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g")?;
//! # let token = |kid: &str| {
//! #     let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
//! #     header.kid = Some(kid.to_owned());
//! #     let claims = serde_json::json!({
//! #         "iss": "https://id.example", "sub": "alice", "aud": "https://orders.example", "exp": 4_102_444_800_u64,
//! #     });
//! #     jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_ed_der(&der))
//! # };
//! let send = async |token: String| {
//!     let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(String::new());
//!     service.clone().oneshot(request.expect("it is well formed")).await.expect("it never fails").status()
//! };
//!
//! assert!(keys.ready().await, "for a readiness probe");
//! assert_eq!(send(token("1")?).await, StatusCode::OK);
//! assert_eq!(send(token("2")?).await, StatusCode::UNAUTHORIZED, "not even after another look at the issuer's keys");
//! # }
//! # Ok(()) }
//! ```
//!
//! # Tokens for outgoing requests
//!
//! [`BearerLayer`] puts the token of a client on the requests that it sends: obtained by
//! [`ClientCredentials`], replaced before it expires, sent to configured origins alone.
//!
//! A token may be bound to its owner (`cnf`, RFC 7800), so that whoever steals it has nothing. With the feature `dpop`,
//! `with_dpop` accepts those that are bound to a key, under the scheme `DPoP`, with a proof in each request (RFC 9449);
//! with `mtls`, `with_mtls` accepts those that are bound to the certificate of the TLS connection (RFC 8705). A token
//! that was seen before is proven anew. What is bound in a way that the layer was not told to ask for is refused, and
//! with [`with_binding_required`](JwtLayer::with_binding_required) so is what is not bound.
//!
//! ```
//! # #[cfg(all(feature = "dpop", feature = "mtls", any(feature = "aws-lc-rs", feature = "rust-crypto")))] {
//! # fn layer() -> Result<(), Box<dyn std::error::Error>> {
//! use bartizan_auth::{Algorithm, Dpop, JwtLayer, KeySet, MutualTls, TokenPolicy};
//!
//! # let jwks = br#"{"keys": []}"#;
//! let keys = KeySet::from_jwks(jwks, Algorithm::Es256)?;
//! let layer = JwtLayer::new(keys, TokenPolicy::new("https://id.example", ["https://orders.example"])?)
//!     .with_dpop(Dpop::new("https://orders.example", [Algorithm::Es256, Algorithm::EdDsa])?)
//!     .with_mtls(MutualTls::new().with_trusted_proxies(["10.0.0.0/8"])?)
//!     .with_binding_required();
//! # Ok(()) }
//! # }
//! ```
//!
//! # Who may do what
//!
//! [`RequireLayer`] asks on a route for a scope or a role, or for a [`Require`] put together of scopes, roles, tenants,
//! kinds and conditions. [`AuthorizeLayer::table`] holds the rules of a whole service, by route template and gRPC
//! method, and refuses what no rule covers:
//!
//! ```
//! use bartizan_auth::{AuthorizeLayer, Require};
//! use bartizan_core::{Principal, RequestContext};
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let table = AuthorizeLayer::table()
//!     .public("GET", "/health")
//!     .route("GET", "/v1/orders/{id}", Require::scope("orders:read"))
//!     .route("*", "/v1/orders/{id}", Require::scope("orders:write").and(!Require::role("trainee")))
//!     .grpc("/shop.Orders/Create", Require::scope("orders:write"))
//!     .build()?;
//! let service = ServiceBuilder::new()
//!     .layer(table)
//!     .service(service_fn(async |_: Request<String>| Ok::<_, std::convert::Infallible>(Response::new(String::new()))));
//! let status = async |method: &str, path: &str| {
//!     let mut request = Request::builder().method(method).uri(path).body(String::new()).expect("it is well formed");
//!     let reader = Principal::user("alice").scopes(["orders:read"]).build();
//!     RequestContext::of(&mut request).set_principal(reader); // An authentication layer does, most often.
//!     service.clone().oneshot(request).await.expect("it never fails").status()
//! };
//!
//! assert_eq!(status("GET", "/v1/orders/7").await, StatusCode::OK);
//! assert_eq!(status("DELETE", "/v1/orders/7").await, StatusCode::FORBIDDEN);
//! assert_eq!(status("GET", "/v1/%2e%2e/health").await, StatusCode::FORBIDDEN, "no other spelling passes");
//! assert_eq!(status("GET", "/v1/stats").await, StatusCode::FORBIDDEN, "no rule, no access");
//! # Ok(()) }
//! ```
//!
//! Without a principal the answer is 401, with the challenges of the authentication layers that let the request pass;
//! without the right it is 403, and names what is missing where that tells no secret; what is
//! [hidden](Require::hidden) is 404. An [`AsyncPolicy`] may be asked after the rules; when it fails, nobody passes.
//! With [`with_dry_run`](AuthorizeLayer::with_dry_run) all this is decided, counted and told, and everybody passes.
//!
//! # Keys
//!
//! `orders_7HqN2mXk4TzB_` and 38 characters: 32 of secret, 190 random bits, and 6 of checksum; see [`ApiKey`]. Stores
//! hold SHA-256 digests, never secrets. To change a secret without an interruption,
//! [`rotate`](KeyRecord::rotate) the record and hand it to [`StaticKeys::replace`]: the old and the new key are live
//! until [`retire_previous`](KeyRecord::retire_previous). A revocation by `replace` takes effect with the next
//! request.
//!
//! [`FileKeys`] keeps the records in a file that is read again when it changes: a revocation takes 5 seconds at most, and
//! a bad file leaves the last good keys in place. [`CachedKeys`] asks an [`AsyncKeyStore`] of one's own, once at a time
//! for each key, and remembers the answer for 30 seconds; while the store is away, the keys it remembers go on, and the
//! rest gets 503.
//!
//! # Deployment
//!
//! - Serve keys over TLS alone: whoever sees one has it.
//! - A key limited to networks needs the client's address, so a layer that finds it must stand further out; a peer
//!   address is not used, since behind a proxy it is the proxy's. A key limited to routes needs the router's
//!   template: with axum, the layer belongs under `Router::layer`, and the feature `axum` must be on.
//! - Shared caches know that `Authorization` makes an answer private, and do not know it of `x-api-key`: handlers
//!   behind one should answer with `Cache-Control: private`.
//! - With a key in the query, an outer access log, a proxy, and axum's `OriginalUri` see it. Prefer a header.
//! - Failed attempts are cheap (no key stretching: a secret of 190 bits needs none), yet not free: put a limit by
//!   address further out. It tells a guess from a request without a key by
//!   [`is_failed_credential`](bartizan_core::Rejection::is_failed_credential) of the `Rejection` in the response's
//!   extensions, and can charge more for it.
//!
//! # In a stack
//!
//! [`BearerLayer`] belongs to phase `client::Credentials` of an outgoing stack, inside of retries.
//!
//! [`ApiKeyLayer`], [`JwtLayer`] and [`AuthLayer`] belong to phase `Authentication`: inside limits by address, outside
//! limits by principal. They provide `Principal`; as `optional` they do not. [`AuthorizeLayer`] and [`RequireLayer`],
//! which is the same for single routes (`.route_layer(RequireLayer::scope("orders:write"))`), belong to phase
//! `Authorization` and need `Principal`, but as `optional`. A table belongs under axum's `Router::layer`, where the
//! template is known, or around a tonic server.
//!
//! # What it tells
//!
//! - Metric `bartizan_auth_decisions_total{scheme,outcome,reason}`: scheme `api_key`, `jwt`, `auth` (neither or
//!   both), `require` or `authorize`; outcome `accepted`, `anonymous`, `bypassed`, `refused` or, in a dry run,
//!   `would_refuse`; reason `none`, `missing`, `ambiguous`, `malformed`, `unknown_key`, `wrong_secret`,
//!   `not_yet_valid`, `expired`, `revoked`, `wrong_network`, `wrong_route`, `store_unavailable`,
//!   `malformed_header`, `unsupported`, `wrong_algorithm`, `ambiguous_key`, `bad_signature`, `wrong_type`, `wrong_issuer`,
//!   `wrong_audience`, `too_old`, `missing_claim`, `invalid_claims`, `keys_not_loaded`,
//!   `unsupported_binding`, `unbound`, `wrong_scheme`, `no_certificate`, `wrong_certificate`, `missing_proof`,
//!   `invalid_proof`, `wrong_proof_key`, `stale_proof`, `replayed_proof`, `nonce_wanted`, `proofs_full`,
//!   `no_principal`, `insufficient_scope`, `insufficient_role`, `wrong_tenant`, `wrong_kind`, `condition`, `uncovered`,
//!   `ambiguous_path`, `policy_denied` or `policy_unavailable`.
//! - Metric `bartizan_auth_key_file_reloads_total{outcome}`: `loaded` or `failed`.
//! - Metric `bartizan_jwks_refreshes_total{issuer,outcome}`: `success`, `timeout`, `unreachable`, `too_large`, `status`,
//!   `malformed`, `no_usable_key`, `wrong_issuer` or `bad_discovery`. The issuer, or the address of its keys, is that of the
//!   configuration. `bartizan_jwks_refreshed_timestamp_seconds{issuer}`: when the keys in force were fetched.
//!   `bartizan_jwks_exposed_keys_total{issuer,kind}`: `symmetric` and `private` keys among the public ones.
//! - Metric `bartizan_bearer_refreshes_total{endpoint,outcome}`: `success`, `timeout`, `unreachable`, `too_large`,
//!   `refused`, `malformed`, `not_bearer`, `unusable` or `expired`.
//! - Facts of the wide event: `auth.scheme`, `auth.outcome`, `auth.key_id`, `auth.token_id`, `auth.failure`,
//!   `auth.would_refuse`.
//! - `tracing` events of target `bartizan::auth`: refusals at `info`, the rest at `debug`; the field `event` is
//!   `authn_success`, `authn_fail` or `authz_fail`. A route without a rule is a `warn`, a policy, a store or a key file
//!   that fails an `error`. Keys that could not be fetched are a `warn` while the last good ones stay, else an `error`; so
//!   are tokens for outgoing requests; a secret that an issuer publishes is a `warn`.
//!
//! # Features
//!
//! - `aws-lc-rs` (on by default): cryptography by aws-lc-rs, which needs a C compiler. Without it, digests are by
//!   RustCrypto.
//! - `dpop`: tokens bound to a key. `mtls`: tokens bound to a certificate. `tonic-tls`: the same, and the certificate is
//!   found where tonic's TLS acceptor leaves it.
//! - `rust-crypto`: tokens are verified by RustCrypto, unless `aws-lc-rs` is on, too. With neither no key for tokens can be
//!   made.
//! - `https-client`: `HttpsClient`, which fetches keys and tokens unless another client is given. TLS by rustls with
//!   aws-lc-rs, whatever verifies tokens.
//! - `axum`: routes are those of axum's routers, and the parameters of a nested router's prefix are known to conditions
//!   and policies; `TokenClaims` is an argument of handlers.
//! - `metrics`: counts through the `metrics` facade.
//! - `tracing`: emits events.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admit;
mod auth_layer;
mod authorize;
mod bearer;
mod challenge;
mod credential;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod failure;
mod future;
mod held;
mod jwks;
mod jwt;
mod key;
mod layer;
mod outbound;
mod path;
mod pop;
mod service;
mod settings;
mod static_keys;
mod store;
mod stores;
mod telemetry;
mod verify;

use self::failure::Failure;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
#[cfg(feature = "https-client")]
pub use self::outbound::{HttpsClient, HttpsClientError, HttpsClientFuture};
#[cfg(feature = "dpop")]
pub use self::pop::Dpop;
#[cfg(feature = "mtls")]
pub use self::pop::{ClientCertificate, MutualTls};
pub use self::{
    auth_layer::{AuthFuture, AuthLayer, AuthService},
    authorize::{
        Access, AccessPolicy, AsyncPolicy, Authorize, AuthorizeLayer, NoPolicy, PolicyDecision, PolicyQuery,
        Require, RequireLayer, RuleTable,
    },
    bearer::{
        BearerFuture, BearerLayer, BearerService, ClientCredentials, ClientTokens, NoResend, ResendBody,
        ResendCloned, ResendEmpty,
    },
    error::{ConfigError, GenerateError, ParseKeyError},
    future::ApiKeyFuture,
    held::HeldFuture,
    jwks::{RemoteKeys, RemoteKeysBuilder},
    jwt::{
        Algorithm, Algorithms, AnyKeys, AnyRefresh, ClaimsShape, IgnoredKey, JwkSetError, JwtFuture,
        JwtLayer, JwtService, KeyError, KeyQuery, KeySet, KeySource, Lookup, SharedKeys, TokenClaims,
        TokenPolicy, VerifyingKey,
    },
    key::{ApiKey, KeyRecord, StoredKey},
    layer::{ApiKeyLayer, Optional, Presence, Required},
    outbound::FetchWait,
    service::ApiKeyService,
    static_keys::{FoundKey, StaticKeys},
    store::{AsyncKeyStore, KeyStore},
    stores::{CachedKeys, FileKeys, FileKeysError, FileWatch},
};
