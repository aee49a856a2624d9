use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{HeadSeen, ObservedBody, ObservedFuture, RequestContext, observe};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{layer::Shared, record::Record};

/// Response future of [`AccessLog`].
pub type ResponseFuture<F> = ObservedFuture<F, Record>;

/// Response body of [`AccessLog`].
pub type ResponseBody<B> = ObservedBody<B, HeadSeen<Record>>;

/// Service that [`AccessLogLayer`](crate::AccessLogLayer) makes.
#[derive(Clone)]
pub struct AccessLog<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> AccessLog<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S: fmt::Debug> fmt::Debug for AccessLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AccessLog<S>
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
        // Made before the inner service is called, so that one that panics in `call` is logged too.
        let record = Record::begin(&self.shared, context, &request);
        observe(self.inner.call(request), protocol, head, record)
    }
}
