//! The service of [`RedisRateLimitLayer`](crate::RedisRateLimitLayer).

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::stripe::Share;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    future::{RedisRateLimitFuture, Waiting},
    remote::{Admitted, Begun, Remote},
};
use crate::{
    LimitedBody, RateLimitFuture, RequestHead,
    keys::Keys,
    policy::{Policy, Shared},
    service::{let_in, refuse},
};

/// The service of [`RedisRateLimitLayer`](crate::RedisRateLimitLayer). Clones share the limits.
pub struct RedisRateLimit<S, K> {
    inner: S,
    policy: Arc<Policy<K>>,
    remote: Option<Arc<Remote>>,
}

impl<S, K> RedisRateLimit<S, K> {
    pub(super) fn new(inner: S, policy: Arc<Policy<K>>, remote: Option<Arc<Remote>>) -> Self {
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
        let shared = &self.policy.shared;
        let head = RequestHead::of(&request);
        let begun = match &self.remote {
            Some(remote) => remote.begin(&self.policy, &head),
            None => Begun::Decided(self.policy.admit(&head, None)),
        };
        match begun {
            Begun::Decided(admitted) => {
                RedisRateLimitFuture::calling(proceed(&mut self.inner, request, admitted, shared.share()))
            }
            Begun::Asking { remote, questions, asking } => {
                // The instance that was polled ready goes with the request.
                let next = self.inner.clone();
                let inner = mem::replace(&mut self.inner, next);
                let shared = shared.share();
                RedisRateLimitFuture::asking(asking, Waiting { inner, request, questions, shared, remote })
            }
        }
    }
}

/// Does what was decided.
pub(super) fn proceed<S, B>(
    inner: &mut S,
    request: Request<B>,
    admitted: Admitted,
    shared: Share<Shared>,
) -> RateLimitFuture<S::Future>
where
    S: Service<Request<B>>,
{
    match admitted {
        Ok(notes) => let_in(inner, request, notes, shared),
        Err(rejection) => refuse(rejection, &request),
    }
}

impl<S: Clone, K> Clone for RedisRateLimit<S, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), policy: Arc::clone(&self.policy), remote: self.remote.clone() }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for RedisRateLimit<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimit").field("inner", &self.inner).field("remote", &self.remote).finish()
    }
}
