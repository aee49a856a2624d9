//! The body that goes on: a request's to the service, a response's to the caller.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// The body of a request or a response that passed: the very bytes that were checked, or the sender's own body where
/// there was nothing to check.
///
/// Bytes that came in one piece are handed on without a copy; trailers follow them.
pub struct CheckedBody<B: Body> {
    read: Option<Bytes>,
    rest: Rest<B, B::Error>,
}

/// The [`CheckedBody`] of a request.
pub type RequestBody<B> = CheckedBody<B>;

enum Rest<B, E> {
    Nothing,
    Trailers(Box<HeaderMap>),
    /// What was not read, or not to the end.
    Body(B),
    Failed(E),
}

impl<B: Body> CheckedBody<B> {
    /// A body that nobody read.
    pub(crate) fn untouched(body: B) -> Self {
        Self { read: None, rest: Rest::Body(body) }
    }

    /// A body that was read to its end.
    pub(crate) fn whole(bytes: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        Self { read: some(bytes), rest: trailers.map_or(Rest::Nothing, Rest::Trailers) }
    }

    /// A body of which the first bytes were read.
    pub(crate) fn begun(bytes: Bytes, rest: B) -> Self {
        Self { read: some(bytes), rest: Rest::Body(rest) }
    }

    /// A body that failed after these bytes.
    pub(crate) fn failed(bytes: Bytes, error: B::Error) -> Self {
        Self { read: some(bytes), rest: Rest::Failed(error) }
    }
}

fn some(bytes: Bytes) -> Option<Bytes> {
    (!bytes.is_empty()).then_some(bytes)
}

impl<B> Body for CheckedBody<B>
where
    B: Body + Unpin,
    B::Data: From<Bytes>,
    B::Error: Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(bytes) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
        }
        if let Rest::Body(body) = &mut self.rest {
            return Pin::new(body).poll_frame(cx);
        }
        Poll::Ready(match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Trailers(trailers) => Some(Ok(Frame::trailers(*trailers))),
            Rest::Failed(error) => Some(Err(error)),
            Rest::Nothing | Rest::Body(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none()
            && match &self.rest {
                Rest::Nothing => true,
                Rest::Trailers(_) | Rest::Failed(_) => false,
                Rest::Body(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let Rest::Body(body) = &self.rest else { return SizeHint::with_exact(read) };
        let rest = body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint.set_lower(rest.lower().saturating_add(read));
        hint
    }
}

impl<B: Body> fmt::Debug for CheckedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = match &self.rest {
            Rest::Nothing => "nothing",
            Rest::Trailers(_) => "trailers",
            Rest::Body(_) => "body",
            Rest::Failed(_) => "failed",
        };
        f.debug_struct("CheckedBody")
            .field("read", &self.read.as_ref().map_or(0, Bytes::len))
            .field("rest", &rest)
            .finish()
    }
}
