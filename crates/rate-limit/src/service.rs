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
    policy::{Glance, Notes, Policy, Seen, Shared},
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
        let policy = &*self.policy;
        let shared: &Shared = &policy.shared;
        let mut seen = None;
        if let Some(cost) = shared.usual_cost
            && *request.method() != Method::OPTIONS
        {
            match shared.glance(&*policy.keys, &RequestHead::of(&request), cost) {
                Glance::Passed(note) => {
                    // What comes after is made last: nothing is to be dropped then should the inner service panic.
                    let inner = self.inner.call(request);
                    let after = shared.watches.then(|| After::new(policy.shared.share(), Notes::One(note)));
                    return RateLimitFuture::forward(inner, after);
                }
                Glance::Unclear(known) => seen = Some(known),
            }
        }
        self.call_apart(request, seen)
    }
}

impl<S, K: Keys> RateLimit<S, K> {
    /// Calls where there is more to decide or to do. Apart, so that it is not in the way of the usual request.
    #[inline(never)]
    fn call_apart<B>(&mut self, request: Request<B>, seen: Option<Seen>) -> RateLimitFuture<S::Future>
    where
        S: Service<Request<B>>,
    {
        match self.policy.admit(&RequestHead::of(&request), seen) {
            Ok(notes) => let_in(&mut self.inner, request, notes, self.policy.shared.share()),
            Err(rejection) => refuse(rejection, &request),
        }
    }
}

/// Calls the inner service.
#[inline(always)]
pub(crate) fn let_in<S, B>(
    inner: &mut S,
    request: Request<B>,
    notes: Option<Notes>,
    shared: Share<Shared>,
) -> RateLimitFuture<S::Future>
where
    S: Service<Request<B>>,
{
    let Some(notes) = notes else { return RateLimitFuture::forward(inner.call(request), None) };
    if shared.settings.extension || shared.charges {
        return call_noted(inner, request, notes, shared);
    }
    RateLimitFuture::forward(inner.call(request), Some(After::new(shared, notes)))
}

#[cold]
pub(crate) fn refuse<B, F>(rejection: Rejection, request: &Request<B>) -> RateLimitFuture<F> {
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
