//! The response future of a service whose request bodies must keep pace.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Reason, Rejection, RequestContext, ResponseBody};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    layer::{LAYER, Shared},
    watch::Watch,
};
use crate::telemetry::Stage;

pin_project! {
    /// Response future of [`RequestBodyTimeout`](crate::RequestBodyTimeout).
    #[must_use = "futures do nothing unless polled"]
    pub struct RequestBodyTimeoutFuture<F> {
        // Empty once the body was too slow.
        #[pin]
        inner: Option<F>,
        watched: Option<Watched>,
    }
}

/// A request whose body must keep pace.
pub(super) struct Watched {
    pub(super) shared: Arc<Shared>,
    pub(super) watch: Watch,
    pub(super) context: RequestContext,
}

impl<F> RequestBodyTimeoutFuture<F> {
    pub(super) fn new(inner: F, watched: Option<Watched>) -> Self {
        Self { inner: Some(inner), watched }
    }
}

impl<F, B, E> Future for RequestBodyTimeoutFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => inner.poll(cx),
            None => Poll::Pending,
        };
        let watched = match (polled, &*this.watched) {
            // What the handler answers to half a body is of no interest.
            (Poll::Ready(_), Some(watched)) if watched.watch.is_told() => watched,
            (Poll::Ready(answer), _) => {
                return Poll::Ready(answer.map(|response| response.map(ResponseBody::forward)));
            }
            (Poll::Pending, Some(watched)) if watched.watch.is_told_or_wakes(cx.waker()) => watched,
            (Poll::Pending, _) => return Poll::Pending,
        };
        watched.shared.telemetry.exceeded(Stage::RequestBody);
        watched.context.event().record("deadline.exceeded", Stage::RequestBody.as_str());
        let face = watched.context.face();
        // The handler is not to go on with half a body.
        this.inner.set(None);
        Poll::Ready(Ok(Rejection::new(Reason::RequestTimeout).with_layer(LAYER).into_response(&face)))
    }
}

impl<F> fmt::Debug for RequestBodyTimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBodyTimeoutFuture")
            .field("watched", &self.watched.is_some())
            .finish_non_exhaustive()
    }
}
