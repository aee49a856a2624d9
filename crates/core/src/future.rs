//! The response future of a layer that decides before it calls.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{Face, Reason, Rejection, ResponseBody};

pin_project! {
    /// Response future of a layer that either forwards a request or refuses it, decided in `call`.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Forward { #[pin] inner: F },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

impl<F> ResponseFuture<F> {
    /// The inner service answers.
    #[inline(always)]
    pub fn forward(inner: F) -> Self {
        Self { state: State::Forward { inner } }
    }

    /// The layer answers, in the face that the request wants.
    pub fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Refuse { refusal: Some((rejection, face)) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken apart in all cases: what others write as a whole does not decide then where the usual one lies.
        let (head, body) = match self.project().state.project() {
            StateProj::Forward { inner } => {
                let (head, body) = ready!(inner.poll(cx))?.into_parts();
                (head, ResponseBody::forward(body))
            }
            StateProj::Refuse { refusal } => answer(refusal.take()).into_parts(),
        };
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

#[cold]
fn answer<B: Body>(refusal: Option<(Rejection, Face)>) -> Response<ResponseBody<B>> {
    // Polled again after it was ready, which no caller may do, it still answers.
    let (rejection, face) = refusal.unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
    rejection.into_response(&face)
}
