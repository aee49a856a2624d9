//! The response future of a service behind a breaker.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, ObservedFuture, Reason, Rejection, RequestContext, ResponseBody};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{BreakerBody, guard::Guard, telemetry};

pin_project! {
    /// Response future of [`CircuitBreaker`](crate::CircuitBreaker): the inner service's, `F`, a fallback's, `A`, or a
    /// refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct CircuitBreakerFuture<F, A> {
        #[pin]
        state: State<F, A>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, A> {
        Watch { #[pin] inner: ObservedFuture<F, Guard> },
        Exempt { #[pin] inner: F },
        Fallback { #[pin] answer: A, refusal: Refusal },
        Refuse { refusal: Refusal },
    }
}

/// A refusal that was not sent yet, and whose request it was.
pub(crate) struct Refusal {
    answer: Option<(Rejection, Face)>,
    context: Option<RequestContext>,
}

impl Refusal {
    pub(crate) fn new(rejection: Rejection, face: Face, context: Option<RequestContext>) -> Self {
        Self { answer: Some((rejection, face)), context }
    }

    #[cold]
    #[inline(never)]
    fn send<B: Body>(&mut self) -> Response<BreakerBody<B>> {
        // Polled again after it was ready, which no caller may do, it still answers.
        let (rejection, face) =
            self.answer.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
        rejection.into_response(&face).map(BreakerBody::other)
    }
}

impl<F, A> CircuitBreakerFuture<F, A> {
    #[inline(always)]
    pub(crate) fn watch(inner: ObservedFuture<F, Guard>) -> Self {
        Self { state: State::Watch { inner } }
    }

    pub(crate) fn exempt(inner: F) -> Self {
        Self { state: State::Exempt { inner } }
    }

    pub(crate) fn refuse(refusal: Refusal, answer: Option<A>) -> Self {
        let state = match answer {
            Some(answer) => State::Fallback { answer, refusal },
            None => State::Refuse { refusal },
        };
        Self { state }
    }
}

impl<F, A, B, E> Future for CircuitBreakerFuture<F, A>
where
    F: Future<Output = Result<Response<B>, E>>,
    A: Future<Output = Option<Response<ResponseBody<B>>>>,
    B: Body,
{
    type Output = Result<Response<BreakerBody<B>>, E>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Watch { inner } => {
                let (head, body) = ready!(inner.poll(cx))?.into_parts();
                Poll::Ready(Ok(Response::from_parts(head, BreakerBody::observed(body))))
            }
            StateProj::Exempt { inner } => poll_exempt(inner, cx),
            StateProj::Fallback { answer, refusal } => poll_fallback(answer, refusal, cx).map(Ok),
            StateProj::Refuse { refusal } => Poll::Ready(Ok(refusal.send())),
        }
    }
}

/// Apart, as the next, so that what most calls need is small enough to be part of the caller.
#[inline(never)]
fn poll_exempt<F, B, E>(inner: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<Response<BreakerBody<B>>, E>>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    Poll::Ready(Ok(ready!(inner.poll(cx))?.map(|body| BreakerBody::other(ResponseBody::forward(body)))))
}

#[inline(never)]
fn poll_fallback<A, B>(
    answer: Pin<&mut A>,
    refusal: &mut Refusal,
    cx: &mut Context<'_>,
) -> Poll<Response<BreakerBody<B>>>
where
    A: Future<Output = Option<Response<ResponseBody<B>>>>,
    B: Body,
{
    Poll::Ready(match ready!(answer.poll(cx)) {
        Some(response) => {
            telemetry::note_fallback(refusal.context.as_ref());
            response.map(BreakerBody::other)
        }
        None => refusal.send(),
    })
}

impl<F, A> fmt::Debug for CircuitBreakerFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerFuture").finish_non_exhaustive()
    }
}
