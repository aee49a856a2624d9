//! A second copy of a request, for the case that the first is slow.

mod delay;
mod future;
mod latency;
mod layer;
mod race;
mod service;

pub use self::{future::HedgeFuture, latency::LatencyPercentile, layer::HedgeLayer, service::Hedge};
