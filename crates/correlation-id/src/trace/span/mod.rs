//! The `tracing` span around a request.

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(feature = "tracing")]
mod enabled;

use std::fmt;

use bartizan_core::{Observer, Outcome, RequestContext};
use http::uri::Scheme;

#[cfg(not(feature = "tracing"))]
pub(super) use self::disabled::SpanSetting;
#[cfg(not(feature = "tracing"))]
use self::disabled::end;
#[cfg(feature = "tracing")]
pub(super) use self::enabled::SpanSetting;
#[cfg(feature = "tracing")]
use self::enabled::end;
use crate::span::OpenSpan;

/// What is written into the span of a request when it has ended.
///
/// Named only because [`TraceFuture`](crate::TraceFuture) and [`TraceBody`](crate::TraceBody) hold one.
pub struct SpanRecord {
    span: OpenSpan,
    context: RequestContext,
    /// What the request itself says.
    scheme: Option<Scheme>,
    settled: bool,
}

impl SpanRecord {
    pub(super) fn new(span: OpenSpan, context: RequestContext, scheme: Option<Scheme>) -> Self {
        Self { span, context, scheme, settled: false }
    }
}

impl Observer for SpanRecord {
    fn on_end(mut self, outcome: Outcome) {
        self.settled = true;
        end(&self.span, &self.context, self.scheme.as_ref(), Some(&outcome));
    }
}

impl Drop for SpanRecord {
    fn drop(&mut self) {
        if !self.settled {
            // Never observed: the inner service panicked before it gave a future.
            end(&self.span, &self.context, self.scheme.as_ref(), None);
        }
    }
}

impl fmt::Debug for SpanRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanRecord").field("context", &self.context).finish_non_exhaustive()
    }
}
