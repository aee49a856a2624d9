//! The service inside the layer under test, driven by a script.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{TestBody, TestError, body::panic_quietly};

type Answer = Result<Response<TestBody>, TestError>;
type Handler = dyn Fn(Request<TestBody>) -> BoxFuture<'static, Answer> + Send + Sync;

/// Decides when the services it makes are ready and what they answer, and records how they were used.
///
/// Clones are the same script.
#[derive(Clone)]
pub struct Script(Arc<Mutex<State>>);

struct State {
    readiness: Readiness,
    waiting: Vec<Waker>,
    calls: VecDeque<Call>,
    handler: Option<Arc<Handler>>,
    called: usize,
    unready: usize,
}

enum Readiness {
    Always,
    Permits(usize),
    Failed(TestError),
}

impl Script {
    /// Services that are ready at once; each call waits for [`next_call`](Self::next_call).
    pub fn ready() -> Self {
        Self::with_readiness(Readiness::Always)
    }

    /// Services that are not ready until [`allow`](Self::allow) says so.
    pub fn unready() -> Self {
        Self::with_readiness(Readiness::Permits(0))
    }

    /// Services that are ready at once and answer with what `handler` returns.
    pub fn answering<F>(handler: impl Fn(Request<TestBody>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<TestBody>, TestError>> + Send + 'static,
    {
        let script = Self::ready();
        script.state().handler = Some(Arc::new(move |request| Box::pin(handler(request))));
        script
    }

    fn with_readiness(readiness: Readiness) -> Self {
        Self(Arc::new(Mutex::new(State {
            readiness,
            waiting: Vec::new(),
            calls: VecDeque::new(),
            handler: None,
            called: 0,
            unready: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A service that follows this script.
    pub fn service(&self) -> Inner {
        Inner { script: self.clone(), ready: false }
    }

    /// Lets `count` instances become ready, and wakes those that wait.
    pub fn allow(&self, count: usize) {
        let mut state = self.state();
        match &mut state.readiness {
            Readiness::Permits(permits) => *permits += count,
            Readiness::Always | Readiness::Failed(_) => state.readiness = Readiness::Permits(count),
        }
        wake_all(state);
    }

    /// Makes `poll_ready` fail with `error`, and wakes those that wait.
    pub fn fail_readiness(&self, error: TestError) {
        let mut state = self.state();
        state.readiness = Readiness::Failed(error);
        wake_all(state);
    }

    /// How many wakers wait for readiness.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// The oldest call that was not taken yet.
    pub fn next_call(&self) -> Option<Call> {
        self.state().calls.pop_front()
    }

    /// How often a service was called.
    pub fn called(&self) -> usize {
        self.state().called
    }

    /// How often an instance was called that had not been polled ready.
    pub fn unready_calls(&self) -> usize {
        self.state().unready
    }
}

fn wake_all(mut state: MutexGuard<'_, State>) {
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(Waker::wake);
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Script")
            .field("called", &state.called)
            .field("unready_calls", &state.unready)
            .finish_non_exhaustive()
    }
}

/// The service inside the layer under test.
///
/// It takes any body, so that a layer may wrap the request's. Readiness belongs to the instance: a clone is not
/// ready until it was polled itself.
#[derive(Debug)]
pub struct Inner {
    script: Script,
    ready: bool,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        self.script.service()
    }
}

impl<B> Service<Request<B>> for Inner
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<TestBody>;
    type Error = TestError;
    type Future = InnerFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TestError>> {
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.script.state();
        match &mut state.readiness {
            Readiness::Always => {}
            Readiness::Permits(0) => {
                if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.waiting.push(cx.waker().clone());
                }
                return Poll::Pending;
            }
            Readiness::Permits(permits) => *permits -= 1,
            Readiness::Failed(error) => return Poll::Ready(Err(error.clone())),
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> InnerFuture {
        let request = request.map(TestBody::new);
        let mut state = self.script.state();
        state.called += 1;
        state.unready += usize::from(!std::mem::take(&mut self.ready));
        if let Some(handler) = state.handler.clone() {
            drop(state);
            return InnerFuture(Kind::Handler(handler(request)));
        }
        let slot = Arc::new(Mutex::new(Slot::default()));
        state.calls.push_back(Call { request, reply: Reply(Arc::clone(&slot)) });
        InnerFuture(Kind::ByHand(ByHand(slot)))
    }
}

/// A request that reached the inner service, and how to answer it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call {
    /// The request as the layer handed it on.
    pub request: Request<TestBody>,
    /// How to answer it.
    pub reply: Reply,
}

/// Answers a call of [`Inner`], and knows whether anyone still waits for the answer.
pub struct Reply(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    dropped: bool,
}

enum Outcome {
    Answer(Answer),
    Panic,
}

impl Reply {
    /// Answers.
    pub fn send(&self, answer: Result<Response<TestBody>, TestError>) {
        self.settle(Outcome::Answer(answer));
    }

    /// Makes the service's future panic.
    pub fn panic(&self) {
        self.settle(Outcome::Panic);
    }

    fn settle(&self, outcome: Outcome) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.outcome = Some(outcome);
        let waker = slot.waker.take();
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether the service's future is gone.
    pub fn is_dropped(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("is_dropped", &self.is_dropped()).finish_non_exhaustive()
    }
}

/// The response future of [`Inner`].
pub struct InnerFuture(Kind);

enum Kind {
    Handler(BoxFuture<'static, Answer>),
    ByHand(ByHand),
}

struct ByHand(Arc<Mutex<Slot>>);

impl Drop for ByHand {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).dropped = true;
    }
}

impl Future for InnerFuture {
    type Output = Result<Response<TestBody>, TestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Handler(future) => future.as_mut().poll(cx),
            Kind::ByHand(ByHand(slot)) => {
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                match slot.outcome.take() {
                    Some(Outcome::Answer(answer)) => Poll::Ready(answer),
                    Some(Outcome::Panic) => {
                        drop(slot);
                        panic_quietly()
                    }
                    None => {
                        slot.waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                }
            }
        }
    }
}

impl fmt::Debug for InnerFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerFuture").finish_non_exhaustive()
    }
}
