//! The response body of a layer that may refuse.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The inner service's body, or a refusal's.
    ///
    /// Costs no allocation, passes frames, trailers and size hints on as they are, and works with any body whose
    /// data can be made from [`Bytes`]: axum's, tonic's, hyper's `Incoming`, `Full`, `StreamBody` and so on.
    pub struct ResponseBody<B> {
        #[pin]
        repr: Repr<B>,
    }
}

pin_project! {
    #[project = ReprProj]
    enum Repr<B> {
        Forward { #[pin] body: B },
        Full { bytes: Option<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    /// The body of the inner service.
    pub fn forward(body: B) -> Self {
        Self { repr: Repr::Forward { body } }
    }

    /// A body that is in memory already; `None` is the empty one.
    pub fn full(bytes: Option<Bytes>) -> Self {
        Self { repr: Repr::Full { bytes: bytes.filter(|bytes| !bytes.is_empty()) } }
    }

    /// No body at all.
    pub fn empty() -> Self {
        Self { repr: Repr::Full { bytes: None } }
    }
}

impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repr {
            Repr::Forward { .. } => f.write_str("ResponseBody::Forward"),
            Repr::Full { bytes } => f
                .debug_struct("ResponseBody::Full")
                .field("len", &bytes.as_ref().map_or(0, Bytes::len))
                .finish(),
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().repr.project() {
            ReprProj::Forward { body } => body.poll_frame(cx),
            ReprProj::Full { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes.into())))),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.repr {
            Repr::Forward { body } => body.is_end_stream(),
            Repr::Full { bytes } => bytes.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.repr {
            Repr::Forward { body } => body.size_hint(),
            Repr::Full { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
