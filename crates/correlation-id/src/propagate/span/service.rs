//! The service: the span around all that follows, to the end of the response body.

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{
    HeadSeen, ObservedBody, ObservedFuture, OptionalBody, OptionalFuture, Protocol, observe,
    phase::client::Measured,
};
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{ClientSpanRecord, Settings};
use crate::InSpan;

/// Response future of [`ClientSpan`]: on, when there is a span.
pub type ClientSpanFuture<F> = OptionalFuture<InSpan<ObservedFuture<F, ClientSpanRecord>>, F>;

/// Response body of [`ClientSpan`]: on, when there is a span.
pub type ClientSpanBody<B> = OptionalBody<InSpan<ObservedBody<B, HeadSeen<ClientSpanRecord>>>, B>;

/// The service of [`ClientSpanLayer`](crate::ClientSpanLayer).
pub struct ClientSpan<S, P> {
    inner: S,
    settings: Arc<Settings>,
    place: PhantomData<fn() -> P>,
}

impl<S, P> ClientSpan<S, P> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings, place: PhantomData }
    }
}

impl<S: Clone, P> Clone for ClientSpan<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.settings))
    }
}

impl<S: fmt::Debug, P> fmt::Debug for ClientSpan<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSpan").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for ClientSpan<S, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    P: Measured,
    ResBody: Body,
{
    type Response = Response<ClientSpanBody<ResBody>>;
    type Error = S::Error;
    type Future = ClientSpanFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let protocol = Protocol::of(&request);
        let is_grpc = protocol.is_grpc();
        let span = if is_grpc == P::GRPC { self.settings.open(is_grpc, &mut request) } else { None };
        match span {
            None => OptionalFuture::Off { future: self.inner.call(request) },
            Some(span) => {
                let head = request.method() == Method::HEAD;
                // Made before the inner service is called, so that one that panics in `call` is recorded too.
                let record = ClientSpanRecord::new(span.clone(), is_grpc);
                let inner = span.enter(|| self.inner.call(request));
                OptionalFuture::On { future: InSpan::new(span, observe(inner, protocol, head, record)) }
            }
        }
    }
}
