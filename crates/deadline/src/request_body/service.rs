//! The service of [`RequestBodyTimeoutLayer`](crate::RequestBodyTimeoutLayer).

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Protocol, RequestContext, ResponseBody};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    body::{TimedRequestBody, Timing},
    future::{RequestBodyTimeoutFuture, Watched},
    layer::Shared,
    watch::Watch,
};

/// The service of [`RequestBodyTimeoutLayer`](crate::RequestBodyTimeoutLayer).
#[derive(Clone, Debug)]
pub struct RequestBodyTimeout<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> RequestBodyTimeout<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequestBodyTimeout<S>
where
    S: Service<Request<TimedRequestBody<ReqBody>>, Response = Response<ResBody>>,
    ReqBody: Body,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = RequestBodyTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        // Most requests have no body, and cost nothing.
        if request.body().is_end_stream() || !(self.shared.grpc || is_http(&request)) {
            let request = request.map(|body| TimedRequestBody::new(body, None));
            return RequestBodyTimeoutFuture::new(self.inner.call(request), None);
        }
        let watch = Watch::default();
        let context = RequestContext::of(&mut request);
        let timing = Timing::new(Arc::clone(&self.shared), watch.clone());
        let request = request.map(|body| TimedRequestBody::new(body, Some(timing)));
        let watched = Watched { shared: Arc::clone(&self.shared), watch, context };
        RequestBodyTimeoutFuture::new(self.inner.call(request), Some(watched))
    }
}

fn is_http<B>(request: &Request<B>) -> bool {
    !RequestContext::get(request.extensions())
        .map_or_else(|| Protocol::of(request), RequestContext::protocol)
        .is_grpc()
}
