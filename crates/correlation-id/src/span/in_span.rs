//! What runs within the span of a request.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::OpenSpan;

pin_project! {
    /// A future or body that runs, and is dropped, within the span of a request.
    pub struct InSpan<T> {
        // Taken out only when it is dropped, so that what it tells then is told within the span.
        #[pin]
        inner: Option<T>,
        span: OpenSpan,
    }

    impl<T> PinnedDrop for InSpan<T> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let inner = &mut this.inner;
            this.span.enter(|| inner.set(None));
        }
    }
}

impl<T> InSpan<T> {
    pub(crate) fn new(span: OpenSpan, inner: T) -> Self {
        Self { inner: Some(inner), span }
    }
}

impl<T> fmt::Debug for InSpan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InSpan").finish_non_exhaustive()
    }
}

impl<F, B, E> Future for InSpan<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<InSpan<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("is there until it is dropped");
        let response = ready!(this.span.enter(|| inner.poll(cx)))?;
        Poll::Ready(Ok(response.map(|body| InSpan::new(this.span.clone(), body))))
    }
}

impl<B: Body> Body for InSpan<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("is there until it is dropped");
        this.span.enter(|| inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
