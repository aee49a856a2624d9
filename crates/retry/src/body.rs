//! The body of a response that the caller gets.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
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

    /// Looks for the status in a frame, and is done when it is there.
    #[cold]
    fn look(waiting: &mut Option<Box<Self>>, frame: &Frame<impl Buf>) {
        let Some(settle) = waiting else { return };
        let none = HeaderMap::new();
        let found = match &mut settle.web {
            Some(web) => frame.data_ref().and_then(|data| web.read(data)).map(|code| (code, &none)),
            None => frame
                .trailers_ref()
                .map(|trailers| (GrpcCode::from_headers(trailers).unwrap_or(GrpcCode::Unknown), trailers)),
        };
        if let Some((code, trailers)) = found
            && let Some(settle) = waiting.take()
        {
            (settle.tell)(code, trailers);
        }
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

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if this.settle.is_some()
            && let Some(Ok(frame)) = &frame
        {
            Settle::look(this.settle, frame);
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
