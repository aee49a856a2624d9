//! The response future of a limited service.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, ObservedFuture, Protocol, Reason, Rejection, observe};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{LimitedBody, after::After};

pin_project! {
    /// Response future of [`RateLimit`](crate::RateLimit).
    #[must_use = "futures do nothing unless polled"]
    pub struct RateLimitFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        // With what is done at the head of the response.
        Forward { #[pin] inner: F, after: Option<After> },
        // The end of the response is looked at, and not its head alone.
        Observe { #[pin] inner: ObservedFuture<F, After> },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

impl<F> RateLimitFuture<F> {
    /// Does at the head of the response what is to be done.
    #[inline(always)]
    pub(crate) fn forward(inner: F, after: Option<After>) -> Self {
        Self { state: State::Forward { inner, after } }
    }

    /// Does it at the head, and to the end of its body. `protocol` is the request's, which was a HEAD if `head`.
    pub(crate) fn observe(inner: F, after: After, protocol: Protocol, head: bool) -> Self {
        Self { state: State::Observe { inner: observe(inner, protocol, head, after) } }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Refuse { refusal: Some((rejection, face)) } }
    }
}

impl<F, B, E> Future for RateLimitFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<LimitedBody<B>>, E>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken apart in all cases: what others write as a whole does not decide then where the usual one lies.
        let (head, body) = match self.project().state.project() {
            StateProj::Forward { inner, after } => {
                let (head, body) = ready!(inner.poll(cx))?.into_parts();
                match after {
                    Some(after) if after.concerns(&head) => after
                        .applied_to(Response::from_parts(head, body))
                        .map(LimitedBody::forward)
                        .into_parts(),
                    _ => (head, LimitedBody::forward(body)),
                }
            }
            StateProj::Observe { inner } => ready!(poll_observed(inner, cx))?.into_parts(),
            StateProj::Refuse { refusal } => answer(refusal.take()).into_parts(),
        };
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

/// Apart, so that what most requests need is small enough to be part of the caller.
#[inline(never)]
fn poll_observed<F, B, E>(
    inner: Pin<&mut ObservedFuture<F, After>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<LimitedBody<B>>, E>>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    Poll::Ready(Ok(ready!(inner.poll(cx))?.map(LimitedBody::observed)))
}

#[cold]
fn answer<B: Body>(refusal: Option<(Rejection, Face)>) -> Response<LimitedBody<B>> {
    // Polled again after it was ready, which no caller may do, it still answers.
    let (rejection, face) = refusal.unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
    rejection.into_response(&face).map(LimitedBody::refusal)
}

impl<F> fmt::Debug for RateLimitFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture").finish_non_exhaustive()
    }
}
