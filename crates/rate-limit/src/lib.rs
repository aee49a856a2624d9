//! Rate limits per caller, for HTTP and gRPC services on tower: so many requests per second, minute or hour, and
//! no more at once than a burst. Exact per caller (GCRA, decided by [`governor`]), in memory that has a bound.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bartizan_core::{ClientAddr, RequestContext};
//! use bartizan_rate_limit::{PerClientAddr, Rate, RateLimitLayer};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 100 at once, and one more each minute.
//! let limit = RateLimitLayer::new(Rate::per_minute(1)?.burst(100)?).by(PerClientAddr);
//! let orders = limit.layer(service_fn(async |_: Request<String>| {
//!     Ok::<_, Infallible>(Response::new(String::from("[]")))
//! }));
//!
//! let request = || {
//!     let mut request = Request::new(String::new());
//!     // What `ClientAddrLayer`, further out, does.
//!     RequestContext::of(&mut request).set_client_addr(ClientAddr::new([192, 0, 2, 7].into()));
//!     request
//! };
//! for _ in 0..100 {
//!     assert_eq!(orders.clone().oneshot(request()).await?.status(), 200);
//! }
//! let refused = orders.oneshot(request()).await?;
//! assert_eq!(refused.status(), 429);
//! assert_eq!(refused.headers()["content-type"], "application/problem+json");
//! assert_eq!(refused.headers()["retry-after"], "60");
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **Key.** [`PerClientAddr`], [`PerPrincipal`], [`PerTenant`], [`PerCredential`], [`PerHeader`], [`PerRoute`],
//!    [`PerMethod`], [`Global`], a tuple of them or a closure in a [`KeyFn`] says whose bucket a request takes from.
//!    A request without a key takes from one bucket that all such requests share, or is refused, see
//!    [`MissingKey`]; it is never unlimited, and never an error. What is missing in the stack is reported once, with
//!    its fix; by principal only when no request has one, since some paths may be open to all.
//! 2. **Decision.** A bucket holds `burst` requests and fills by one every `period / limit`. A request that finds
//!    it empty is refused and takes nothing. A [sliding window](RateLimitLayer::with_sliding_window) is there too.
//!    Time is read once per request, shared with the other layers.
//! 3. **Several limits** of one layer, [added](RateLimitLayer::and) one by one, are decided together: a request
//!    takes from all of them or from none. Each may have [tiers](RateLimitLayer::with_tier), a
//!    [cost](RateLimitLayer::with_cost_by), a [charge](RateLimitLayer::with_charge) by what became of the request,
//!    or be a [rehearsal](RateLimitLayer::with_shadow). A bad credential costs a limit by address
//!    [ten requests more](RateLimitLayer::with_failed_credential_charge).
//! 4. **Exempt** are the [methods](RateLimitLayer::with_exempt_methods), [paths](RateLimitLayer::with_exempt_paths) and
//!    [addresses](RateLimitLayer::with_allow_list) that are set, and by choice
//!    [preflights](RateLimitLayer::with_exempt_preflights).
//! 5. **Refusal.** HTTP: 429 with `Retry-After`, rounded up to whole seconds and at least 1, `Cache-Control:
//!    no-store`, and a problem (RFC 9457) of the registered type `quota-exceeded` that names the policies in
//!    `violated-policies`. gRPC: RESOURCE_EXHAUSTED with `RetryInfo`, `QuotaFailure` and `grpc-retry-pushback-ms`.
//!    A caller that waits as long as it was told is let through, if nobody takes its place. A cost above the burst,
//!    which no waiting helps, is 413 (INVALID_ARGUMENT).
//! 6. **Told to callers**, on demand and after authentication only: [`RateLimit` and
//!    `RateLimit-Policy`](HeaderFields). To handlers: [`Decisions`].
//! 7. **Memory.** At most [`with_max_keys`](RateLimitLayer::with_max_keys) keys are remembered by a limit, 100 000 by
//!    default, each in a fixed number of bytes whatever callers send. A new key takes the place of one whose bucket
//!    is full again, never of one that is still limited. While there is no such place, new keys share a bucket of
//!    the same rate; that is counted, and reported once. There is no background task.
//! 8. **State** belongs to the [`RateLimitLayer`] value and is shared by its clones and its services.
//!
//! [`ConcurrencyLimitLayer`] bounds what is under way at once, until the bodies of the responses have ended.
//!
//! # Deployment
//!
//! - In memory the limit holds per process: three instances behind a balancer let through three times the rate; and
//!   state is gone after a restart: every bucket is full again. [In Redis](#redis) neither is so.
//! - Behind a proxy all callers have the proxy's address until the layer that finds the address knows the proxy.
//! - Give each limit of a service a [name](RateLimitLayer::with_name) of its own; it is in refusals and metrics.
//!
//! ## Redis
//!
//! With the feature `redis`, `RateLimitLayer::in_redis` moves the limits of a layer to Redis or Valkey (6 and later): one
//! server, a master that sentinels know, or a cluster. All instances of a service then share them.
//!
//! - **One round trip** for each request, however many limits it has: a script decides all of them at once, by the
//!   same algorithms as in memory, over the server's clock. A clock that goes back stands still until it has caught up.
//! - **Away.** A request waits for 50 ms at most (`RedisStore::with_timeout`), connection included. What becomes of it
//!   then says `FailureMode`: it passes (the default), is refused with 503, or is decided by a limit in memory of the
//!   same settings. After three failures in a row nobody waits any more: one task looks for Redis, about once a second,
//!   asks sentinels again, and takes it back once it decides in time. Each request that Redis did not decide is
//!   counted, and the fault is reported once.
//! - **A flood** from few callers need not reach Redis: `RedisRateLimitLayer::with_local_refusals`.
//! - **Keys** are named `bartizan:<limit>:b:<digest>`, for a sliding window `w`, and hold a few numbers until the
//!   bucket is full again. Limits of one name under one prefix (`RedisStore::with_prefix`) are one limit. Of what a
//!   caller sent there is only a digest (HMAC-SHA-256); `RedisStore::with_secret` keeps those who read Redis from
//!   finding what can be guessed, such as addresses.
//! - **The server** needs memory enough, and the policy `noeviction` or `volatile-ttl`: a key that is evicted early is a
//!   bucket that is full early. After a failover, what the new master had not heard of is not spent. A user of its own
//!   needs no more than `~bartizan:* +eval +evalsha +get +set +del +time`.
//! - **A cluster** is asked by one script for each slot, at once. When one limit refuses, what others have taken is
//!   given back right after. `RedisRateLimitLayer::with_slot_by` keeps all limits of a request in one slot.
//! - **Charges** and refunds after the response are sent when it has ended, and nobody waits for them: at most 1024 at
//!   once, beyond that and while Redis is away they are lost, and counted.
//! - **Roll-outs.** A limit whose rate changes keeps what its keys have used, as time until the bucket is full.
//!
//! # Place in a stack
//!
//! A limit by address stands after the layer that finds the address and before authentication (phase
//! `address_limit`), so that a flood of bad credentials costs little; one by principal, tenant or credential after
//! authentication (phase `principal_limit`); one by header, route, method or [`Global`] in phase `load`; several,
//! and tuples, where the latest of them does; and [any of them elsewhere](KeyExtractor::at). A checked stack does
//! not build in another order. On its own, in a `ServiceBuilder` or under `Router::layer`, the layer works just as
//! well, with the same needs.
//!
//! The wide event gets `rate_limit.policy`, `rate_limit.remaining` and, of a refusal,
//! `rate_limit.retry_after_seconds`, of the tightest limit of the layer that decided last;
//! `rate_limit.shared_bucket` (`no_key`, `overflow`) when the bucket is not the caller's own; and
//! `rate_limit.would_refuse` with the name of a rehearsal; `rate_limit.store_failure` (`timeout`, `error`, `down`) when
//! Redis did not decide.
//!
//! # Features
//!
//! All off by default.
//!
//! - `metrics`: `bartizan_rate_limit_decisions_total{policy,outcome}` with the outcomes `allowed`, `limited`,
//!   `would_limit` and `no_key` (of a request that one limit refuses, those that would have allowed it count
//!   nothing), `bartizan_rate_limit_keys{policy}` (idle ones too: it never falls),
//!   `bartizan_rate_limit_evictions_total{policy}` for keys that gave their place to a new one,
//!   `bartizan_rate_limit_overflows_total{policy}` for requests of keys without a place. With `redis` also the outcomes
//!   `failed_open` and `failed_closed`, `bartizan_rate_limit_store_failures_total{policy,reason}` with the reasons
//!   `timeout`, `error` and `down` for requests that Redis did not decide, and
//!   `bartizan_rate_limit_charges_lost_total{policy}`.
//! - `outbound`: `OutboundRateLimitLayer`, which keeps a client within the limits of those it calls. Needs tokio.
//! - `redis`: limits in Redis or Valkey, which all instances of a service share. Needs tokio.
//! - `redis-tls`: the same over TLS, `rediss://`.
//! - `scope`: outgoing calls that wait keep the deadline of the request they are made for.
//! - `serde`: a [`Rate`] in a configuration is its text, `50/s burst 100`.
//! - `tracing`: an event for each refused request, `excess_rate_limit`, target `bartizan::rate_limit`; faults are events
//!   instead of lines on standard error.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod after;
mod body;
mod charge;
mod concurrency;
mod config;
mod decision;
mod exempt;
mod extract;
mod fingerprint;
mod future;
mod gcra;
mod headers;
mod key;
mod keys;
mod layer;
mod limit;
mod limiter;
#[cfg(feature = "outbound")]
mod outbound;
mod phases;
mod policy;
mod quota;
mod rate;
mod rate_text;
#[cfg(feature = "redis")]
mod redis;
mod refusal;
mod service;
mod store;
mod telemetry;
mod window;

pub use self::{
    body::LimitedBody,
    charge::Charge,
    concurrency::{ConcurrencyLimit, ConcurrencyLimitFuture, ConcurrencyLimitLayer, Permit},
    config::{ConfigError, MissingKey},
    decision::{Decision, Decisions},
    extract::{
        At, Global, KeyExtractor, KeyFn, PerClientAddr, PerCredential, PerHeader, PerMethod, PerPrincipal,
        PerRoute, PerTenant,
    },
    future::RateLimitFuture,
    headers::{HeaderFields, Reset},
    key::Key,
    keys::{And, Keys, Unkeyed},
    layer::RateLimitLayer,
    limiter::Limiter,
    phases::{BehindAuthentication, Latest},
    rate::Rate,
    service::RateLimit,
};

pub use bartizan_core::RequestHead;

#[cfg(feature = "outbound")]
pub use self::outbound::{OutboundRateLimit, OutboundRateLimitFuture, OutboundRateLimitLayer};

#[cfg(feature = "redis")]
pub use self::redis::{
    FailureMode, RedisRateLimit, RedisRateLimitFuture, RedisRateLimitLayer, RedisStore, RedisUnavailable,
};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
