//! The other direction: what the calls that a service makes carry on.

mod authorities;
mod call;
mod hop;
mod layer;
mod logical;
mod service;
mod span;

pub use self::{
    layer::PropagateLayer,
    logical::{LogicalCall, LogicalCallLayer},
    service::Propagate,
    span::{ClientSpan, ClientSpanBody, ClientSpanFuture, ClientSpanLayer, ClientSpanRecord},
};
