//! The response body of a service behind a breaker.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bartizan_core::{HeadSeen, ObservedBody, ResponseBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::guard::Guard;

pin_project! {
    /// The inner service's body, seen to its end; or a refusal's, or a fallback's.
    pub struct BreakerBody<B> {
        #[pin]
        repr: Repr<B>,
    }
}

// One choice for each frame, not one within another.
pin_project! {
    #[project = ReprProj]
    enum Repr<B> {
        Observed { #[pin] body: ObservedBody<B, HeadSeen<Guard>> },
        Other { #[pin] body: ResponseBody<B> },
    }
}

impl<B> BreakerBody<B> {
    #[inline]
    pub(crate) fn observed(body: ObservedBody<B, HeadSeen<Guard>>) -> Self {
        Self { repr: Repr::Observed { body } }
    }

    pub(crate) fn other(body: ResponseBody<B>) -> Self {
        Self { repr: Repr::Other { body } }
    }
}

/// No body at all.
impl<B> Default for BreakerBody<B> {
    fn default() -> Self {
        Self::other(ResponseBody::empty())
    }
}

impl<B> Body for BreakerBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    // A frame is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().repr.project() {
            ReprProj::Observed { body } => body.poll_frame(cx),
            ReprProj::Other { body } => poll_apart(body, cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.repr {
            Repr::Observed { body } => body.is_end_stream(),
            Repr::Other { body } => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.repr {
            Repr::Observed { body } => body.size_hint(),
            Repr::Other { body } => body.size_hint(),
        }
    }
}

type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// Apart, so that what most bodies need is small enough to be part of the caller.
#[inline(never)]
fn poll_apart<B: Body>(body: Pin<&mut B>, cx: &mut Context<'_>) -> Polled<B> {
    body.poll_frame(cx)
}

impl<B> fmt::Debug for BreakerBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerBody").finish_non_exhaustive()
    }
}
