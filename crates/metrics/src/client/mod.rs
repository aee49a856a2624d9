//! The client's twins: what outgoing requests and calls take.

mod call;
mod config;
mod layer;
mod series;
mod service;

pub use self::{
    call::OutgoingCall,
    config::ConfigError,
    layer::ClientMetricsLayer,
    service::{ClientMetrics, ClientResponseBody, ClientResponseFuture},
};
