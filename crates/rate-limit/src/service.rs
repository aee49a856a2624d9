//! The service of [`RateLimitLayer`](crate::RateLimitLayer).

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, ResponseBody, ResponseFuture};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{KeyExtractor, RequestHead, policy::Policy};

/// The service of [`RateLimitLayer`](crate::RateLimitLayer). Clones share the limit.
pub struct RateLimit<S, K> {
    inner: S,
    policy: Arc<Policy<K>>,
}

impl<S, K> RateLimit<S, K> {
    pub(crate) fn new(inner: S, policy: Arc<Policy<K>>) -> Self {
        Self { inner, policy }
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, K>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: KeyExtractor,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.policy.admit(&RequestHead::of(&request)) {
            Ok(()) => ResponseFuture::forward(self.inner.call(request)),
            Err(rejection) => ResponseFuture::refuse(rejection, Face::of(&request)),
        }
    }
}

impl<S: Clone, K> Clone for RateLimit<S, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), policy: Arc::clone(&self.policy) }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for RateLimit<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).field("policy", &self.policy).finish()
    }
}
