//! The body of a response that the caller gets.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bartizan_core::{GrpcCode, GrpcWebStatus, Protocol, ResponseBody};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Is told the status of a gRPC call, and its trailers where they are HTTP's.
type Tell = Box<dyn FnOnce(GrpcCode, &HeaderMap) + Send + Sync>;

/// Waits for the status of a gRPC call. Boxed, since few bodies have one.
pub(crate) struct Settle {
    tell: Tell,
    /// Reads it out of a body of gRPC-Web.
    web: Option<GrpcWebStatus>,
}

impl Settle {
    /// `protocol` is the response's own.
    pub(crate) fn new(
        protocol: Protocol,
        tell: impl FnOnce(GrpcCode, &HeaderMap) + Send + Sync + 'static,
    ) -> Box<Self> {
        let web = match protocol {
            Protocol::GrpcWeb(format) => Some(GrpcWebStatus::new(format)),
            _ => None,
        };
        Box::new(Self { tell: Box::new(tell), web })
    }

    /// Looks for the status in a piece of the body; `None`, and told, when it is there.
    #[cold]
    fn read(mut self: Box<Self>, piece: &[u8]) -> Option<Box<Self>> {
        match self.web.as_mut().and_then(|web| web.read(&piece)) {
            Some(code) => {
                (self.tell)(code, &HeaderMap::new());
                None
            }
            None => Some(self),
        }
    }

    #[cold]
    fn end(self, trailers: &HeaderMap) {
        (self.tell)(GrpcCode::from_headers(trailers).unwrap_or(GrpcCode::Unknown), trailers);
    }
}

pin_project! {
    /// The response body of [`Retry`](crate::Retry): the inner service's, frame by frame, or
    /// that of a refusal.
    ///
    /// A [`Budget`](crate::Budget) that counts outcomes learns that of a gRPC call from the trailers, and that of a call of
    /// gRPC-Web from the last frame. A call whose status never comes counts neither way.
    pub struct RetryBody<B> {
        #[pin]
        inner: ResponseBody<B>,
        settle: Option<Box<Settle>>,
    }
}

impl<B> RetryBody<B> {
    #[inline]
    pub(crate) fn new(inner: ResponseBody<B>, settle: Option<Box<Settle>>) -> Self {
        Self { inner, settle }
    }
}

impl<B> Body for RetryBody<B>
where
    B: Body<Data: From<Bytes>>,
{
    type Data = B::Data;
    type Error = B::Error;

    // A frame is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        // Handed on as it is: to take it out would copy it twice. And lent to nobody: then it need not be in memory.
        let polled = this.inner.poll_frame(cx);
        if this.settle.is_some()
            && let Poll::Ready(Some(Ok(frame))) = &polled
        {
            if let Some(trailers) = frame.trailers_ref() {
                if let Some(settle) = this.settle.take() {
                    settle.end(trailers);
                }
            } else if let Some(data) = frame.data_ref() {
                // Bodies are read in one part each, as they come from a connection. In others the status is not looked for.
                let (part, is_whole) = (data.chunk(), data.chunk().len() == data.remaining());
                *this.settle = this.settle.take().filter(|_| is_whole).and_then(|settle| settle.read(part));
            }
        }
        polled
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
