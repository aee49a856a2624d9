//! The service: ids on the way in.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{RequestContext, RequestId, ScopedBody};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{Entry, OccupiedEntry},
};
use tower_service::Service;

use crate::{
    ResponseFuture, Trust,
    inbound::{self, Why},
    layer::Settings,
    telemetry::{self, Which},
};

/// The service of [`CorrelationIdLayer`](crate::CorrelationIdLayer).
#[derive(Clone)]
pub struct CorrelationIdService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> CorrelationIdService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S: fmt::Debug> fmt::Debug for CorrelationIdService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorrelationIdService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for CorrelationIdService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ScopedBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        self.settings.identify(&context, request.headers_mut());
        telemetry::identified(&context);
        let future = context.enter(|| self.inner.call(request));
        ResponseFuture::new(context, future, self.settings.names.clone())
    }
}

impl Settings {
    /// Gives the request its ids, in its context and in its headers.
    fn identify(&self, context: &RequestContext, headers: &mut HeaderMap) {
        if context.request_id().is_some() {
            // Another layer of this kind stands further out, and one request has one id.
            return self.repeat(context, headers);
        }
        let mint = || self.generator.make_id(&self.clock);
        let request_id = match self.settle(context, headers, Which::Request, self.names.request(), mint) {
            Settled::Taken(id) | Settled::Begun(id) | Settled::Replaced(id) => id,
        };
        context.set_request_id(request_id.clone());

        if let Some(name) = self.names.correlation() {
            match self.settle(context, headers, Which::Correlation, name, || request_id.clone()) {
                Settled::Taken(id) | Settled::Replaced(id) => {
                    context.set_correlation_id(id.into());
                }
                // The request is its own workflow, which the context knows without being told.
                Settled::Begun(_) => {}
            }
        }
    }

    /// Puts the ids that the request has already into the headers that this layer is told.
    #[cold]
    fn repeat(&self, context: &RequestContext, headers: &mut HeaderMap) {
        if let Some(id) = context.request_id() {
            overwrite(headers, self.names.request(), id.to_header());
        }
        if let (Some(name), Some(id)) = (self.names.correlation(), context.correlation_id()) {
            overwrite(headers, name, id.to_header());
        }
    }

    /// Takes the id in a header, or puts another one there.
    fn settle(
        &self,
        context: &RequestContext,
        headers: &mut HeaderMap,
        which: Which,
        name: &HeaderName,
        begin: impl FnOnce() -> RequestId,
    ) -> Settled {
        match headers.try_entry(name) {
            Ok(Entry::Occupied(mut entry)) => match inbound::take(entry.iter(), self.trust) {
                Ok(id) => Settled::Taken(id),
                Err(why) => {
                    let id = self.generator.make_id(&self.clock);
                    self.note_replaced(context, which, why, &entry, &id);
                    entry.insert(id.to_header());
                    Settled::Replaced(id)
                }
            },
            Ok(Entry::Vacant(entry)) => {
                let id = begin();
                // A map that holds no more names is no reason to refuse: the context has the id.
                let _ = entry.try_insert(id.to_header());
                Settled::Begun(id)
            }
            Err(_) => Settled::Begun(begin()),
        }
    }

    #[cold]
    fn note_replaced(
        &self,
        context: &RequestContext,
        which: Which,
        why: Why,
        entry: &OccupiedEntry<'_, HeaderValue>,
        id: &RequestId,
    ) {
        self.telemetry.replaced(which, why, id);
        // The log layer stands further in, and has not yet said that it will read this.
        let event = context.event();
        event.record_early(which.replaced_fact(), why.as_str());
        if self.trust == Trust::Edge {
            event.record_early(which.original_fact(), inbound::escape(entry.iter()));
        }
    }
}

/// How a header came to hold an id.
enum Settled {
    /// The caller's was good.
    Taken(RequestId),
    /// There was none.
    Begun(RequestId),
    /// The caller's was not good.
    Replaced(RequestId),
}

/// Sets a header; on a map that holds no more names it does nothing.
pub(crate) fn overwrite(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}
