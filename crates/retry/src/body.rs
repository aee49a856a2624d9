//! The body of a response that the caller gets.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::ResponseBody;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Is told the trailers of a gRPC response.
pub(crate) type Settle = Box<dyn FnOnce(&HeaderMap) + Send + Sync>;

pin_project! {
    /// The response body of [`Retry`](crate::Retry): the inner service's, frame by frame, or
    /// that of a refusal.
    ///
    /// A [`Budget`](crate::Budget) that counts outcomes learns that of a gRPC call from the trailers. A call whose trailers
    /// never come counts neither way.
    pub struct RetryBody<B> {
        #[pin]
        inner: ResponseBody<B>,
        settle: Option<Settle>,
    }
}

impl<B> RetryBody<B> {
    #[inline]
    pub(crate) fn new(inner: ResponseBody<B>, settle: Option<Settle>) -> Self {
        Self { inner, settle }
    }
}

impl<B> Body for RetryBody<B>
where
    B: Body<Data: From<Bytes>>,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if this.settle.is_some()
            && let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(settle) = this.settle.take()
        {
            settle(trailers);
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for RetryBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
