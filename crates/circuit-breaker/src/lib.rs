//! Circuit breakers for tower services and clients: what fails is not called for a while, its callers get an answer at
//! once, and it comes back gently and by itself. One breaker for each upstream, route or tenant, in bounded memory; HTTP
//! and gRPC outcomes are judged when the response body has ended.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//!
//! use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer};
//! use bartizan_core::{Clock, ManualClock};
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let time = ManualClock::new();
//! let policy = BreakerPolicy::new()
//!     .with_time_window(Duration::from_secs(10), 10)?
//!     .with_minimum_calls(10)?
//!     .with_open_time(Duration::from_secs(5))?;
//! let breaker = CircuitBreakerLayer::new(policy).with_name("supplier")?.with_clock(Clock::from(time.clone()));
//! // In real life an HTTP client; this one answers with the status that the path says.
//! let supplier = breaker.layer(service_fn(async |request: Request<String>| {
//!     let status = request.uri().path()[1..].parse::<StatusCode>().unwrap();
//!     Ok::<_, Infallible>(Response::builder().status(status).body(String::new()).unwrap())
//! }));
//! let call = |status: &str| {
//!     let request = Request::get(format!("http://supplier.internal/{status}")).body(String::new()).unwrap();
//!     supplier.clone().oneshot(request)
//! };
//!
//! for _ in 0..10 {
//!     assert_eq!(call("503").await?.status(), 503);
//! }
//! // The supplier is down: it is not called any more.
//! let refused = call("200").await?;
//! assert_eq!(refused.status(), 503);
//! assert_eq!(refused.headers()["content-type"], "application/problem+json");
//! assert_eq!(refused.headers()["retry-after"], "5");
//!
//! // After five seconds three calls probe whether it is well again.
//! time.advance(Duration::from_secs(5));
//! for _ in 0..10 {
//!     assert_eq!(call("200").await?.status(), 200);
//! }
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **Key.** [`PerUpstream`] (the default: host and port), [`PerUpstreamRoute`], [`PerRoute`], [`PerTenant`],
//!    [`Single`] or a closure in a [`KeyFn`] says which breaker a request belongs to. Requests without a key share one.
//! 2. **Failures**, as [`ClientClassifier`](bartizan_core::ClientClassifier) says: the service returned an error, a
//!    timeout, a body that broke off, HTTP 500, 502, 503 or 504, gRPC UNKNOWN, INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED
//!    or DATA_LOSS; 429 and RESOURCE_EXHAUSTED
//!    [on demand](CircuitBreakerLayer::with_limited_as_failure). All else that an upstream says is a success. What the
//!    caller cancelled, and what a layer on this side refused, is ignored: as if it had not been. A call is judged when
//!    the body of its response has ended, a gRPC call by its trailers. A body that nobody asked for is no cancelled call:
//!    then the head is judged, successes too, and a head that tells a failure is one whenever the body is given up.
//! 3. **Closed**, all calls pass. The breaker opens when of at least so many calls in its window too many failed or were
//!    slow, or too many failed one after the other. [`BreakerPolicy`] says how many those are.
//! 4. **Open**, no call passes: 503 with `Retry-After`, or UNAVAILABLE with `RetryInfo`, at once and without asking the
//!    inner service; or what the [fallback](CircuitBreakerLayer::fallback) answers. The time it stays open may grow with
//!    each recovery that failed, and may be what the upstream
//!    [asked for](CircuitBreakerLayer::with_retry_after).
//! 5. **Half-open**, with the first call after that time: a few calls pass as probes. Once all of them have ended they
//!    decide. A probe that was cancelled or ignored gives its permit to another call; probes that hang open the breaker
//!    again.
//! 6. **Recovering**, on demand: a share of the calls passes that grows step by step.
//! 7. What began before a change of state does not count after it, and each change is told exactly once.
//! 8. **Memory.** There are at most [`with_max_breakers`](CircuitBreakerLayer::with_max_breakers) breakers, 1024 by
//!    default. A new key takes the place of a breaker that is idle: closed, or open no more for long, and called by
//!    nobody. While there is none, new keys share a breaker, which is reported once. There is no background task.
//! 9. **State** belongs to the [`CircuitBreakerLayer`] value and is shared by its clones, its services and its
//!    [`CircuitBreakerHandle`], which reads it, forces it, and subscribes to changes.
//!
//! The inner service must be ready before a request is decided on, since nobody knows yet which breaker it belongs to. A
//! [`Single`] breaker that is open does not wait for that: it may be what keeps the service from becoming ready.
//!
//! # Deployment
//!
//! - A breaker holds per process. Each instance of a service finds out for itself, and each sends its own probes.
//! - A response that streams for hours is a probe that hangs. Keep such routes out of the breaker, or in one of their own
//!   with a [longer wait](BreakerPolicy::with_half_open_wait).
//! - A breaker per route or per closure should not have a key that callers choose freely: each would be counted alone.
//! - An open breaker is no reason to take a service out of rotation; show it beside its readiness, not as part of it.
//!
//! # Place in a stack
//!
//! On a client inside of retry, limit and bulkhead (phase `breaker`), so that each attempt is counted and a refusal is
//! never repeated. On a server in phase `load`, before anything is known of the caller; by tenant after authentication
//! (phase `principal_bulkhead`). Around a handler of your own,
//! [`ServerClassifier`](bartizan_core::ServerClassifier) counts panics and refusals with a 5xx as well. A request that is
//! served is known by its [`RequestContext`](bartizan_core::RequestContext): it is not judged by the content type that its
//! caller gave it, and without any other layer of this family around the breaker `ServerClassifier` is the one to take.
//!
//! The wide event of a request gets `circuit_breaker.name` and `circuit_breaker.state` when the breaker was not simply
//! closed, and `circuit_breaker.refused`, `circuit_breaker.retry_after_seconds` and `circuit_breaker.fallback` of one that
//! was refused. For an outgoing call that is the request it is made for, with the feature `scope`.
//!
//! # Features
//!
//! All off by default.
//!
//! - `metrics`: `bartizan_circuit_breaker_state{name,state}`, how many breakers of the layer are in each state;
//!   `bartizan_circuit_breaker_transitions_total{name,from,to}`; `bartizan_circuit_breaker_refusals_total{name}`. No key
//!   is a label.
//! - `scope`: outgoing calls find the request they are made for.
//! - `tracing`: a `WARN` event when a breaker opens, an `INFO` event for each other change, with `name`, `key`, `from`,
//!   `to` and `cause`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod breaker;
mod config;
mod fallback;
mod future;
mod guard;
mod handle;
mod key;
mod layer;
mod pause;
mod policy;
mod presets;
mod refusal;
mod registry;
mod service;
mod settings;
mod slot;
mod subscription;
mod sync;
mod telemetry;
mod window;

pub use self::{
    body::BreakerBody,
    breaker::{Admission, Breaker, Cause, Permit, Refused, Snapshot, State, Transition},
    config::ConfigError,
    fallback::{Fallback, FallbackFuture, FallbackTo, NoAnswer, NoFallback},
    future::CircuitBreakerFuture,
    guard::Guard,
    handle::{BreakerReport, CircuitBreakerHandle, KeyedBreaker},
    key::{BreakerKey, KeyFn, PerRoute, PerTenant, PerUpstream, PerUpstreamRoute, Single},
    layer::CircuitBreakerLayer,
    policy::{BreakerPolicy, HungProbes},
    service::CircuitBreaker,
    subscription::{TransitionEvent, Transitions},
};

/// The name of the layer in refusals, events and stacks.
const LAYER: &str = "circuit_breaker";

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
