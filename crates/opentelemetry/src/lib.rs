#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod state;

use bartizan_core::{SpanId, TraceContext, TraceId};
pub use opentelemetry;
use opentelemetry::{
    Context, TraceFlags,
    trace::{SpanContext, TraceContextExt},
};

/// The context whose span is the parent of those that serve the request: the caller's span, as a remote one.
///
/// A trace that began at this service has no caller's span: then it is the one that the layer gave this service, so
/// that the trace keeps its id.
pub fn remote_parent(trace: &TraceContext) -> Context {
    let span = trace.parent_id().unwrap_or(trace.span_id());
    Context::new().with_remote_span_context(to_span_context(trace, span, true))
}

/// This service's own place in the trace, as a local span: to link to it, or to tell it to an exporter of logs.
pub fn span_context(trace: &TraceContext) -> SpanContext {
    to_span_context(trace, trace.span_id(), false)
}

/// The place in the trace that `span` is: with `RequestContext::set_trace`, logs and outgoing calls belong to its trace.
/// A context keeps the first trace it is given, so do that outside of `TraceContextLayer`, or without one.
///
/// `None` when `span` is not valid. The caller's span is not known to OpenTelemetry's type, and so has to be added,
/// if need be: [`TraceContext::with_parent`].
pub fn trace_context(span: &SpanContext) -> Option<TraceContext> {
    let trace_id = TraceId::new(span.trace_id().to_bytes())?;
    let span_id = SpanId::new(span.span_id().to_bytes())?;
    let trace = TraceContext::new(trace_id, span_id, span.trace_flags().to_u8());
    Some(match state::to_header(span.trace_state()) {
        Some(state) => trace.with_state(state),
        None => trace,
    })
}

fn to_span_context(trace: &TraceContext, span: SpanId, is_remote: bool) -> SpanContext {
    SpanContext::new(
        opentelemetry::TraceId::from_bytes(trace.trace_id().to_bytes()),
        opentelemetry::SpanId::from_bytes(span.to_bytes()),
        TraceFlags::new(trace.flags()),
        is_remote,
        trace.state().map(state::from_header).unwrap_or_default(),
    )
}
