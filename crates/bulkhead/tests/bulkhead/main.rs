//! Who gets a place, who waits, and who is refused.

mod adaptive;
mod allocations;
mod layer;
mod priority;
mod probes;
mod queue;
mod stress;
mod support;
#[cfg(feature = "metrics")]
mod telemetry;
