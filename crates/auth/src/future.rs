//! The response future of [`ApiKeyService`](crate::ApiKeyService).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Rejection, ResponseBody, ResponseFuture};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::challenge::Asks;

pin_project! {
    /// Response future of [`ApiKeyService`](crate::ApiKeyService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ApiKeyFuture<F> {
        #[pin]
        state: State<F>,
        asks: Asks,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Plain { #[pin] inner: ResponseFuture<F> },
        // The key was in the query, so that the answer's URL holds it.
        Private { #[pin] inner: ResponseFuture<F> },
    }
}

impl<F> ApiKeyFuture<F> {
    pub(crate) fn forward(inner: F, asks: Asks) -> Self {
        Self { state: State::Plain { inner: ResponseFuture::forward(inner) }, asks }
    }

    pub(crate) fn forward_private(inner: F, asks: Asks) -> Self {
        Self { state: State::Private { inner: ResponseFuture::forward(inner) }, asks }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Plain { inner: ResponseFuture::refuse(rejection, face) }, asks: Asks::NOTHING }
    }
}

impl<F, B, E> Future for ApiKeyFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut head, body) = match this.state.project() {
            StateProj::Plain { inner } => ready!(inner.poll(cx))?.into_parts(),
            StateProj::Private { inner } => {
                let mut response = ready!(inner.poll(cx))?;
                keep_out_of_shared_caches(response.headers_mut());
                response.into_parts()
            }
        };
        if Asks::concern(head.status) {
            head = this.asks.complete(head);
        }
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

fn keep_out_of_shared_caches(headers: &mut HeaderMap) {
    let is_private = |value: &HeaderValue| {
        let directives = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        directives.into_iter().any(|directive| {
            directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
        })
    };
    if !headers.get_all(header::CACHE_CONTROL).iter().any(is_private) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
