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
        Call { #[pin] inner: ObservedFuture<F, Guard> },
        // Boxed, so that a call has no more to move and to drop than it needs.
        Refused { answer: Pin<Box<Answer<A>>> },
    }
}

pin_project! {
    /// What a call that was not made is answered with.
    struct Answer<A> {
        #[pin]
        fallback: Option<A>,
        refusal: Option<(Rejection, Face)>,
        context: Option<RequestContext>,
    }
}

impl<A> Answer<A> {
    #[cold]
    #[inline(never)]
    fn poll<B, E>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<BreakerBody<B>>, E>>
    where
        A: Future<Output = Option<Response<ResponseBody<B>>>>,
        B: Body,
    {
        let mut this = self.project();
        if let Some(fallback) = this.fallback.as_mut().as_pin_mut() {
            let answer = ready!(fallback.poll(cx));
            this.fallback.set(None);
            if let Some(response) = answer {
                telemetry::note_fallback(this.context.as_ref());
                return Poll::Ready(Ok(response.map(BreakerBody::unobserved)));
            }
        }
        // Polled again after it was ready, which no caller may do, it still answers.
        let (rejection, face) =
            this.refusal.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
        Poll::Ready(Ok(rejection.into_response(&face).map(BreakerBody::unobserved)))
    }
}

impl<F, A> CircuitBreakerFuture<F, A> {
    #[inline(always)]
    pub(crate) fn call(inner: ObservedFuture<F, Guard>) -> Self {
        Self { state: State::Call { inner } }
    }

    /// Refuses the request with this context, unless there is a fallback that answers it.
    pub(crate) fn refuse(
        rejection: Rejection,
        face: Face,
        context: Option<RequestContext>,
        fallback: Option<A>,
    ) -> Self {
        let answer = Answer { fallback, refusal: Some((rejection, face)), context };
        Self { state: State::Refused { answer: Box::pin(answer) } }
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
            StateProj::Call { inner } => inner.poll_with(cx, ResponseBody::forward),
            StateProj::Refused { answer } => answer.as_mut().poll(cx),
        }
    }
}

impl<F, A> fmt::Debug for CircuitBreakerFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerFuture").finish_non_exhaustive()
    }
}
