//! W3C trace context, on the server.

mod in_span;
mod layer;
mod member;
mod parent;
mod place;
mod service;
mod span;
mod state;

pub(crate) use self::place::Sampling;
pub use self::{
    in_span::InSpan,
    layer::TraceContextLayer,
    service::{TraceBody, TraceContextService, TraceFuture},
    span::SpanRecord,
};
