//! The response future: reads, judges, calls.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Reason, Rejection, ResponseBody};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    RequestBody,
    check::{Check, Shared},
    read::Reading,
};

pin_project! {
    /// Response future of [`Validate`](crate::Validate).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, C, B>
    where
        S: Service<Request<RequestBody<B>>>,
        B: Body,
    {
        #[pin]
        state: State<S, C, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, C, B, F> {
        // ## Reading => (Calling | Refused)
        Reading { reading: Reading<B>, ready: S, shared: Arc<Shared<C>> },
        Calling { #[pin] inner: F },
        Refused { refusal: Option<(Rejection, Face)> },
    }
}

impl<S, C, B> ResponseFuture<S, C, B>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
{
    pub(crate) fn read(reading: Reading<B>, ready: S, shared: Arc<Shared<C>>) -> Self {
        Self { state: State::Reading { reading, ready, shared } }
    }

    pub(crate) fn forward(inner: S::Future) -> Self {
        Self { state: State::Calling { inner } }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Refused { refusal: Some((rejection, face)) } }
    }
}

impl<S, C, B, R> Future for ResponseFuture<S, C, B>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    C: Check,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Reading { reading, ready, shared } => {
                    match ready!(shared.poll(reading, cx, |request| ready.call(request))) {
                        Ok(inner) => State::Calling { inner },
                        Err(refusal) => State::Refused { refusal: Some(refusal) },
                    }
                }
                StateProj::Calling { inner } => {
                    return inner.poll(cx).map_ok(|response| response.map(ResponseBody::forward));
                }
                StateProj::Refused { refusal } => {
                    // Polled again after it was ready, which no caller may do, it still answers.
                    let (rejection, face) =
                        refusal.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
                    return Poll::Ready(Ok(rejection.into_response(&face)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, C, B> fmt::Debug for ResponseFuture<S, C, B>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Reading { .. } => "reading",
            State::Calling { .. } => "calling",
            State::Refused { .. } => "refused",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish()
    }
}
