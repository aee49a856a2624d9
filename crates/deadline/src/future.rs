//! The response future of a service with a deadline.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, GrpcCode, Reason, Rejection, ResponseBody};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{TimeoutBody, body::BoxError, call::Call, telemetry::Stage, timer::Timer};

pin_project! {
    /// Response future of [`Timeout`](crate::Timeout) and of [`OutboundTimeout`](crate::OutboundTimeout).
    ///
    /// # Panics
    ///
    /// When the inner service is not ready at the first poll, outside of a tokio runtime with time enabled.
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Run { #[pin] inner: F, timer: Timer, call: Option<Call> },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

impl<F> TimeoutFuture<F> {
    pub(crate) fn run(inner: F, call: Call) -> Self {
        Self { state: State::Run { inner, timer: Timer::default(), call: Some(call) } }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Refuse { refusal: Some((rejection, face)) } }
    }
}

impl<F, B, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<TimeoutBody<B>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let (rejection, face) = match state.as_mut().project() {
            StateProj::Run { inner, timer, call } => {
                let late = match inner.poll(cx) {
                    Poll::Ready(Ok(response)) => {
                        if !is_cancelled(&response) || !call.as_ref().is_some_and(Call::failed_late) {
                            return Poll::Ready(Ok(TimeoutBody::wrap(response, call.take())));
                        }
                        call.take()
                    }
                    Poll::Ready(Err(error)) => match call.take() {
                        Some(call) if call.failed_late() => Some(call),
                        _ => return Poll::Ready(Err(error)),
                    },
                    Poll::Pending => {
                        // Only now: most handlers that are ready at once never touch a timer.
                        let Some((due, running)) =
                            call.as_ref().and_then(|call| Some((call.head_due()?, call)))
                        else {
                            return Poll::Pending;
                        };
                        ready!(timer.poll(cx, &running.keeper.clock, due));
                        call.take()
                    }
                };
                match late {
                    Some(call) => (call.exceeded(Stage::Head), call.face()),
                    None => unanswerable(),
                }
            }
            StateProj::Refuse { refusal } => refusal.take().unwrap_or_else(unanswerable),
        };
        // Work that nobody waits for any more is cancelled.
        state.set(State::Refuse { refusal: None });
        Poll::Ready(Ok(rejection.into_response(&face)))
    }
}

/// Polled again after it was ready, which no caller may do, it still answers.
fn unanswerable() -> (Rejection, Face) {
    (Rejection::new(Reason::Internal), Face::default())
}

/// Whether the other side ended a gRPC call before its first message, and says that it was cancelled.
fn is_cancelled<B>(response: &Response<B>) -> bool {
    GrpcCode::from_headers(response.headers()) == Some(GrpcCode::Cancelled)
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").finish_non_exhaustive()
    }
}
