//! The service of [`RequestBodyTimeoutLayer`](crate::RequestBodyTimeoutLayer).

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{MatchedRoute, Protocol, RequestContext, ResponseBody};
use http::{Request, Response, Version};
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
        if request.body().is_end_stream() || (!self.shared.grpc && is_call(&request)) {
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

/// Whether a request is a call of gRPC, whose stream of messages may rest: by its whole form, since any caller can write
/// its type. That of gRPC-Web is one message.
fn is_call<B>(request: &Request<B>) -> bool {
    let protocol = RequestContext::get(request.extensions())
        .map_or_else(|| Protocol::of(request), RequestContext::protocol);
    protocol == Protocol::Grpc
        && request.version() >= Version::HTTP_2
        && MatchedRoute::of(request).is_claimed()
}
