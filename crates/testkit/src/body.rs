//! Bodies that a test feeds frame by frame.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    panic::resume_unwind,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};

use crate::TestError;

/// A boxed body: of a request to the layer under test, and of a response of the service inside it.
///
/// It is `Send`, and as the bodies of axum and tonic are, not `Sync`.
pub struct TestBody(Pin<Box<dyn Body<Data = Bytes, Error = TestError> + Send>>);

impl TestBody {
    /// Any body. Frames, trailers and size hints stay as they are.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        Self(Box::pin(body.map_err(|error| TestError::from_boxed(error.into()))))
    }

    /// No body.
    pub fn empty() -> Self {
        Self::new(Empty::new())
    }

    /// A body in memory.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new(Full::new(bytes.into()))
    }

    /// A body of unknown size, and what feeds it.
    pub fn channel() -> (BodySender, Self) {
        Self::channel_with_hint(SizeHint::new())
    }

    /// A body that announces `hint`, less what was taken from it, and what feeds it.
    pub fn channel_with_hint(hint: SizeHint) -> (BodySender, Self) {
        let channel = Arc::new(Mutex::new(Channel { hint, ..Channel::default() }));
        let body = ChannelBody(Arc::clone(&channel));
        (BodySender(channel), Self::new(body))
    }
}

impl Default for TestBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for TestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBody").field("size_hint", &self.0.size_hint()).finish_non_exhaustive()
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = TestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TestError>>> {
        self.0.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Feeds a [`TestBody`], and knows what became of it.
#[derive(Debug)]
pub struct BodySender(Arc<Mutex<Channel>>);

#[derive(Debug, Default)]
struct Channel {
    hint: SizeHint,
    events: VecDeque<Event>,
    finished: bool,
    polls: usize,
    taken: usize,
    dropped: bool,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Event {
    Frame(Frame<Bytes>),
    Fail(TestError),
    Panic,
}

impl BodySender {
    fn channel(&self) -> MutexGuard<'_, Channel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        let mut channel = self.channel();
        channel.events.push_back(event);
        let waker = channel.waker.take();
        drop(channel);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The next frame holds `data`.
    pub fn data(&self, data: impl Into<Bytes>) {
        self.push(Event::Frame(Frame::data(data.into())));
    }

    /// The next frame holds `trailers`.
    pub fn trailers(&self, trailers: HeaderMap) {
        self.push(Event::Frame(Frame::trailers(trailers)));
    }

    /// The body fails after what was sent so far.
    pub fn fail(&self, error: TestError) {
        self.push(Event::Fail(error));
    }

    /// The body panics after what was sent so far.
    pub fn panic(&self) {
        self.push(Event::Panic);
    }

    /// The body ends after what was sent so far.
    pub fn finish(&self) {
        let mut channel = self.channel();
        channel.finished = true;
        let waker = channel.waker.take();
        drop(channel);
        waker.into_iter().for_each(Waker::wake);
    }

    /// How often the body was polled.
    pub fn polls(&self) -> usize {
        self.channel().polls
    }

    /// How many frames were taken from the body.
    pub fn taken(&self) -> usize {
        self.channel().taken
    }

    /// Whether the body is gone.
    pub fn is_dropped(&self) -> bool {
        self.channel().dropped
    }
}

struct ChannelBody(Arc<Mutex<Channel>>);

impl ChannelBody {
    fn channel(&self) -> MutexGuard<'_, Channel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = TestError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TestError>>> {
        let event = ready!({
            let mut channel = self.channel();
            channel.polls += 1;
            match channel.events.pop_front() {
                Some(event) => Poll::Ready(Some(event)),
                None if channel.finished => Poll::Ready(None),
                None => {
                    channel.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        match event {
            Some(Event::Frame(frame)) => {
                let mut channel = self.channel();
                channel.taken += 1;
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                channel.hint = remaining(&channel.hint, length);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Event::Fail(error)) => Poll::Ready(Some(Err(error))),
            Some(Event::Panic) => panic_quietly(),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let channel = self.channel();
        channel.finished && channel.events.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.channel().hint
    }
}

impl Drop for ChannelBody {
    fn drop(&mut self) {
        self.channel().dropped = true;
    }
}

/// Panics without the message that looks like a failed test.
pub(crate) fn panic_quietly() -> ! {
    resume_unwind(Box::new("this panic is part of the contract suite"))
}

fn remaining(hint: &SizeHint, taken: u64) -> SizeHint {
    let mut left = SizeHint::new();
    if let Some(upper) = hint.upper() {
        left.set_upper(upper.saturating_sub(taken));
    }
    left.set_lower(hint.lower().saturating_sub(taken));
    left
}
