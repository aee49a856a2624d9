//! The service of [`RateLimitLayer`](crate::RateLimitLayer).

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, Rejection, stripe::Share};
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    LimitedBody, RateLimitFuture, RequestHead,
    after::After,
    keys::Keys,
    policy::{Notes, Policy, Shared},
};

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
    K: Keys,
    ResBody: Body,
{
    type Response = Response<LimitedBody<ResBody>>;
    type Error = S::Error;
    type Future = RateLimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let shared = &self.policy.shared;
        if shared.settings.extension || shared.charges {
            return self.call_apart(request);
        }
        match self.policy.admit(&RequestHead::of(&request)) {
            // Here and not in `proceed`: a request that was lent is copied each time that it moves.
            Ok(notes) => {
                let after = notes.map(|notes| After::new(shared.share(), notes));
                RateLimitFuture::forward(self.inner.call(request), after)
            }
            Err(rejection) => refuse(rejection, &request),
        }
    }
}

impl<S, K: Keys> RateLimit<S, K> {
    /// Calls where there is more to do than to look at the head of the response. Apart, so that it is not in the way
    /// of others.
    #[inline(never)]
    fn call_apart<B>(&mut self, request: Request<B>) -> RateLimitFuture<S::Future>
    where
        S: Service<Request<B>>,
    {
        let admitted = self.policy.admit(&RequestHead::of(&request));
        proceed(&mut self.inner, request, admitted, self.policy.shared.share())
    }
}

/// Does what was decided.
#[inline(always)]
pub(crate) fn proceed<S, B>(
    inner: &mut S,
    request: Request<B>,
    admitted: Result<Option<Notes>, Rejection>,
    shared: Share<Shared>,
) -> RateLimitFuture<S::Future>
where
    S: Service<Request<B>>,
{
    let notes = match admitted {
        Ok(notes) => notes,
        Err(rejection) => return refuse(rejection, &request),
    };
    let Some(notes) = notes else { return RateLimitFuture::forward(inner.call(request), None) };
    if shared.settings.extension || shared.charges {
        return call_noted(inner, request, notes, shared);
    }
    RateLimitFuture::forward(inner.call(request), Some(After::new(shared, notes)))
}

#[cold]
fn refuse<B, F>(rejection: Rejection, request: &Request<B>) -> RateLimitFuture<F> {
    RateLimitFuture::refuse(rejection, Face::of(request))
}

/// Calls where the handler wants to know what was decided, or the end of the response matters. Apart, so that it is
/// not in the way of others.
#[inline(never)]
fn call_noted<S, B>(
    inner: &mut S,
    mut request: Request<B>,
    notes: Notes,
    shared: Share<Shared>,
) -> RateLimitFuture<S::Future>
where
    S: Service<Request<B>>,
{
    if shared.settings.extension {
        shared.show(&notes, request.extensions_mut());
    }
    if shared.charges {
        let (face, head) = (Face::of(&request), request.method() == Method::HEAD);
        let after = After::new(shared, notes);
        return RateLimitFuture::observe(inner.call(request), after, face.protocol(), head);
    }
    let after = if shared.watches { Some(After::new(shared, notes)) } else { None };
    RateLimitFuture::forward(inner.call(request), after)
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
