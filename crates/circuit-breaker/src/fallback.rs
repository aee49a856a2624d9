//! Who answers instead of a service that is not called.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::ResponseBody;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

/// Who answers instead of a service that is not called: nobody, or the service given to
/// [`CircuitBreakerLayer::fallback`](crate::CircuitBreakerLayer::fallback).
pub trait Fallback<ReqBody, ResBody> {
    /// Resolves to the answer; to `None` when the fallback failed, and the request is refused after all.
    type Future: Future<Output = Option<Response<ResponseBody<ResBody>>>>;

    /// Begins to answer; `None` when there is nobody who would.
    fn answer(&self, request: Request<ReqBody>) -> Option<Self::Future>;
}

/// Nobody: the request is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFallback;

impl<ReqBody, ResBody> Fallback<ReqBody, ResBody> for NoFallback {
    type Future = NoAnswer<ResBody>;

    fn answer(&self, _: Request<ReqBody>) -> Option<Self::Future> {
        None
    }
}

/// Never made.
pub struct NoAnswer<B>(Infallible, std::marker::PhantomData<fn() -> B>);

impl<B> fmt::Debug for NoAnswer<B> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl<B> Future for NoAnswer<B> {
    type Output = Option<Response<ResponseBody<B>>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {}
    }
}

/// A service that answers.
#[derive(Clone, Debug)]
pub struct FallbackTo<S>(pub(crate) S);

impl<S, ReqBody, ResBody> Fallback<ReqBody, ResBody> for FallbackTo<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResponseBody<ResBody>>> + Clone,
{
    type Future = FallbackFuture<S, S::Future, ReqBody>;

    fn answer(&self, request: Request<ReqBody>) -> Option<Self::Future> {
        Some(FallbackFuture { state: State::Ready { called: Some((self.0.clone(), request)) } })
    }
}

pin_project! {
    /// The answer of a fallback, which is made ready first.
    #[must_use = "futures do nothing unless polled"]
    pub struct FallbackFuture<S, F, B> {
        #[pin]
        state: State<S, F, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, B> {
        Ready { called: Option<(S, Request<B>)> },
        Called { #[pin] inner: F },
    }
}

impl<S, ReqBody, ResBody> Future for FallbackFuture<S, S::Future, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResponseBody<ResBody>>>,
{
    type Output = Option<Response<ResponseBody<ResBody>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                // ## Ready => Called
                StateProj::Ready { called } => {
                    let Some((service, _)) = called else { return Poll::Ready(None) };
                    if ready!(service.poll_ready(cx)).is_err() {
                        return Poll::Ready(None);
                    }
                    let Some((mut service, request)) = called.take() else { return Poll::Ready(None) };
                    State::Called { inner: service.call(request) }
                }
                StateProj::Called { inner } => return Poll::Ready(ready!(inner.poll(cx)).ok()),
            };
            state.set(next);
        }
    }
}

impl<S, F, B> fmt::Debug for FallbackFuture<S, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackFuture").finish_non_exhaustive()
    }
}
