//! Without the feature `tracing` there is never a span.

use bartizan_core::{Outcome, RequestContext};
use http::Request;

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::trace) struct SpanSetting;

/// None of these exist.
#[derive(Clone)]
pub(in crate::trace) struct RequestSpan(Never);

#[derive(Clone)]
enum Never {}

impl SpanSetting {
    pub(in crate::trace) fn open<B>(&self, _: &RequestContext, _: &Request<B>) -> Option<RequestSpan> {
        None
    }
}

impl RequestSpan {
    pub(in crate::trace) fn enter<T>(&self, _: impl FnOnce() -> T) -> T {
        match self.0 {}
    }

    pub(super) fn end(&self, _: &RequestContext, _: Option<&Outcome>) {
        match self.0 {}
    }
}
