//! The `tracing` span around each request that is sent, or each call.

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(feature = "tracing")]
mod enabled;
mod layer;
mod record;
mod service;
#[cfg(feature = "tracing")]
mod url;

#[cfg(not(feature = "tracing"))]
use self::disabled::{Settings, end, head};
#[cfg(feature = "tracing")]
use self::enabled::{Settings, end, head};
pub use self::{
    layer::ClientSpanLayer,
    record::ClientSpanRecord,
    service::{ClientSpan, ClientSpanBody, ClientSpanFuture},
};
