//! The response future: ids on the way out.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Scoped, ScopedBody};
use http::Response;
use pin_project_lite::pin_project;

use crate::{compat, names::Names, service::stamp};

pin_project! {
    /// Response future of [`CorrelationIdService`](crate::CorrelationIdService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        names: Names,
        #[pin]
        inner: Scoped<F>,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) fn new(inner: Scoped<F>, names: Names) -> Self {
        Self { names, inner }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ScopedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = ready!(this.inner.as_mut().poll(cx))?;
        let context = this.inner.take_context();
        if let Some(context) = &context {
            // For gRPC these are the leading metadata of an answer, and all there are of a Trailers-Only error.
            stamp(response.headers_mut(), this.names, context);
            compat::leave(response.extensions_mut(), context);
        }
        Poll::Ready(Ok(response.map(|body| ScopedBody::new(context, body))))
    }
}
