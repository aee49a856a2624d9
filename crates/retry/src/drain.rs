//! The rest of a response that nobody wants.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;

/// What is read of a response at most, so that its connection can be used again.
const MOST: u64 = 16 * 1024;

pin_project! {
    /// Reads a response that is retried to its end while the next attempt waits, if that is near; else drops it.
    pub(crate) struct Drain<B> {
        #[pin]
        body: Option<B>,
        left: u64,
    }
}

impl<B: Body> Drain<B> {
    pub(crate) fn new(body: B) -> Self {
        let is_near = body.size_hint().lower() <= MOST;
        Self { body: is_near.then_some(body), left: MOST }
    }

    /// Reads what is there. The body is dropped when it has ended.
    pub(crate) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        while let Some(body) = this.body.as_mut().as_pin_mut() {
            let ended = match body.poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => {
                    let read = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    // Frames without data are not free either.
                    match this.left.checked_sub(read.max(1)) {
                        Some(left) => *this.left = left,
                        None => *this.left = 0,
                    }
                    *this.left == 0
                }
                Poll::Ready(Some(Err(_)) | None) => true,
            };
            if ended {
                this.body.set(None);
            }
        }
    }
}
