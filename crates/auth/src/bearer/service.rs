//! The service behind a [`BearerLayer`](crate::BearerLayer).

use std::{
    fmt,
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, ResponseBody};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    BearerFuture, ResendBody,
    future::{Spare, unavailable},
    layer::Shared,
    tokens::{Taken, Token},
};

/// Service of [`BearerLayer`](crate::BearerLayer). Clones share the token.
pub struct BearerService<S, R> {
    inner: S,
    shared: Arc<Shared>,
    resend: PhantomData<fn() -> R>,
}

impl<S, R> BearerService<S, R> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, resend: PhantomData }
    }
}

impl<S: Clone, R> Clone for BearerService<S, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, R> fmt::Debug for BearerService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for BearerService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: ResendBody<ReqBody>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = BearerFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if !self.shared.is_for(&request) {
            return BearerFuture::pass(self.inner.call(request));
        }
        let tokens = &self.shared.tokens;
        match tokens.take() {
            Taken::Ready(token) => {
                let spare = spare::<S, R, ReqBody>(&self.inner, &request);
                BearerFuture::send(&mut self.inner, request, token, tokens.clone(), spare)
            }
            Taken::Wait(wait) => {
                // The one that was polled ready goes with the request.
                let clone = self.inner.clone();
                let service = mem::replace(&mut self.inner, clone);
                BearerFuture::wait(wait, tokens.clone(), service, request, spare::<S, R, ReqBody>)
            }
            Taken::Unavailable { retry_after } => {
                BearerFuture::refuse(unavailable(retry_after), Face::of_call(&request))
            }
        }
    }
}

/// What is needed to send the request once more, if it can be: made before the token is put on it.
fn spare<S: Clone, R: ResendBody<B>, B>(service: &S, request: &Request<B>) -> Option<Spare<S, B>> {
    let mut copy = Request::new(R::copy(request.body())?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(Spare { service: service.clone(), request: copy })
}

/// Puts the token on the request.
pub(super) fn attach<B>(request: &mut Request<B>, token: Token) {
    request.headers_mut().insert(http::header::AUTHORIZATION, token.value);
}
