//! Deadlines of outgoing calls.

mod layer;
mod service;

pub use self::{layer::OutboundTimeoutLayer, service::OutboundTimeout};
