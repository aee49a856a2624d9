//! The response body of a limited service.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bartizan_core::{HeadSeen, ObservedBody, ResponseBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::after::After;

pin_project! {
    /// The inner service's body, or a refusal's.
    ///
    /// Where a limit charges by how the response ends, the body is seen to its end.
    pub struct LimitedBody<B> {
        #[pin]
        repr: Repr<B>,
    }
}

// One choice for each frame, not one within another.
pin_project! {
    #[project = ReprProj]
    enum Repr<B> {
        Forward { #[pin] body: B },
        // Boxed, so that the bodies of those who do not charge stay as small as they are.
        Observed { body: Pin<Box<ObservedBody<B, HeadSeen<After>>>> },
        Refusal { #[pin] body: ResponseBody<B> },
    }
}

impl<B> LimitedBody<B> {
    #[inline]
    pub(crate) fn forward(body: B) -> Self {
        Self { repr: Repr::Forward { body } }
    }

    pub(crate) fn observed(body: ObservedBody<B, HeadSeen<After>>) -> Self {
        Self { repr: Repr::Observed { body: Box::pin(body) } }
    }

    pub(crate) fn refusal(body: ResponseBody<B>) -> Self {
        Self { repr: Repr::Refusal { body } }
    }
}

/// No body at all.
impl<B> Default for LimitedBody<B> {
    fn default() -> Self {
        Self::refusal(ResponseBody::empty())
    }
}

impl<B> Body for LimitedBody<B>
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
            ReprProj::Observed { body } => poll_apart(body.as_mut(), cx),
            ReprProj::Refusal { body } => poll_apart(body, cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.repr {
            Repr::Forward { body } => body.is_end_stream(),
            Repr::Observed { body } => body.is_end_stream(),
            Repr::Refusal { body } => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.repr {
            Repr::Forward { body } => body.size_hint(),
            Repr::Observed { body } => body.size_hint(),
            Repr::Refusal { body } => body.size_hint(),
        }
    }
}

type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// Apart, so that what most bodies need is small enough to be part of the caller.
#[inline(never)]
fn poll_apart<B: Body>(body: Pin<&mut B>, cx: &mut Context<'_>) -> Polled<B> {
    body.poll_frame(cx)
}

impl<B> fmt::Debug for LimitedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedBody").finish_non_exhaustive()
    }
}
