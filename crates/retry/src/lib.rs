//! Retries for outgoing calls over HTTP and gRPC: bodies that are sent again without being cloneable, a policy that knows
//! what may be repeated, and a budget, so that they cannot make an outage worse.
//!
//! ```
//! use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering}};
//!
//! use bartizan_retry::{Attempts, ReplayBody, RetryLayer};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! type Body = Full<bytes::Bytes>;
//!
//! // A supplier that fails every other time.
//! let calls = AtomicU32::new(0);
//! let supplier = service_fn(async |_: Request<ReplayBody<Body>>| {
//!     let mut response = Response::new(Body::from("1.25 EUR"));
//!     if calls.fetch_add(1, Ordering::Relaxed) % 2 == 0 {
//!         *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
//!     }
//!     Ok::<_, Infallible>(response)
//! });
//! let client = RetryLayer::new().with_name("supplier")?.layer(supplier);
//!
//! let request = Request::put("https://supplier.example/quotes/17").body(Body::from("{}"))?;
//! let response = client.clone().oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.extensions().get::<Attempts>().map(|attempts| attempts.get()), Some(2));
//!
//! // What may have been processed, and must not be twice, is not sent again.
//! let request = Request::post("https://supplier.example/orders").body(Body::from("{}"))?;
//! assert_eq!(client.oneshot(request).await?.status(), 503);
//! assert_eq!(calls.load(Ordering::Relaxed), 3);
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **What is retried** the [`Policy`] says; [`StandardPolicy`] is right for most: what was surely not processed, for
//!    any method; 408, 429, 502, 503, 504, broken connections and timeouts where the method is idempotent, or an
//!    `Idempotency-Key` or the mark [`Idempotent`] makes the request so; UNAVAILABLE over gRPC.
//! 2. **What is never retried.** A refusal by a layer of ours inside, such as an open breaker, except that of a timeout. A
//!    gRPC call whose response has begun: it is committed. A call that is a retry already, of those who asked us. A
//!    response of which the caller has the head: a body that breaks off later is the caller's to see.
//! 3. **Waits** are those of the [`Backoff`]: random, longer each time. `Retry-After` (seconds, or any form of a date)
//!    and gRPC's pushback are kept to, and never undercut; what asks for more than 30 s, or more than there is time, is
//!    returned at once.
//! 4. **Budget.** A [`Budget`] bounds the retries to a fifth of the calls, and ten per second on top, so that an upstream
//!    that is down gets 1.2 times its load and not three times.
//! 5. **Bodies** are kept while the first attempt sends them, up to 64 KiB ([`ReplayBody`]); no request has to be
//!    `Clone`. A body of which more was sent is not sent again; that is reported once.
//! 6. **Time.** A call ends with the deadline of the request it is made for, its `grpc-timeout`, and the timeouts that are
//!    set. Each attempt has the least of its own and what is left, and no attempt begins without time for it. A call that
//!    runs out of time is answered with 504 (DEADLINE_EXCEEDED).
//! 7. **What the caller gets** is the last response or error as it came, with the number of [`Attempts`] in the
//!    response's extensions when there were several.
//! 8. **gRPC** is what [gRFC A6] says: at most 5 attempts, `grpc-previous-rpc-attempts`, pushback, throttle, transparent
//!    retries. The response head of a call is handed on at once, and its trailers pass untouched.
//!
//! A response that is retried is read to its end while the next attempt waits, if that is no more than 16 KiB, so that its
//! connection can be used again.
//!
//! [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
//!
//! # Deployment
//!
//! - Retry in one place. Each layer of services that retries multiplies the load of an outage.
//! - The budget holds per process, and per layer unless a handle is shared.
//! - Waiting is by tokio's timer, which must be enabled.
//! - A breaker or metrics inside do not see an attempt that [`RetryLayer::with_attempt_timeout`] ends. With them, time each
//!   attempt inside of them: `OutboundTimeoutLayer::per_attempt` of `bartizan-deadline`.
//! - Metrics are counters whose handles are kept: `metrics-exporter-prometheus` with an `idle_timeout` for counters deletes
//!   those that rested, and they never come back until the process starts anew. Set none.
//! - The inner service's error is a [`std::error::Error`]; a boxed one is not, and has to be wrapped.
//!
//! # Place in a stack
//!
//! Phase `retry` of an outgoing stack: inside the total deadline, outside of outbound limits, bulkhead and breaker, which
//! each attempt passes. It needs nothing and provides nothing.
//!
//! The wide event of the request that is served gets `retry.attempts` and `retry.reason` when there were several, and
//! `retry.skipped` when a failure was not retried.
//!
//! # Features
//!
//! All off by default.
//!
//! - `hyper`: recognises the errors of hyper, hyper-util's client and h2, and so those of reqwest and tonic. Without it
//!   only a refused connection is known to have processed nothing.
//! - `metrics`: `bartizan_retry_attempts_total{name,reason}`, where the reason of what is no retry is `first`,
//!   `bartizan_retry_skipped_total{name,reason}` and `bartizan_retry_budget_exhausted_total{name}`.
//! - `scope`: calls keep the deadline of the request that is served, and tell its wide event.
//! - `tracing`: faults are `tracing` events instead of lines on standard error.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempts;
mod backoff;
mod body;
mod budget;
mod call;
mod config;
mod drain;
mod failure;
mod future;
mod grpc;
mod head;
mod hedge;
mod inbound;
mod layer;
mod limits;
mod policy;
mod replay;
mod response;
mod service;
mod telemetry;
mod time;

pub use self::{
    attempts::Attempts,
    backoff::Backoff,
    body::RetryBody,
    budget::{Budget, CostBudget, GrpcThrottle, RatioBudget},
    config::ConfigError,
    failure::Failure,
    future::RetryFuture,
    head::{Idempotent, RequestHead},
    hedge::{Hedge, HedgeFuture, HedgeLayer, LatencyPercentile},
    inbound::{InboundRetry, InboundRetryLayer},
    layer::RetryLayer,
    policy::{
        Again, Attempt, AttemptOutcome, Decision, Policy, ResponseHead, RetryReason, SkipReason,
        StandardPolicy,
    },
    replay::{GivenUp, Replay, ReplayBody},
    service::Retry,
};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
