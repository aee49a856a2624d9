//! Request and correlation ids and W3C trace context for tower services: taken or made, in every log line, on every
//! response and every outgoing call.
//!
//! [`CorrelationIdLayer`] gives each request an id of its own (`x-request-id`) and the id of the workflow it belongs
//! to (`x-correlation-id`). Logs, refusals and the caller all see the same two. [`TraceContextLayer`] gives it its
//! place in a [distributed trace](#traces), and [`PropagateLayer`] sends all of them along with the calls that are
//! made for it.
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
//! # What becomes of the ids
//!
//! 1. The layer reads `x-request-id` and `x-correlation-id`, or [the headers you name](CorrelationIdLayer::with_headers).
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
//! # Traces
//!
//! [`TraceContextLayer`] follows W3C Trace Context, Level 2, and W3C Baggage.
//!
//! ```
//! use bartizan_core::RequestContext;
//! use bartizan_correlation_id::TraceContextLayer;
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TraceContextLayer::new().layer(tower::service_fn(async |request: Request<()>| {
//!     let context = RequestContext::get(request.extensions()).expect("the layer inserts one");
//!     let trace = context.trace().expect("and sets its place").trace_id();
//!     Response::builder().header("x-seen", trace.to_string()).body(String::new())
//! }));
//!
//! // The trace of the caller goes on …
//! let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! let request = Request::get("/").header("traceparent", parent).body(())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.headers()["x-seen"], "0af7651916cd43dd8448eb211c80319c");
//!
//! // … and where it is not valid, another begins; the request is served all the same.
//! let request = Request::get("/").header("traceparent", parent.to_uppercase()).body(())?;
//! let response = service.oneshot(request).await?;
//! assert_ne!(response.headers()["x-seen"], "0af7651916cd43dd8448eb211c80319c");
//! # Ok(()) }
//! ```
//!
//! 1. A valid `traceparent` is continued: its trace id and flags, and a new span id for this hop, under the caller's.
//!    Of a version to come the fields that are known today are used.
//! 2. Without one, or with one that is invalid or came in two lines, a trace begins: random ids from a generator per
//!    thread, the flag `random`, and `sampled` for the [share](TraceContextLayer::with_sampled_share) that is set.
//! 3. `tracestate` goes on with a trace that does: all lines as one, of each key the first, 32 members. More than 512
//!    characters are cut by whole entries. A list with a fault is dropped, and the trace goes on without it.
//!    [`with_state_entry`](TraceContextLayer::with_state_entry) puts an entry of our own before the others.
//! 4. `baggage` is read whether or not there is a trace: up to 64 members of 8192 bytes together. A member with a
//!    fault, and one beyond the limits, is left out as a whole. Baggage is told to no log and no metric.
//! 5. [`Trust::Edge`] restarts every trace: new ids, no `tracestate`, no baggage, and a sampled flag of our own.
//! 6. All of it is set in the [`RequestContext`](bartizan_core::RequestContext): `trace()` and `baggage()`. The access
//!    log writes `trace_id`, `span_id` and `trace_flags` from there.
//! 7. Facts of the wide event, there only when something went wrong: `trace_context.restarted` (`malformed`,
//!    `several` or `untrusted`), `trace_context.original_parent` (at the edge, if it was valid) and
//!    `trace_context.state_dropped`.
//! 8. Of the headers of the request only that is taken away by which nobody further in may go: a `traceparent` whose
//!    trace does not go on, a `tracestate` that is invalid or without its parent, baggage at the edge and members of
//!    it that are none. Nothing is written into them: the caller's `traceparent` names the caller's span, also for
//!    a proxy that sends it on as it is, and then its `tracestate` must be as it was.
//! 9. The response is not written to: there is no header for it yet that is a standard.
//!
//! # Spans
//!
//! With the feature `tracing`, [`with_span`](TraceContextLayer::with_span) opens a span named `request`, of target
//! `bartizan::trace`, around the inner service, its future and its response body. Its fields are named by OpenTelemetry's
//! semantic conventions, and those that tracing-opentelemetry reads are there. It must be told the parent of each span, in
//! [`with_span_setup`](TraceContextLayer::with_span_setup), or it exports a trace of its own for each request:
//!
//! - always: `otel.kind`, `trace_id`, `span_id`, `request_id`, `correlation_id`, and `server.address`, `server.port`,
//!   `client.address`, `network.peer.address`, `network.peer.port`, `network.protocol.version`, `user_agent.original`
//!   as far as they are known. `client.address` is what `ClientAddrLayer` found out.
//! - HTTP: `otel.name` is `{method} {http.route}`, and without a route the method alone, never with the path.
//!   `http.request.method`, `url.path`, `http.route`; at the end `http.response.status_code` and `url.scheme`.
//! - gRPC: `rpc.system.name`; at the end `rpc.status_code`, from the trailers, `rpc.method` and `otel.name`. They tell
//!   the method only if the answer proves that there is one of this name. What a caller made up, and a call that was
//!   refused before its method, is `_OTHER` and `grpc`, beside `rpc.method_original`.
//! - at the end of a server's own failure: `otel.status_code` and `error.type`. These are HTTP 5xx, gRPC's `UNKNOWN`,
//!   `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS`, a broken body, an error of the
//!   service and a panic. What was refused, and what the client left, is none.
//!
//! It ends with the body. Every event told for the request is within it; a task of the request's is when it is spawned
//! so:
//!
//! ```
//! # #[cfg(all(feature = "tracing", feature = "scope"))]
//! # mod example {
//! use tracing::Instrument;
//!
//! # async fn audit() {}
//! # fn spawn() {
//! tokio::spawn(bartizan_core::in_scope(audit()).in_current_span());
//! # }
//! # }
//! ```
//!
//! # Outgoing calls
//!
//! [`PropagateLayer`] stands around a client and adds to each request that goes out:
//!
//! 1. `x-request-id` and `x-correlation-id`, both as the request being served has them: the same two find its lines in
//!    the logs of every service behind this one.
//! 2. `traceparent` with the trace, its flags, and a new parent id for each request sent; `tracestate` as it came in.
//! 3. Of `baggage` [what is allowed](PropagateLayer::with_baggage): by default nothing.
//!
//! With the feature `tracing`, [`ClientSpanLayer`] opens a span around each attempt of an HTTP request and each gRPC call, and
//! what is sent is the id of that span.
//!
//! What the caller set by hand stays. A call that belongs to no request begins a workflow and a trace of its own. With
//! [`LogicalCallLayer`] outside of retries, the attempts of one call share what they must.
//!
//! # Caveats
//!
//! - An id is for finding log lines. A caller may choose one, and may send it twice: it is never a key of a
//!   cache, of deduplication or of security.
//! - Use [`Trust::Edge`] where callers are not your own, unless you want them to choose what your logs are
//!   searched by.
//! - A panic that nobody inside catches, and an error of the inner service, make no response here to set an id
//!   on.
//! - A caller whose trace goes on also decides whether it is sampled, and so what recording it costs. Where callers are
//!   not your own: [`Trust::Edge`], or [`with_caller_sampling(false)`](TraceContextLayer::with_caller_sampling).
//! - This crate makes ids and passes them on; it exports nothing. The sampled flag tells the services behind this
//!   one to record.
//! - A span knows its route only where the router has matched already: add the stack with axum's `Router::layer`.
//! - `url.path`, `user_agent.original` and `server.address` are the caller's texts, cut to 1024, 256 and 255 bytes; what
//!   is no printable ASCII in the path is percent-encoded. `url.scheme` is what a trusted proxy told, where
//!   `ClientAddrLayer` asks one for the origin; else what the request says, and over HTTP/1.1, where it says nothing,
//!   `http`. The query is not in the span.
//!
//! # In a stack
//!
//! [`CorrelationIdLayer`]: phase `Correlation`, inside `ProblemLayer`, outside everything else. It needs nothing and
//! provides [`fact::CorrelationId`](bartizan_core::fact::CorrelationId). [`TraceContextLayer`]: phase `Trace`, directly
//! inside. It needs nothing and provides [`fact::Trace`](bartizan_core::fact::Trace).
//!
//! Around a client, [`LogicalCallLayer`]: phase `client::RpcSpan`, the outermost; [`PropagateLayer`]: phase
//! `client::Attempt`, inside of retries. [`ClientSpanLayer`] stands in both, directly outside of each. They need nothing and
//! provide nothing.
//!
//! # Features
//!
//! All off by default.
//!
//! - `scope`: the task-local scope, from which `bartizan_core::current()` tells the ids to code that never sees
//!   the request, and [`PropagateLayer`] knows which request a call belongs to. Without it, put the request's context
//!   into the extensions of the outgoing one.
//! - `metrics`: the counter `bartizan_request_ids_replaced_total`, by `reason`: `untrusted`, `empty`, `too_long`,
//!   `bad_character` or `list`.
//! - `tower-http`: the request id is also left in the extensions of request and response as tower-http's `RequestId`,
//!   for code that takes it from there.
//! - `tracing`: a debug event for each replaced id, target `bartizan::correlation_id`. The fields `request_id` and
//!   `correlation_id` of the span that is open around `CorrelationIdLayer`, if it declares them. And the
//!   [spans](#spans) of `TraceContextLayer` and those of `ClientSpanLayer`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod compat;
mod config;
mod future;
mod inbound;
mod layer;
mod make;
mod names;
mod propagate;
mod service;
mod source;
mod span;
mod telemetry;
mod trace;

pub use self::{
    config::{ConfigError, Trust},
    future::ResponseFuture,
    layer::CorrelationIdLayer,
    make::{MakeId, UuidV4, UuidV7},
    names::{CORRELATION_ID, REQUEST_ID},
    propagate::{
        ClientSpan, ClientSpanBody, ClientSpanFuture, ClientSpanLayer, ClientSpanRecord, LogicalCall,
        LogicalCallLayer, Propagate, PropagateLayer,
    },
    service::CorrelationIdService,
    span::InSpan,
    trace::{SpanRecord, TraceBody, TraceContextLayer, TraceContextService, TraceFuture},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
