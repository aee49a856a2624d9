//! The service of [`RedisRateLimitLayer`](crate::RedisRateLimitLayer).

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    future::{RedisRateLimitFuture, Waiting},
    remote::{Begun, Remote},
};
use crate::{LimitedBody, RequestHead, keys::Keys, policy::Policy, service::proceed};

/// The service of [`RedisRateLimitLayer`](crate::RedisRateLimitLayer). Clones share the limits.
pub struct RedisRateLimit<S, K> {
    inner: S,
    policy: Arc<Policy<K>>,
    remote: Arc<Remote>,
}

impl<S, K> RedisRateLimit<S, K> {
    pub(super) fn new(inner: S, policy: Arc<Policy<K>>, remote: Arc<Remote>) -> Self {
        Self { inner, policy, remote }
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for RedisRateLimit<S, K>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    K: Keys,
    ResBody: Body,
{
    type Response = Response<LimitedBody<ResBody>>;
    type Error = S::Error;
    type Future = RedisRateLimitFuture<S, ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.remote.begin(&self.policy, &RequestHead::of(&request)) {
            Begun::Decided(admitted) => RedisRateLimitFuture::calling(proceed(
                &mut self.inner,
                request,
                admitted,
                &self.policy.shared,
            )),
            Begun::Asking(questions, asking) => {
                // The instance that was polled ready goes with the request.
                let next = self.inner.clone();
                let waiting = Waiting {
                    inner: mem::replace(&mut self.inner, next),
                    request,
                    questions,
                    shared: Arc::clone(&self.policy.shared),
                    remote: Arc::clone(&self.remote),
                };
                RedisRateLimitFuture::asking(asking, waiting)
            }
        }
    }
}

impl<S: Clone, K> Clone for RedisRateLimit<S, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), policy: Arc::clone(&self.policy), remote: Arc::clone(&self.remote) }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for RedisRateLimit<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimit").field("inner", &self.inner).field("remote", &self.remote).finish()
    }
}
