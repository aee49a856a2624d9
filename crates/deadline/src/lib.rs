//! Deadlines for HTTP and gRPC on tower: every request to a service and every call of a client has an end, the
//! earliest that anybody set, and what takes longer is cancelled.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//!
//! use bartizan_deadline::TimeoutLayer;
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = TimeoutLayer::new(Duration::from_secs(10))?;
//! let orders = layer.layer(service_fn(async |_: Request<String>| {
//!     tokio::time::sleep(Duration::from_secs(2)).await;
//!     Ok::<_, Infallible>(Response::new(String::from("[]")))
//! }));
//!
//! let patient = Request::get("/orders").body(String::new())?;
//! assert_eq!(orders.clone().oneshot(patient).await?.status(), 200);
//!
//! let hurried = Request::get("/orders").header("x-request-deadline", "500").body(String::new())?;
//! let refused = orders.oneshot(hurried).await?;
//! assert_eq!(refused.status(), 504);
//! assert_eq!(refused.headers()["content-type"], "application/problem+json");
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **Deadline.** The earliest of the layer's own [limit](TimeoutLayer::new), which a [route](TimeoutLayer::with_route)
//!    may have its own of, of the time that the caller gives, and of what a layer further out set. Callers say how long
//!    they wait in `grpc-timeout` over gRPC (one to eight digits and `H`, `M`, `S`, `m`, `u` or `n`), and over HTTP in
//!    [`x-request-deadline`](TimeoutLayer::with_header): the milliseconds that are left. What is malformed is
//!    ignored and counted; a caller can only shorten its time.
//! 2. **Known to all.** Handlers find the deadline in the [`RequestContext`](bartizan_core::RequestContext), with what
//!    [remains](bartizan_core::Deadline::remaining) of it.
//! 3. **When it passes before the head of the response**, the inner future is dropped, and with it the work. HTTP
//!    callers get 504, gRPC callers `DEADLINE_EXCEEDED`. A request that comes with no time left is answered so at
//!    once.
//! 4. **When it passes after the head**, or the body [rests](Timeouts::with_idle) for too long, the body is dropped.
//!    A gRPC call ends with trailers that say `DEADLINE_EXCEEDED`; over HTTP the body fails with [`BodyTimedOut`], so
//!    that the server breaks the response off and the client sees that it is not whole. So does gRPC-Web. A body that
//!    never waits is looked at with each frame; one whose last frame is there is whole, however late that is.
//! 5. **A handler that is ready at once** never touches a timer.
//! 6. **Slow clients** are the affair of [`RequestBodyTimeoutLayer`]: 408 for a request body that does not come.
//! 7. **Outgoing calls** are bounded by [`OutboundTimeoutLayer`]: in total and for each attempt, by the deadline of the
//!    request that they are made for, and they tell it on.
//!
//! # Deployment
//!
//! - Work is cancelled by dropping the inner future. What a handler spawned goes on, unless it looks at the deadline.
//! - A proxy in front should wait a little longer than the service does, so that callers get the service's answer.
//! - A caller that gives a request no time makes the service answer 504. Alerts on 504 should look at
//!   `bartizan_deadline_exceeded_total` too.
//!
//! # Place in a stack
//!
//! [`TimeoutLayer`] and [`RequestBodyTimeoutLayer`] in phase `deadline`, outside of all that may wait; per route a
//! second one further in may shorten, never lengthen. [`OutboundTimeoutLayer::total`] in the client's phase
//! `total_deadline`, [`OutboundTimeoutLayer::per_attempt`] in phase `attempt`. All of them work on their own in a
//! `ServiceBuilder` or under `Router::layer`. They need tokio's time.
//!
//! The wide event gets `deadline.caller_seconds` when the caller gave a time, `deadline.ignored` when it was malformed,
//! `deadline.exceeded` with what took too long (`arrival`, `head`, `body`, `idle`, `request_body`), and, with the
//! feature `scope`, `deadline.call_exceeded` likewise for an outgoing call.
//!
//! # Features
//!
//! All off by default.
//!
//! - `metrics`: `bartizan_deadline_exceeded_total{layer,stage}` with the layers `timeout`, `request_body_timeout`,
//!   `outbound_timeout` and `attempt_timeout` and the stages above; `bartizan_deadline_ignored_total{header}`.
//! - `scope`: outgoing calls keep the deadline of the request that the running code serves.
//! - `tracing`: an ignored deadline is an event of level debug.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod call;
mod caller;
mod config;
mod future;
mod layer;
mod outbound;
mod request_body;
mod service;
mod telemetry;
mod timeouts;
mod timer;

pub use self::{
    body::{BodyTimedOut, TimeoutBody},
    config::ConfigError,
    future::TimeoutFuture,
    layer::TimeoutLayer,
    outbound::{OutboundTimeout, OutboundTimeoutLayer},
    request_body::{
        RequestBodyTimeout, RequestBodyTimeoutFuture, RequestBodyTimeoutLayer, TimedRequestBody, TooSlow,
    },
    service::Timeout,
    timeouts::Timeouts,
};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
