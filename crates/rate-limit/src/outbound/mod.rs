//! Limits on what a client sends.

mod hints;
mod layer;
mod service;
mod upstream;
mod upstreams;

pub use self::{
    layer::OutboundRateLimitLayer,
    service::{OutboundRateLimit, OutboundRateLimitFuture},
};
