//! A span that is open, and how one is opened at a level that is known only at run time.

use std::ops::Deref;

use tracing::{Level, Span, level_filters::LevelFilter};

/// The span of one request.
#[derive(Clone)]
pub(crate) struct OpenSpan(Span);

impl OpenSpan {
    /// `None` when nobody listens.
    pub(crate) fn new(span: Span) -> Option<Self> {
        (!span.is_disabled()).then_some(Self(span))
    }

    pub(crate) fn enter<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.in_scope(run)
    }
}

impl Deref for OpenSpan {
    type Target = Span;

    fn deref(&self) -> &Span {
        &self.0
    }
}

/// Whether anybody may listen to spans of this level.
pub(crate) fn is_wanted(level: Level) -> bool {
    level <= LevelFilter::current()
}

/// Opens a span of a level that is known at run time: `tracing` wants a call site for each.
macro_rules! span_at {
    ($level:expr, $name:literal, $($fields:tt)*) => {
        match $level {
            ::tracing::Level::ERROR => $crate::span::span_at!(@ ::tracing::Level::ERROR, $name, $($fields)*),
            ::tracing::Level::WARN => $crate::span::span_at!(@ ::tracing::Level::WARN, $name, $($fields)*),
            ::tracing::Level::INFO => $crate::span::span_at!(@ ::tracing::Level::INFO, $name, $($fields)*),
            ::tracing::Level::DEBUG => $crate::span::span_at!(@ ::tracing::Level::DEBUG, $name, $($fields)*),
            ::tracing::Level::TRACE => $crate::span::span_at!(@ ::tracing::Level::TRACE, $name, $($fields)*),
        }
    };
    (@ $level:expr, $name:literal, $($fields:tt)*) => {
        ::tracing::span!(target: "bartizan::trace", $level, $name, $($fields)*)
    };
}
pub(crate) use span_at;
