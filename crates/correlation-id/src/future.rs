//! The response future: ids on the way out.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{RequestContext, ScopedBody};
use http::Response;
use pin_project_lite::pin_project;

use crate::{config::Names, service::overwrite};

pin_project! {
    /// Response future of [`CorrelationIdService`](crate::CorrelationIdService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        names: Names,
        context: RequestContext,
        #[pin]
        inner: F,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) fn new(context: RequestContext, inner: F, names: Names) -> Self {
        Self { names, context, inner }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ScopedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let context = &*this.context;
        let mut response = ready!(context.enter(|| this.inner.poll(cx)))?;
        // For gRPC these are the leading metadata of an answer, and all there are of a Trailers-Only error.
        let headers = response.headers_mut();
        if let Some(id) = context.request_id() {
            overwrite(headers, this.names.request(), id.to_header());
        }
        if let (Some(name), Some(id)) = (this.names.correlation(), context.correlation_id()) {
            overwrite(headers, name, id.to_header());
        }
        Poll::Ready(Ok(response.map(|body| ScopedBody::new(context.clone(), body))))
    }
}
