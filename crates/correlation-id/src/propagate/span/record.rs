//! What is written into a span while its request is on its way.

use std::fmt;

use bartizan_core::{Observer, Outcome};
use http::response::Parts;

use super::{end, head};
use crate::span::OpenSpan;

/// What is written into the span of an outgoing request when it has ended.
///
/// Named only because [`ClientSpanFuture`](crate::ClientSpanFuture) and [`ClientSpanBody`](crate::ClientSpanBody) hold one.
pub struct ClientSpanRecord {
    span: OpenSpan,
    is_grpc: bool,
    settled: bool,
}

impl ClientSpanRecord {
    pub(super) fn new(span: OpenSpan, is_grpc: bool) -> Self {
        Self { span, is_grpc, settled: false }
    }
}

impl Observer for ClientSpanRecord {
    fn wants_head(&self) -> bool {
        true
    }

    fn on_head(&mut self, parts: &mut Parts) {
        head(&self.span, parts);
    }

    fn on_end(mut self, outcome: Outcome) {
        self.settled = true;
        end(&self.span, self.is_grpc, Some(&outcome));
    }
}

impl Drop for ClientSpanRecord {
    fn drop(&mut self) {
        if !self.settled {
            // Never observed: the client panicked before it gave a future.
            end(&self.span, self.is_grpc, None);
        }
    }
}

impl fmt::Debug for ClientSpanRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSpanRecord").finish_non_exhaustive()
    }
}
