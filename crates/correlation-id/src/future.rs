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

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (mut head, body) = ready!(this.inner.as_mut().poll(cx))?.into_parts();
        let context = this.inner.take_context();
        if let Some(context) = &context {
            // For gRPC these are the leading metadata of an answer, and all there are of a Trailers-Only error.
            stamp(&mut head.headers, this.names, context);
            compat::leave(&mut head.extensions, context);
        }
        Poll::Ready(Ok(Response::from_parts(head, ScopedBody::new(context, body))))
    }
}
