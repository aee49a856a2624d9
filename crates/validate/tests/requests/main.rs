//! What the layers do with requests.

#[cfg(feature = "decompress")]
mod decompress;
#[cfg(all(feature = "schema", feature = "tracing"))]
mod events;
mod json;
#[cfg(all(feature = "axum", feature = "garde"))]
mod parameters;
#[cfg(feature = "schema")]
mod schema;
mod support;
#[cfg(feature = "metrics")]
mod telemetry;
#[cfg(feature = "axum")]
mod typed;
