//! The service behind an [`AuthorizeLayer`](crate::AuthorizeLayer).

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, RequestContext, ResponseBody, ResponseFuture};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{AccessPolicy, NoPolicy, decide::Shared};
use crate::{ApiKeyFuture, HeldFuture, challenge::Asks};

/// Service of [`AuthorizeLayer`](crate::AuthorizeLayer). Clones share the rules.
#[derive(Clone)]
pub struct Authorize<S, P = NoPolicy> {
    inner: S,
    shared: Arc<Shared>,
    policy: P,
}

impl<S, P> Authorize<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared>, policy: P) -> Self {
        Self { inner, shared, policy }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Authorize<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorize")
            .field("rules", &self.shared.rules)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Authorize<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.shared.admit(&mut request) {
            Ok(()) => ResponseFuture::forward(self.inner.call(request)),
            Err(rejection) => ResponseFuture::refuse(rejection, Face::of(&request)),
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Authorize<S, AccessPolicy>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = HeldFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let query = match self.shared.admit_by(&self.policy, &mut request) {
            Ok(query) => query,
            Err(rejection) => {
                return HeldFuture::decided(ApiKeyFuture::refuse(rejection, Face::of(&request)));
            }
        };
        let Some(query) = query else {
            return HeldFuture::decided(ApiKeyFuture::forward(self.inner.call(request), Asks::NOTHING));
        };
        // The one that was polled ready goes with the request.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let context = RequestContext::get(request.extensions()).cloned();
        let (policy, shared) = (self.policy.clone(), Arc::clone(&self.shared));
        let deciding = async move {
            let decision = policy.ask(query).await;
            shared.conclude(decision, context.as_ref()).map(|()| None)
        };
        HeldFuture::hold(ready, request, false, Asks::NOTHING, Box::pin(deciding))
    }
}
