//! The response body of a service with a deadline.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bartizan_core::{GrpcCode, Protocol, ResponseBody};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{call::Call, telemetry::Stage, timer::Timer};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a response took too long after its head was sent, and so ends without its end.
///
/// A gRPC call gets trailers with `DEADLINE_EXCEEDED` instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTimedOut(Stage);

impl BodyTimedOut {
    /// Whether it rested for too long, rather than taking too long as a whole.
    pub fn is_idle(self) -> bool {
        self.0 == Stage::Idle
    }
}

impl fmt::Display for BodyTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_idle() {
            "the response body had nothing to send for too long"
        } else {
            "the response body did not end in its time"
        })
    }
}

impl Error for BodyTimedOut {}

pin_project! {
    /// A response body with a deadline. Frames, trailers and size hints pass unchanged.
    ///
    /// # Panics
    ///
    /// When the inner body has no frame ready, outside of a tokio runtime with time enabled.
    pub struct TimeoutBody<B> {
        // Empty once it was given up.
        #[pin]
        inner: Option<B>,
        timer: Timer,
        // Empty where there is nothing to wait for.
        call: Option<Call>,
        is_grpc: bool,
        // Since when a frame is wanted; known only where that matters.
        waiting_since: Option<Instant>,
    }
}

impl<B: Body> TimeoutBody<B> {
    pub(crate) fn wrap(response: Response<B>, call: Option<Call>) -> Response<ResponseBody<Self>> {
        let is_grpc = Protocol::from_headers(response.headers()) == Protocol::Grpc;
        response.map(|inner| {
            let call = call.filter(|_| !inner.is_end_stream());
            ResponseBody::forward(Self {
                inner: Some(inner),
                timer: Timer::default(),
                call,
                is_grpc,
                waiting_since: None,
            })
        })
    }
}

impl<B: Body> Body for TimeoutBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let stage = match (inner.as_mut().poll_frame(cx), &*this.call) {
            (Poll::Ready(Some(Ok(frame))), call) => {
                *this.waiting_since = None;
                let is_late = match call {
                    Some(call) if frame.is_trailers() => is_cancelled(&frame) && call.failed_late(),
                    // One that always has a frame ready never waits for the timer. With its last frame it has made it.
                    Some(call) => !inner.is_end_stream() && call.is_over(),
                    None => false,
                };
                if !is_late {
                    return Poll::Ready(Some(Ok(frame)));
                }
                Stage::Body
            }
            (Poll::Ready(Some(Err(_))), Some(call)) if *this.is_grpc && call.failed_late() => Stage::Body,
            (Poll::Ready(end), _) => return Poll::Ready(end.map(|error| error.map_err(Into::into))),
            (Poll::Pending, Some(call)) => {
                let rests_until = call.due.idle.and_then(|idle| {
                    let since = *this.waiting_since.get_or_insert_with(|| call.keeper.clock.now());
                    since.checked_add(idle)
                });
                let (due, stage) = match (call.due.end, rests_until) {
                    (Some(end), Some(rests)) if rests < end => (rests, Stage::Idle),
                    (Some(end), _) => (end, Stage::Body),
                    (None, Some(rests)) => (rests, Stage::Idle),
                    (None, None) => return Poll::Pending,
                };
                ready!(this.timer.poll(cx, &call.keeper.clock, due));
                stage
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        this.inner.set(None);
        if let Some(call) = this.call.take() {
            // Its head is gone: what is left to say stands in the end of the body.
            let _ = call.exceeded(stage);
        }
        Poll::Ready(Some(if *this.is_grpc {
            Ok(Frame::trailers(exceeded_trailers()))
        } else {
            Err(BodyTimedOut(stage).into())
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

/// Whether these are trailers that say the call was cancelled.
fn is_cancelled<D>(frame: &Frame<D>) -> bool {
    frame.trailers_ref().and_then(GrpcCode::from_headers) == Some(GrpcCode::Cancelled)
}

fn exceeded_trailers() -> HeaderMap {
    HeaderMap::from_iter([
        (HeaderName::from_static("grpc-status"), GrpcCode::DeadlineExceeded.to_header()),
        (
            HeaderName::from_static("grpc-message"),
            HeaderValue::from_static("The request did not finish in its time."),
        ),
    ])
}

impl<B> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutBody").field("timed", &self.call.is_some()).finish_non_exhaustive()
    }
}
