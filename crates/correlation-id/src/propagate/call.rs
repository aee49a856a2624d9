//! What an outgoing call is part of.

use std::sync::Arc;

use bartizan_core::{Baggage, Clock, CorrelationId, RequestContext, RequestId, SpanId, TraceContext, served};
use http::Extensions;

use crate::{ConfigError, MakeId, UuidV7, trace::Sampling};

/// How ids and traces of calls that belong to no request are made.
#[derive(Clone)]
pub(super) struct Mint {
    pub(super) generator: Arc<dyn MakeId>,
    pub(super) clock: Clock,
    pub(super) sampling: Sampling,
}

impl Default for Mint {
    fn default() -> Self {
        Self { generator: Arc::new(UuidV7), clock: Clock::system(), sampling: Sampling::default() }
    }
}

impl Mint {
    pub(super) fn set_sampled_share(&mut self, share: f64) -> Result<(), ConfigError> {
        self.sampling = self.sampling.with_share(share).ok_or(ConfigError::SampledShare)?;
        Ok(())
    }

    pub(super) fn request_id(&self) -> RequestId {
        self.generator.make_id(&self.clock)
    }
}

/// What a call belongs to: the request that is being served, and what was made for the call in its stead.
///
/// In the extensions of a request, which a retry clones with it, this is what the attempts of one call share.
#[derive(Clone, Default)]
pub(super) struct Call {
    context: Option<RequestContext>,
    request_id: Option<RequestId>,
    /// Made for the call, or the place of its span.
    trace: Option<TraceContext>,
    span: Option<SpanId>,
    /// Whether somebody opened a span of that id.
    #[cfg(feature = "tracing")]
    is_open: bool,
}

impl Call {
    /// What these extensions already say of the call, else the call of whoever sends a request with them.
    pub(super) fn within(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(extensions))
    }

    /// The call of whoever sends a request with these extensions; nothing is made for it.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let own = RequestContext::get(extensions)
            // A layer of the client's may have made one for the outgoing request itself: it knows nothing.
            .filter(|context| context.request_id().is_some() || context.trace().is_some());
        Self { context: own.cloned().or_else(served), ..Self::default() }
    }

    /// Whether all attempts know what they must share.
    pub(super) fn is_settled(&self) -> bool {
        self.request_id().is_some() && self.trace().is_some()
    }

    /// Makes what the request does not give, for all attempts. `span` is that of the call, if it has one and nobody made one
    /// before.
    pub(super) fn settle(&mut self, mint: &Mint, span: Option<SpanId>) {
        if self.request_id().is_none() {
            self.request_id = Some(mint.request_id());
        }
        if self.trace().is_none() {
            self.trace = Some(mint.sampling.begin_own());
        }
        self.span = self.span.or(span);
    }

    /// A place of its own for what is sent, below that of whoever sends it.
    #[cfg(feature = "tracing")]
    pub(super) fn child(&self, sampling: Sampling) -> TraceContext {
        let Some(trace) = self.trace() else { return sampling.begin_own() };
        let place = TraceContext::new(trace.trace_id(), crate::source::span_id(), trace.flags());
        let place = match trace.state() {
            Some(state) => place.with_state(state.clone()),
            None => place,
        };
        // A trace that was made for the call has no span above but one that was opened around it.
        let parent = match self.trace {
            None => Some(trace.span_id()),
            Some(_) => self.span.filter(|_| self.is_open),
        };
        match parent {
            Some(parent) => place.with_parent(parent),
            None => place,
        }
    }

    /// It has this place in its trace, and sends it.
    #[cfg(feature = "tracing")]
    pub(super) fn place(&mut self, place: TraceContext) {
        self.span = Some(place.span_id());
        self.is_open = true;
        self.trace = Some(place);
    }

    pub(super) fn request_id(&self) -> Option<&RequestId> {
        self.context.as_ref().and_then(RequestContext::request_id).or(self.request_id.as_ref())
    }

    /// The workflow's id; `None` when the call is its own workflow.
    pub(super) fn correlation_id(&self) -> Option<&CorrelationId> {
        self.context.as_ref()?.correlation_id()
    }

    pub(super) fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref().or_else(|| self.context.as_ref()?.trace())
    }

    pub(super) fn span(&self) -> Option<SpanId> {
        self.span
    }

    pub(super) fn baggage(&self) -> Option<&Baggage> {
        self.context.as_ref()?.baggage()
    }
}
