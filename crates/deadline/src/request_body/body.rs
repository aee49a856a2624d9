//! A request body that must keep pace.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{layer::Shared, pace::Progress, watch::Watch};
use crate::timer::Timer;

type BoxError = Box<dyn Error + Send + Sync>;

/// The client sent the body of its request too slowly; what reads the body gets this error.
///
/// The response is decided then: 408, whatever the handler makes of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow(());

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body arrived too slowly")
    }
}

impl Error for TooSlow {}

pin_project! {
    /// A request body that must keep pace. Frames, trailers and size hints pass unchanged.
    ///
    /// # Panics
    ///
    /// When a frame is waited for outside of a tokio runtime with time enabled.
    pub struct TimedRequestBody<B> {
        // Empty once it was too slow.
        #[pin]
        inner: Option<B>,
        timer: Timer,
        // Empty where the body may take its time.
        timing: Option<Timing>,
    }
}

pub(super) struct Timing {
    pub(super) shared: Arc<Shared>,
    pub(super) watch: Watch,
    progress: Progress,
    /// Since when a frame is waited for.
    since: Option<Instant>,
}

impl Timing {
    pub(super) fn new(shared: Arc<Shared>, watch: Watch) -> Self {
        Self { shared, watch, progress: Progress::default(), since: None }
    }
}

impl<B> TimedRequestBody<B> {
    pub(super) fn new(inner: B, timing: Option<Timing>) -> Self {
        Self { inner: Some(inner), timer: Timer::default(), timing }
    }
}

impl<B> Body for TimedRequestBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = inner.poll_frame(cx);
        let Some(timing) = this.timing else {
            return polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)));
        };
        let clock = &timing.shared.clock;
        if let Poll::Ready(frame) = polled {
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.remaining() as u64),
                Some(Err(_)) | None => 0,
            };
            let waited = timing.since.take().map(|since| clock.now().saturating_duration_since(since));
            timing.progress.add(bytes, waited.unwrap_or_default());
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let since = *timing.since.get_or_insert_with(|| clock.now());
        let Some(due) = since.checked_add(timing.progress.patience(&timing.shared.pace)) else {
            return Poll::Pending;
        };
        ready!(this.timer.poll(cx, clock, due));
        timing.watch.tell();
        this.inner.set(None);
        Poll::Ready(Some(Err(TooSlow(()).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B> fmt::Debug for TimedRequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedRequestBody").field("timed", &self.timing.is_some()).finish_non_exhaustive()
    }
}
