//! The service: ids on the way out.

use std::{
    borrow::Cow,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, header::Entry};
use tower_service::Service;

use super::{call::Call, hop, layer::Settings};
use crate::{
    names::{BAGGAGE, TRACEPARENT, TRACESTATE},
    source::span_id,
};

/// The service of [`PropagateLayer`](crate::PropagateLayer).
///
/// Response and future are those of the inner service.
#[derive(Clone)]
pub struct Propagate<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> Propagate<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S: fmt::Debug> fmt::Debug for Propagate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Propagate").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for Propagate<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.settings.propagate(&mut request);
        self.inner.call(request)
    }
}

impl Settings {
    fn propagate<B>(&self, request: &mut Request<B>) {
        if self.overwrite {
            hop::strip(request.headers_mut());
        }
        if let Some(authorities) = &self.authorities
            && !authorities.contain(request)
        {
            if self.overwrite {
                self.remove(request.headers_mut());
            }
            return;
        }
        // Out of the request, so that what is written may be borrowed from its extensions.
        let mut headers = mem::take(request.headers_mut());
        let call = match request.extensions().get::<Call>() {
            Some(call) => Cow::Borrowed(call),
            None => Cow::Owned(Call::of(request.extensions())),
        };
        self.write(&call, &mut headers);
        *request.headers_mut() = headers;
    }

    fn write(&self, call: &Call, headers: &mut HeaderMap) {
        // At most one growth. A map that holds no more names is no reason to refuse: what fits is sent.
        let _ =
            headers.try_reserve(3 + usize::from(call.trace().is_some_and(|trace| trace.state().is_some())));

        let name = self.names.request();
        self.put(headers, name, || match call.request_id() {
            Some(id) => id.to_header(),
            None => self.mint.request_id().to_header(),
        });
        if let Some(name) = self.names.correlation() {
            // A call that is its own workflow has one id, also when the caller chose it.
            let workflow = call.correlation_id().map(|id| id.to_header());
            if let Some(id) = workflow.or_else(|| headers.get(self.names.request()).cloned()) {
                self.put(headers, name, || id);
            }
        }

        if self.overwrite || !headers.contains_key(TRACEPARENT) {
            let trace =
                call.trace().map_or_else(|| Cow::Owned(self.mint.sampling.begin_own()), Cow::Borrowed);
            let span = call.span().unwrap_or_else(span_id);
            self.put(headers, &TRACEPARENT, || trace.traceparent(span));
            self.put_or_remove(headers, &TRACESTATE, || trace.state().cloned());
        }

        self.put_or_remove(headers, &BAGGAGE, || {
            if self.baggage.is_empty() {
                return None;
            }
            let allowed = |key: &str| self.baggage.iter().any(|known| **known == *key);
            call.baggage()?.only(allowed).map(|baggage| baggage.to_header())
        });
    }

    /// Sets a header, over what the caller set only if told so.
    fn put(&self, headers: &mut HeaderMap, name: &HeaderName, value: impl FnOnce() -> HeaderValue) {
        if self.overwrite {
            // First: a map that holds no more names would not let go of it.
            headers.remove(name);
        }
        if let Ok(Entry::Vacant(entry)) = headers.try_entry(name) {
            let _ = entry.try_insert(value());
        }
    }

    /// Sets a header that we may have none of.
    fn put_or_remove(
        &self,
        headers: &mut HeaderMap,
        name: &HeaderName,
        value: impl FnOnce() -> Option<HeaderValue>,
    ) {
        match value() {
            Some(value) => self.put(headers, name, || value),
            None if self.overwrite => {
                headers.remove(name);
            }
            None => {}
        }
    }

    /// Leaves nothing of these headers in a request that goes elsewhere.
    fn remove(&self, headers: &mut HeaderMap) {
        let ids = [Some(self.names.request()), self.names.correlation()];
        for name in ids.into_iter().flatten().chain([&TRACEPARENT, &TRACESTATE, &BAGGAGE]) {
            headers.remove(name);
        }
    }
}
