//! The body that goes on to the service.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::policy::Ticket;

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The body of a request behind an [`UploadLayer`](crate::UploadLayer): as it came where it is no form. A form is
    /// read by [`Upload`](crate::Upload), which checks it; past that, it gives an error and no bytes, and the answer is
    /// a 500.
    pub struct UploadBody<B> {
        #[pin]
        body: B,
        ticket: Option<Arc<Ticket>>,
    }
}

/// Someone reads a form past [`Upload`](crate::Upload).
#[derive(Clone, Copy, Debug)]
struct Unchecked;

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a form behind `UploadLayer` is read by `Upload` alone, which checks it")
    }
}

impl Error for Unchecked {}

impl<B> UploadBody<B> {
    pub(crate) fn untouched(body: B) -> Self {
        Self { body, ticket: None }
    }

    pub(crate) fn form(body: B, ticket: Arc<Ticket>) -> Self {
        Self { body, ticket: Some(ticket) }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for UploadBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        if let Some(ticket) = this.ticket.as_ref().filter(|ticket| !ticket.is_open()) {
            ticket.bypassed();
            return Poll::Ready(Some(Err(Box::new(Unchecked))));
        }
        this.body.poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for UploadBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadBody").field("form", &self.ticket.is_some()).finish_non_exhaustive()
    }
}
