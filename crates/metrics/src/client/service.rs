use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{HeadSeen, ObservedBody, ObservedFuture, Protocol, observe, phase::client::Measured};
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{OutgoingCall, layer::Shared};

/// Response future of [`ClientMetrics`].
pub type ClientResponseFuture<F> = ObservedFuture<F, OutgoingCall>;

/// Response body of [`ClientMetrics`].
pub type ClientResponseBody<B> = ObservedBody<B, HeadSeen<OutgoingCall>>;

/// Service that [`ClientMetricsLayer`](crate::ClientMetricsLayer) makes.
pub struct ClientMetrics<S, P> {
    inner: S,
    shared: Arc<Shared>,
    place: PhantomData<fn() -> P>,
}

impl<S, P> ClientMetrics<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, place: PhantomData }
    }
}

impl<S: Clone, P> Clone for ClientMetrics<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, P> fmt::Debug for ClientMetrics<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMetrics").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for ClientMetrics<S, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    P: Measured,
    ResBody: Body,
{
    type Response = Response<ClientResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ClientResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let protocol = Protocol::of(&request);
        let head = request.method() == Method::HEAD;
        let call = if protocol.is_grpc() == P::GRPC {
            OutgoingCall::begin(&self.shared, &request)
        } else {
            OutgoingCall::unmeasured()
        };
        observe(self.inner.call(request), protocol, head, call)
    }
}
