//! The response future: attempts, and the waits between them.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bartizan_core::{Face, Reason, Rejection, ResponseBody};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::{
    Policy, Replay, ReplayBody, RetryBody,
    call::{AfterResponse, Call, Next},
    drain::Drain,
    head::KeptHead,
    layer::Shared,
    limits::Limits,
};

pin_project! {
    /// Response future of [`Retry`](crate::Retry). Dropped, it gives up the attempt that runs, or the next.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, F, B, R, P> {
        #[pin]
        state: State<F, R, B>,
        // Ends an attempt, or a wait.
        #[pin]
        timer: Option<Sleep>,
        // None when there was no attempt, and neither will be.
        call: Option<(S, Call<B, P>)>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R, B> {
        Attempt { #[pin] inner: F },
        Wait { #[pin] rest: Option<Drain<R>>, body: Option<ReplayBody<B>> },
        Ready { body: Option<ReplayBody<B>> },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

impl<S, F, B, R, P> RetryFuture<S, F, B, R, P> {
    /// The call is put together where it stays: most of what a call costs are such moves.
    #[inline(always)]
    pub(crate) fn new(
        inner: F,
        further: S,
        shared: Arc<Shared<P>>,
        head: KeptHead,
        replay: Replay<B>,
        limits: Limits,
    ) -> Self {
        Self {
            state: State::Attempt { inner },
            timer: None,
            call: Some((further, Call { shared, head, replay, limits, progress: None })),
        }
    }

    #[cold]
    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Refuse { refusal: Some((rejection, face)) }, timer: None, call: None }
    }
}

/// Whether the time that is left is over. Asked when what it bounds is not done, so that what is done at once sets no
/// timer.
fn is_over(
    mut timer: Pin<&mut Option<Sleep>>,
    left: impl FnOnce() -> Option<Duration>,
    cx: &mut Context<'_>,
) -> bool {
    if timer.is_none() {
        let Some(left) = left() else { return false };
        timer.set(Some(sleep(left)));
    }
    timer.as_pin_mut().is_some_and(|timer| timer.poll(cx).is_ready())
}

impl<S, B, R, P> Future for RetryFuture<S, S::Future, B, R, P>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    S::Error: std::error::Error + 'static,
    R: Body<Data: From<Bytes>>,
    P: Policy,
{
    type Output = Result<Response<RetryBody<R>>, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        let polled = match (this.state.project(), &*this.call) {
            (StateProj::Attempt { inner }, Some((_, call))) => match inner.poll(cx) {
                Poll::Ready(Ok(response)) if call.passes(&response) => {
                    *this.call = None;
                    let (parts, body) = response.into_parts();
                    let body = RetryBody::new(ResponseBody::forward(body), None);
                    return Poll::Ready(Ok(Response::from_parts(parts, body)));
                }
                polled => Some(polled),
            },
            _ => None,
        };
        self.go_on(polled, cx)
    }
}

impl<S, B, R, P> RetryFuture<S, S::Future, B, R, P>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    S::Error: std::error::Error + 'static,
    R: Body<Data: From<Bytes>>,
    P: Policy,
{
    /// Does what is to be done, after the attempt that runs was `polled`, if one does.
    #[inline(never)]
    fn go_on(
        self: Pin<&mut Self>,
        mut polled: Option<Poll<Result<Response<R>, S::Error>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RetryBody<R>>, S::Error>> {
        let mut this = self.project();
        loop {
            if let StateProj::Refuse { refusal } = this.state.as_mut().project() {
                // Polled again after it was ready, which no caller may do, it still answers.
                let (rejection, face) =
                    refusal.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
                let mut response = rejection.into_response(&face);
                if let Some((_, call)) = this.call.take() {
                    call.leave_count(response.extensions_mut());
                }
                return Poll::Ready(Ok(response.map(|body| RetryBody::new(body, None))));
            }
            let Some((service, call)) = this.call.as_mut() else {
                this.state.set(State::Refuse { refusal: None });
                continue;
            };
            let next = match this.state.as_mut().project() {
                // ## Attempt => Wait | Refuse
                StateProj::Attempt { inner } => match polled.take().unwrap_or_else(|| inner.poll(cx)) {
                    Poll::Ready(Ok(response)) => {
                        let (mut parts, rest) = response.into_parts();
                        match call.after_response(&mut parts) {
                            AfterResponse::Return(settle) => {
                                *this.call = None;
                                let body = RetryBody::new(ResponseBody::forward(rest), settle);
                                return Poll::Ready(Ok(Response::from_parts(parts, body)));
                            }
                            AfterResponse::Again { wait, body } => {
                                this.timer.set(wait_for(wait));
                                State::Wait { rest: Some(Drain::new(rest)), body: Some(body) }
                            }
                        }
                    }
                    Poll::Ready(Err(error)) => match call.after_error(&error) {
                        Next::Return => {
                            *this.call = None;
                            return Poll::Ready(Err(error));
                        }
                        Next::Again { wait, body } => {
                            this.timer.set(wait_for(wait));
                            State::Wait { rest: None, body: Some(body) }
                        }
                    },
                    Poll::Pending if is_over(this.timer.as_mut(), || call.time_left(), cx) => {
                        match call.after_timeout() {
                            Next::Return => refused(call),
                            Next::Again { wait, body } => {
                                this.timer.set(wait_for(wait));
                                State::Wait { rest: None, body: Some(body) }
                            }
                        }
                    }
                    Poll::Pending => return Poll::Pending,
                },
                // ## Wait => Ready
                StateProj::Wait { rest, body } => {
                    if let Some(rest) = rest.as_pin_mut() {
                        rest.poll(cx);
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(cx));
                    }
                    this.timer.set(None);
                    State::Ready { body: body.take() }
                }
                // ## Ready => Attempt | Refuse
                StateProj::Ready { body } => match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => match body.take().and_then(|body| call.next_request(body)) {
                        Some(request) => {
                            this.timer.set(None);
                            State::Attempt { inner: service.call(request) }
                        }
                        None => missed(call),
                    },
                    Poll::Ready(Err(error)) => {
                        *this.call = None;
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending if is_over(this.timer.as_mut(), || call.time_left_of_all(), cx) => {
                        missed(call)
                    }
                    Poll::Pending => return Poll::Pending,
                },
                StateProj::Refuse { .. } => continue,
            };
            this.state.set(next);
        }
    }
}

fn wait_for(wait: Duration) -> Option<Sleep> {
    // Even a sleep of no time takes until the next tick of the timer.
    (!wait.is_zero()).then(|| sleep(wait))
}

/// Time has run out before the attempt that was to be made was begun.
fn missed<F, R, B, P: Policy>(call: &Call<B, P>) -> State<F, R, B> {
    call.missed();
    refused(call)
}

fn refused<F, R, B, P: Policy>(call: &Call<B, P>) -> State<F, R, B> {
    let (rejection, request) = call.too_late();
    State::Refuse { refusal: Some((rejection, Face::of_call(&request))) }
}

impl<S, F, B, R, P> fmt::Debug for RetryFuture<S, F, B, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").finish_non_exhaustive()
    }
}
