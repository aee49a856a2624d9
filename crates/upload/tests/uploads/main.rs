//! What the layer does with uploads.

#[cfg(feature = "tracing")]
mod events;
mod files;
mod forms;
mod limits;
mod support;
#[cfg(feature = "metrics")]
mod telemetry;
