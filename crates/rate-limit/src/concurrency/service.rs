//! The service of [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, HeadSeen, ObservedBody, ObservedFuture, Reason, Rejection, ResponseBody, observe};
use http::{Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{layer::Shared, slots::Permit};
use crate::{KeyExtractor, RequestHead};

/// The service of [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer). Clones share the limit.
pub struct ConcurrencyLimit<S, K> {
    inner: S,
    shared: Arc<Shared<K>>,
}

impl<S, K> ConcurrencyLimit<S, K> {
    pub(super) fn new(inner: S, shared: Arc<Shared<K>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for ConcurrencyLimit<S, K>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: KeyExtractor,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ObservedBody<ResBody, HeadSeen<Permit>>>>;
    type Error = S::Error;
    type Future = ConcurrencyLimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let state = match self.shared.admit(&RequestHead::of(&request)) {
            Ok(permit) => {
                let (face, head) = (Face::of(&request), request.method() == Method::HEAD);
                State::Hold { inner: observe(self.inner.call(request), face.protocol(), head, permit) }
            }
            Err(rejection) => State::Refuse { refusal: Some((rejection, Face::of(&request))) },
        };
        ConcurrencyLimitFuture { state }
    }
}

impl<S: Clone, K> Clone for ConcurrencyLimit<S, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for ConcurrencyLimit<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit").field("inner", &self.inner).field("shared", &self.shared).finish()
    }
}

pin_project! {
    /// Response future of [`ConcurrencyLimit`]. Holds a place until the body of the response ends.
    #[must_use = "futures do nothing unless polled"]
    pub struct ConcurrencyLimitFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Hold { #[pin] inner: ObservedFuture<F, Permit> },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

impl<F, B, E> Future for ConcurrencyLimitFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<ObservedBody<B, HeadSeen<Permit>>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().state.project() {
            StateProj::Hold { inner } => ready!(inner.poll(cx))?.map(ResponseBody::forward),
            StateProj::Refuse { refusal } => {
                // Polled again after it was ready, which no caller may do, it still answers.
                let (rejection, face) =
                    refusal.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
                rejection.into_response(&face)
            }
        }))
    }
}

impl<F> fmt::Debug for ConcurrencyLimitFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitFuture").finish_non_exhaustive()
    }
}
