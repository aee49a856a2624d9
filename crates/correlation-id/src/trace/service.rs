//! The service: the trace on the way in, and the span around all that follows.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{
    HeadSeen, ObservedBody, ObservedFuture, OptionalBody, OptionalFuture, RequestContext, observe,
};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{SpanRecord, layer::Settings};
use crate::InSpan;

/// Response future of [`TraceContextService`]: on, when there is a span.
pub type TraceFuture<F> = OptionalFuture<InSpan<ObservedFuture<F, SpanRecord>>, F>;

/// Response body of [`TraceContextService`]: on, when there is a span.
pub type TraceBody<B> = OptionalBody<InSpan<ObservedBody<B, HeadSeen<SpanRecord>>>, B>;

/// The service of [`TraceContextLayer`](crate::TraceContextLayer).
#[derive(Clone)]
pub struct TraceContextService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> TraceContextService<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S: fmt::Debug> fmt::Debug for TraceContextService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceContextService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for TraceContextService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<TraceBody<ResBody>>;
    type Error = S::Error;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        self.settings.policy.place(&context, request.headers_mut());
        match self.settings.span.open(&context, &request) {
            None => OptionalFuture::Off { future: self.inner.call(request) },
            Some(span) => {
                let (protocol, head) = (context.protocol(), context.is_head());
                // Made before the inner service is called, so that one that panics in `call` is recorded too.
                let record = SpanRecord::new(span.clone(), context, request.uri().scheme().cloned());
                let inner = span.enter(|| self.inner.call(request));
                OptionalFuture::On { future: InSpan::new(span, observe(inner, protocol, head, record)) }
            }
        }
    }
}
