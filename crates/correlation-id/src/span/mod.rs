//! `tracing` spans, around requests that are served and around those that are sent.

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(feature = "tracing")]
mod enabled;
mod in_span;
#[cfg(feature = "tracing")]
pub(crate) mod texts;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::disabled::OpenSpan;
#[cfg(feature = "tracing")]
pub(crate) use self::enabled::{OpenSpan, is_wanted, span_at};
pub use self::in_span::InSpan;
