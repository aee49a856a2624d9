//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of it")]

use std::{
    convert::Infallible,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bartizan_access_log::{AccessLog, AccessLogLayer};
use bartizan_core::{Clock, ManualClock};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use serde_json::Value;
use tower::{Layer, Service};

/// Long enough for a thread on a busy machine; only a failing test waits that long.
pub const LONG: Duration = Duration::from_secs(60);

/// A writer into memory.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines, each of which must be JSON.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that waits at a gate.
#[derive(Clone, Default)]
pub struct Gated {
    pub memory: Memory,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Default)]
struct Gate {
    open: bool,
    reached: bool,
}

impl Gated {
    /// Waits until the writer stands at the gate.
    pub fn wait_until_stuck(&self) {
        let (gate, changed) = &*self.gate;
        let stuck = changed.wait_timeout_while(gate.lock().unwrap(), LONG, |gate| !gate.reached).unwrap();
        assert!(stuck.0.reached, "the writer was never called");
    }

    pub fn open(&self) {
        self.gate.0.lock().unwrap().open = true;
        self.gate.1.notify_all();
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (gate, changed) = &*self.gate;
        gate.lock().unwrap().reached = true;
        changed.notify_all();
        drop(changed.wait_while(gate.lock().unwrap(), |gate| !gate.open).unwrap());
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log in memory, on a clock that stands still.
pub struct Log {
    pub layer: AccessLogLayer,
    pub memory: Memory,
    pub clock: ManualClock,
}

impl Log {
    pub fn new() -> Self {
        let (memory, clock) = (Memory::default(), ManualClock::new());
        let layer = AccessLogLayer::json(memory.clone()).with_clock(Clock::from(clock.clone()));
        Self { layer, memory, clock }
    }

    pub fn with(mut self, change: impl FnOnce(AccessLogLayer) -> AccessLogLayer) -> Self {
        self.layer = change(self.layer);
        self
    }

    /// All lines written so far.
    pub fn lines(&self) -> Vec<Value> {
        self.layer.handle().flush(LONG).unwrap();
        self.memory.lines()
    }

    /// The one line there is.
    pub fn line(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    pub fn service<F, Fut, B>(&self, handler: F) -> AccessLog<tower::util::ServiceFn<F>>
    where
        F: FnMut(Request<()>) -> Fut,
        Fut: Future<Output = Result<Response<B>, Infallible>>,
    {
        self.layer.layer(tower::service_fn(handler))
    }
}

pub fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

/// Polls once, with a waker that does nothing.
pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// Calls a service that is always ready.
pub fn call<S, R>(service: &mut S, request: R) -> S::Future
where
    S: Service<R>,
{
    assert!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_ready());
    service.call(request)
}

/// A body of given frames, then its end, an error or nothing ever more.
pub struct Frames {
    frames: std::collections::VecDeque<Frame<Bytes>>,
    last: Last,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Last {
    End,
    Error,
    Panic,
    Never,
}

impl Frames {
    pub fn new(data: &[&'static str], trailers: Option<HeaderMap>, last: Last) -> Self {
        let data = data.iter().map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
        Self { frames: data.chain(trailers.map(Frame::trailers)).collect(), last }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.frames.pop_front(), self.last) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, Last::End) => Poll::Ready(None),
            (None, Last::Error) => Poll::Ready(Some(Err(io::Error::other("broken")))),
            (None, Last::Panic) => panic!("the body panics"),
            (None, Last::Never) => Poll::Pending,
        }
    }
}
