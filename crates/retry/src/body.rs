//! The body of a response that the caller gets.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{BodyObserver, BodyReport, GrpcCode, ObservedBody, Protocol, ResponseBody};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Is told the status of a gRPC call, and its trailers where they are HTTP's.
pub(crate) type Settle = Box<dyn FnOnce(GrpcCode, &HeaderMap) + Send + Sync>;

pin_project! {
    /// The response body of [`Retry`](crate::Retry): the inner service's, frame by frame, or
    /// that of a refusal.
    ///
    /// A [`Budget`](crate::Budget) that counts outcomes learns that of a gRPC call from the trailers, and that of a call of
    /// gRPC-Web from the last frame. A call whose status never comes counts neither way.
    pub struct RetryBody<B> {
        #[pin]
        inner: Inner<B>,
        settle: Option<Settle>,
    }
}

pin_project! {
    #[project = InnerProj]
    enum Inner<B> {
        Plain { #[pin] body: ResponseBody<B> },
        // Boxed: only a budget that counts outcomes reads it.
        Web { body: Pin<Box<ObservedBody<ResponseBody<B>, WebEnd>>> },
    }
}

impl<B> RetryBody<B> {
    #[inline]
    pub(crate) fn new(inner: ResponseBody<B>) -> Self {
        Self { inner: Inner::Plain { body: inner }, settle: None }
    }

    /// Tells `settle` how the response ends.
    #[cold]
    pub(crate) fn settling(response: Response<ResponseBody<B>>, settle: Settle) -> Response<Self>
    where
        B: Body<Data: From<Bytes>>,
    {
        if matches!(Protocol::from_headers(response.headers()), Protocol::GrpcWeb(_)) {
            let response = ObservedBody::wrap(response, false, WebEnd(settle));
            return response.map(|body| Self { inner: Inner::Web { body: Box::pin(body) }, settle: None });
        }
        response.map(|body| Self { inner: Inner::Plain { body }, settle: Some(settle) })
    }
}

/// Waits for the last frame of gRPC-Web, which holds the status.
struct WebEnd(Settle);

impl BodyObserver for WebEnd {
    fn on_end(self, report: BodyReport) {
        if let Some(code) = report.grpc {
            // A policy that panics, perhaps while the body is dropped, has said nothing.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.0)(code, &HeaderMap::new())));
        }
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
        let frame = ready!(match this.inner.project() {
            InnerProj::Plain { body } => body.poll_frame(cx),
            InnerProj::Web { body } => body.as_mut().poll_frame(cx),
        });
        if this.settle.is_some()
            && let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(settle) = this.settle.take()
        {
            settle(GrpcCode::from_headers(trailers).unwrap_or(GrpcCode::Unknown), trailers);
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Plain { body } => body.is_end_stream(),
            Inner::Web { body } => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Plain { body } => body.size_hint(),
            Inner::Web { body } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for RetryBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RetryBody");
        match &self.inner {
            Inner::Plain { body } => debug.field("inner", body),
            Inner::Web { body } => debug.field("inner", body),
        };
        debug.finish_non_exhaustive()
    }
}
