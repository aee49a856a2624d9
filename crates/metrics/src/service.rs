use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{HeadSeen, ObservedBody, ObservedFuture, RequestContext, observe};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{Call, layer::Shared};

/// Response future of [`Metrics`].
pub type ResponseFuture<F> = ObservedFuture<F, Call>;

/// Response body of [`Metrics`].
pub type ResponseBody<B> = ObservedBody<B, HeadSeen<Call>>;

/// Service that [`MetricsLayer`](crate::MetricsLayer) makes.
#[derive(Clone)]
pub struct Metrics<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Metrics<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S: fmt::Debug> fmt::Debug for Metrics<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Metrics<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        let (protocol, head) = (context.protocol(), context.is_head());
        // Made before the inner service is called, so that one that panics in `call` is counted too.
        let call = Call::begin(Arc::clone(&self.shared), context, &request);
        observe(self.inner.call(request), protocol, head, call)
    }
}
