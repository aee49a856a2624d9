//! W3C trace context, on the server.

mod layer;
mod member;
mod parent;
mod place;
mod service;
mod span;
mod state;

pub(crate) use self::place::Sampling;
pub use self::{
    layer::TraceContextLayer,
    service::{TraceBody, TraceContextService, TraceFuture},
    span::SpanRecord,
};
