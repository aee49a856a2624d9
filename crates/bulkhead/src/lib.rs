//! Bulkheads for HTTP and gRPC on tower: only so many requests at once, so that one slow dependency, route or tenant does
//! not take the whole service down. How many is a number, or [found out](AdaptiveConcurrencyLayer).
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//!
//! use bartizan_bulkhead::BulkheadLayer;
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One at once, and one that waits for at most a second.
//! let bulkhead = BulkheadLayer::new(1)?.with_queue(1, Duration::from_secs(1))?;
//! let orders = bulkhead.layer(service_fn(async |_: Request<String>| {
//!     tokio::time::sleep(Duration::from_millis(500)).await;
//!     Ok::<_, Infallible>(Response::new(String::from("[]")))
//! }));
//! let call = || orders.clone().oneshot(Request::new(String::new()));
//!
//! let (first, second, third) = tokio::join!(call(), call(), call());
//! let (first, third) = (first?, third?);
//! assert_eq!(first.status(), 200);
//! assert_eq!(third.status(), 503);
//! assert_eq!(third.headers()["retry-after"], "1");
//! // The second waits until the body of the first has ended, and gives up after a second.
//! assert_eq!(second?.status(), 503);
//! drop(first);
//! assert_eq!(call().await?.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **Place.** A request holds a place until the body of its response has ended or was dropped, or until it is given
//!    up. [`BulkheadHandle`] tells how many are held.
//! 2. **Key.** One limit for all requests, or the same for [each route](PerRoute), [tenant](PerTenant),
//!    [principal](PerPrincipal), [upstream](PerAuthority), or by [a closure](KeyFn).
//! 3. **Queue.** Who finds no place [waits](BulkheadLayer::with_queue), where that is set, first come, first served within
//!    a priority, for so long at most and no longer than until its deadline. Giving up the request gives up the place in
//!    the line, and a place that it got in that moment goes to the next.
//! 4. **Priority.** [High](Priority::High) is served before all others and may have [reserved
//!    places](BulkheadLayer::with_reserved); in a full queue it takes the place of the last of the least important, who is
//!    refused. [Exempt](Priority::Exempt) takes no place. gRPC's health checks are high unless set otherwise.
//! 5. **Refusal.** 503 (UNAVAILABLE) with `Retry-After` (`RetryInfo`). On a client too, as a proxy would; nothing was
//!    sent then.
//! 6. **Memory.** At most [`with_max_keys`](BulkheadLayer::with_max_keys) keys are told apart, each while its requests
//!    are under way; more share one bulkhead. A key with a limit that learns is remembered until its place is wanted.
//! 7. **State** belongs to the layer value and is shared by its clones and its services.
//!
//! `ConcurrencyLimitLayer` of `bartizan-rate-limit` counts too. It is a quota: so much of the service a caller may hold
//! (429), and nobody waits. A bulkhead protects what is behind it, whoever calls (503).
//!
//! # Deployment
//!
//! - The limit holds per process: three instances let through three times as much.
//! - A limit that is too high does nothing, one that is too low refuses for nothing. Begin with the adaptive one, or at
//!   requests per second × seconds per request (Little's law), and half as much again.
//! - An upgraded connection (WebSocket) holds no place after its 101.
//!
//! # Place in a stack
//!
//! Phase `load`, outside of authentication, where refusing costs least; [`PerTenant`] and [`PerPrincipal`] after it, in
//! phase `principal_bulkhead`. Inside of the layer that sets deadlines, so that they hold for waiting too. On a client in
//! its phase `bulkhead`, inside of retries: each attempt takes a place. A checked stack does not build in another order.
//!
//! The wide event gets `bulkhead.waited_seconds` of a request that waited, and `bulkhead.refused` with `full`,
//! `timed_out` or `shed`.
//!
//! # Features
//!
//! All off by default.
//!
//! - `metrics`: `bartizan_bulkhead_decisions_total{name,outcome}` with the outcomes `admitted`, `waited`, `exempt`, `full`,
//!   `timed_out` and `shed`; `bartizan_bulkhead_queued{name}`, `bartizan_bulkhead_wait_seconds{name}`;
//!   `bartizan_bulkhead_limit{name}` of an adaptive limit without keys; `bartizan_bulkhead_overflows_total{name}`.
//! - `scope`: outgoing calls know the tenant of the request they are made for, and its deadline.
//! - `tracing`: an adaptive limit that moves is an event of level debug.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod future;
mod handle;
mod key;
mod layer;
mod limit;
mod permit;
mod priority;
mod rooms;
mod service;
mod telemetry;

pub use self::{
    config::ConfigError,
    future::BulkheadFuture,
    handle::BulkheadHandle,
    key::{BulkheadKey, Global, Key, KeyFn, PerAuthority, PerPrincipal, PerRoute, PerTenant},
    layer::{AdaptiveConcurrencyLayer, BulkheadLayer},
    limit::{Fixed, Limit, Sample, Vegas},
    permit::Permit,
    priority::Priority,
    service::Bulkhead,
};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
