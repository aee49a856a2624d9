//! Request and correlation ids for tower services: taken or minted, on every response, in every log line.
//!
//! Each request gets an id of its own (`x-request-id`) and the id of the workflow it belongs to
//! (`x-correlation-id`). Logs, refusals and the caller all see the same two.
//!
//! ```
//! use bartizan_core::RequestContext;
//! use bartizan_correlation_id::CorrelationIdLayer;
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = CorrelationIdLayer::new().layer(tower::service_fn(async |request: Request<()>| {
//!     let context = RequestContext::get(request.extensions()).expect("the layer inserts one");
//!     let id = context.request_id().expect("and sets the id").to_string();
//!     Ok::<_, std::convert::Infallible>(Response::new(id))
//! }));
//!
//! // A good id is taken …
//! let request = Request::get("/").header("x-request-id", "r-7").header("x-correlation-id", "w-1").body(())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.headers()["x-request-id"], "r-7");
//! assert_eq!(response.headers()["x-correlation-id"], "w-1");
//!
//! // … and a bad one replaced; the request is served all the same.
//! let request = Request::get("/").header("x-request-id", "r-7\tforged=1").body(())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.headers()["x-request-id"].len(), 36);
//! # Ok(()) }
//! ```
//!
//! # What it does
//!
//! 1. It reads `x-request-id` and `x-correlation-id`, or [the headers you name](CorrelationIdLayer::with_headers).
//! 2. An id is taken if it is the only line of its header and has 1 to 128 characters of `[A-Za-z0-9._~+/=:@-]`.
//!    [`Trust::Edge`] takes none.
//! 3. A missing request id is made: a [version 7 UUID](UuidV7), or what [your generator](MakeId) makes. A missing
//!    correlation id is the request id.
//! 4. An id that may not be taken is replaced by a new one, never refused. The replacement is counted and noted
//!    in the wide event, by reason: `correlation_id.request_id_replaced`,
//!    `correlation_id.correlation_id_replaced`. What the caller sent is not logged, except at the edge: there it
//!    is a fact of its own, escaped and cut.
//! 5. Both ids are set in the [`RequestContext`](bartizan_core::RequestContext) and in the headers of the request,
//!    so that a proxy or handler further in sees the clean ones.
//! 6. Call, future and response body of the inner service run within the request's scope (feature `scope`).
//! 7. Both ids are set on the response, over whatever stood there: on successes, on refusals of layers further
//!    in, on panics that `NormalizeLayer` caught. For gRPC they are the leading metadata, and stand beside the
//!    status of a Trailers-Only error.
//!
//! An inner layer of the same kind, say in a nested router, keeps the ids that the outer one gave.
//!
//! # Caveats
//!
//! - An id is for finding log lines. A caller may choose one, and may send it twice: it is never a key of a
//!   cache, of deduplication or of security.
//! - Use [`Trust::Edge`] where callers are not your own, unless you want them to choose what your logs are
//!   searched by.
//! - A panic that nobody inside catches, and an error of the inner service, make no response here to set an id
//!   on.
//!
//! # In a stack
//!
//! Phase `Correlation`: inside `ProblemLayer`, outside everything else. It needs nothing and provides
//! [`fact::CorrelationId`](bartizan_core::fact::CorrelationId).
//!
//! # Features
//!
//! All off by default.
//!
//! - `scope`: the task-local scope, from which `bartizan_core::current()` tells the ids to code that never sees
//!   the request.
//! - `metrics`: the counter `bartizan_request_ids_replaced_total`, by `reason`: `untrusted`, `empty`, `too_long`,
//!   `bad_character` or `list`.
//! - `tracing`: a debug event for each replaced id, target `bartizan::correlation_id`. Also, the fields
//!   `request_id` and `correlation_id` of the span that is open around the layer, if it declares them.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod future;
mod inbound;
mod layer;
mod make;
mod service;
mod telemetry;

pub use self::{
    config::{CORRELATION_ID, ConfigError, REQUEST_ID, Trust},
    future::ResponseFuture,
    layer::CorrelationIdLayer,
    make::{MakeId, UuidV4, UuidV7},
    service::CorrelationIdService,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
