//! The response future: a form that was refused is answered so, whatever the handler says.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Rejection, ResponseBody};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::policy::Ticket;

pin_project! {
    /// Response future of [`UploadService`](crate::UploadService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct UploadFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Pass { #[pin] inner: F },
        Watch { #[pin] inner: F, ticket: Arc<Ticket>, face: Face },
        Refuse { rejection: Rejection, face: Face },
    }
}

impl<F> UploadFuture<F> {
    pub(crate) fn pass(inner: F) -> Self {
        Self { state: State::Pass { inner } }
    }

    pub(crate) fn watch(inner: F, ticket: Arc<Ticket>, face: Face) -> Self {
        Self { state: State::Watch { inner, ticket, face } }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Refuse { rejection, face } }
    }
}

impl<F, B, E> Future for UploadFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().state.project() {
            StateProj::Pass { inner } => ready!(inner.poll(cx))?.map(ResponseBody::forward),
            StateProj::Watch { inner, ticket, face } => {
                let response = ready!(inner.poll(cx))?;
                match ticket.verdict() {
                    Some(rejection) => rejection.into_response(face),
                    None => response.map(ResponseBody::forward),
                }
            }
            StateProj::Refuse { rejection, face } => rejection.clone().into_response(face),
        }))
    }
}
