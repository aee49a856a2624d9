//! The response future: waits, reads, judges.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    check::{Answer, Asked, Begun, Reading, pass},
    settings::Settings,
};

pin_project! {
    /// Response future of [`ValidateResponse`](crate::ValidateResponse).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseSchemaFuture<F, B> {
        #[pin]
        inner: F,
        // ## Waiting (`None`) => Reading
        reading: Option<Reading<B>>,
        check: Option<(Asked, Arc<Settings>)>,
    }
}

impl<F, B> ResponseSchemaFuture<F, B> {
    pub(super) fn new(inner: F, check: Option<(Asked, Arc<Settings>)>) -> Self {
        Self { inner, reading: None, check }
    }
}

impl<F, B, E> Future for ResponseSchemaFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data: From<Bytes>, Error: Unpin> + Unpin,
{
    type Output = Result<Answer<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some((asked, settings)) = this.check else {
            return this.inner.poll(cx).map_ok(pass);
        };
        let mut reading = match this.reading.take() {
            Some(reading) => reading,
            None => match settings.begin(asked, ready!(this.inner.poll(cx))?) {
                Begun::Over(answer) => return Poll::Ready(Ok(answer)),
                Begun::Reading(reading) => reading,
            },
        };
        match reading.collect.poll(cx) {
            Poll::Ready(end) => Poll::Ready(Ok(settings.finish(asked, reading, end))),
            Poll::Pending => {
                *this.reading = Some(reading);
                Poll::Pending
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponseSchemaFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.reading.is_some() { "reading" } else { "waiting" };
        f.debug_struct("ResponseSchemaFuture").field("state", &state).finish()
    }
}
