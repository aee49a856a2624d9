//! The service: ids on the way in.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{RequestContext, RequestId, Scoped, ScopedBody};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::GetAll};
use tower_service::Service;

use crate::{
    ResponseFuture, Trust, compat,
    inbound::{self, Why},
    layer::Settings,
    names::Names,
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
        let is_new = self.settings.identify(&context, request.headers_mut());
        compat::leave(request.extensions_mut(), &context);
        if is_new {
            telemetry::identified(&context);
        }
        let names = self.settings.names.clone();
        ResponseFuture::new(Scoped::call(context, &mut self.inner, request), names)
    }
}

impl Settings {
    /// Gives the request its ids, in its context and in its headers; false if it had them.
    fn identify(&self, context: &RequestContext, headers: &mut HeaderMap) -> bool {
        if context.request_id().is_some() {
            // Another layer of this kind stands further out, and one request has one id.
            stamp(headers, &self.names, context);
            return false;
        }
        let request_id = match self.receive(context, headers, Which::Request, self.names.request()) {
            Received::Good(id) => id,
            Received::Bad { instead } => put_instead(headers, self.names.request(), instead),
            Received::Nothing => put(headers, self.names.request(), self.generator.make_id(&self.clock)),
        };
        if let Some(name) = self.names.correlation() {
            let received = if may_have(headers, name) {
                self.receive(context, headers, Which::Correlation, name)
            } else {
                Received::Nothing
            };
            let workflow = match received {
                Received::Good(id) => Some(id),
                Received::Bad { instead } => Some(put_instead(headers, name, instead)),
                Received::Nothing => {
                    // The request is its own workflow, which the context knows without being told.
                    insert(headers, name, request_id.to_header());
                    None
                }
            };
            if let Some(id) = workflow {
                context.set_correlation_id(id.into());
            }
        }
        context.set_request_id(request_id)
    }

    /// What a header brings.
    #[inline]
    fn receive(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        which: Which,
        name: &HeaderName,
    ) -> Received {
        let lines = headers.get_all(name);
        match inbound::take(lines.iter(), self.trust) {
            Some(Ok(id)) => Received::Good(id),
            Some(Err(why)) => Received::Bad { instead: self.replace(context, which, why, &lines) },
            None => Received::Nothing,
        }
    }

    /// A fresh id for one that may not be taken, which is noted.
    #[cold]
    fn replace(
        &self,
        context: &RequestContext,
        which: Which,
        why: Why,
        lines: &GetAll<'_, HeaderValue>,
    ) -> RequestId {
        let id = self.generator.make_id(&self.clock);
        self.telemetry.replaced(which, why, &id);
        // The log layer stands further in, and has not yet said that it will read this.
        let event = context.event();
        event.record_early(which.replaced_fact(), why.as_str());
        if self.trust == Trust::Edge {
            event.record_early(which.original_fact(), inbound::escape(lines.iter()));
        }
        id
    }
}

/// Whether there may be a header that most requests lack. Where names are few, they are looked at one by one: that costs
/// less than a hash.
#[inline]
fn may_have(headers: &HeaderMap, name: &HeaderName) -> bool {
    const FEW: usize = 8;
    headers.keys_len() > FEW || headers.keys().any(|known| known == name)
}

/// What a header brought.
enum Received {
    /// An id that may be taken.
    Good(RequestId),
    /// One that may not.
    Bad { instead: RequestId },
    /// The header did not come.
    Nothing,
}

/// Puts the ids of a request into headers, over whatever stood there.
pub(crate) fn stamp(headers: &mut HeaderMap, names: &Names, context: &RequestContext) {
    if let Some(id) = context.request_id() {
        insert(headers, names.request(), id.to_header());
    }
    if let (Some(name), Some(id)) = (names.correlation(), context.correlation_id()) {
        insert(headers, name, id.to_header());
    }
}

/// Takes the bad lines away first: a map that holds no more names would not let go of them.
#[cold]
fn put_instead(headers: &mut HeaderMap, name: &HeaderName, id: RequestId) -> RequestId {
    headers.remove(name);
    put(headers, name, id)
}

fn put(headers: &mut HeaderMap, name: &HeaderName, id: RequestId) -> RequestId {
    insert(headers, name, id.to_header());
    id
}

/// A map that holds no more names stays as it is, which is no reason to refuse: the context has the id.
fn insert(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}
