//! What takes too long, in paused time.

mod allocations;
mod inbound;
mod outbound;
mod request_body;
mod support;
#[cfg(feature = "metrics")]
mod telemetry;
mod wire;
