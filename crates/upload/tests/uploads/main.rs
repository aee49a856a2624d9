//! What the layer does with uploads.

mod files;
mod forms;
mod limits;
mod support;
#[cfg(feature = "metrics")]
mod telemetry;
