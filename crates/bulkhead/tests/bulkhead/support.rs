//! What the tests share.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use bartizan_core::{Clock, Rejection, TimeSource};
use bartizan_testkit::{Call, Script, TestBody, TestError};
use http::{Request, Response};
use tower::{Layer, Service};

/// The clock that tokio sleeps by.
struct TokioTime;

impl TimeSource for TokioTime {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        Clock::system().wall()
    }
}

pub(crate) fn clock() -> Clock {
    Clock::new(TokioTime)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn get(path: &str) -> Request<TestBody> {
    Request::get(path).body(TestBody::empty()).unwrap()
}

/// A request on its way, polled by hand.
pub(crate) struct Flight<B>(Pin<Box<dyn Future<Output = Result<Response<B>, TestError>>>>);

impl<B> Flight<B> {
    pub(crate) fn poll(&mut self) -> Poll<Response<B>> {
        self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())).map(Result::unwrap)
    }

    pub(crate) fn is_waiting(&mut self) -> bool {
        self.poll().is_pending()
    }

    pub(crate) fn answer(&mut self) -> Response<B> {
        match self.poll() {
            Poll::Ready(response) => response,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// The code of the refusal.
    pub(crate) fn refusal(&mut self) -> &'static str {
        let response = self.answer();
        response.extensions().get::<Rejection>().map_or("none", |rejection| rejection.reason().code())
    }
}

/// A service in `layer`, and what drives the one inside.
pub(crate) struct Harness<S> {
    pub(crate) script: Script,
    pub(crate) service: S,
}

impl<S, B: 'static> Harness<S>
where
    S: Service<Request<TestBody>, Response = Response<B>, Error = TestError, Future: 'static>,
{
    pub(crate) fn new(layer: &impl Layer<bartizan_testkit::Inner, Service = S>) -> Self {
        let script = Script::ready();
        Self { service: layer.layer(script.service()), script }
    }

    /// Sends a request and polls it once.
    pub(crate) fn send(&mut self, request: Request<TestBody>) -> Flight<B> {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(self.service.poll_ready(cx).is_ready());
        let mut flight = Flight(Box::pin(self.service.call(request)));
        // A future may be polled again after it was ready only by those who keep what it said.
        let polled = flight.0.as_mut().poll(cx);
        match polled {
            Poll::Pending => flight,
            Poll::Ready(answer) => Flight(Box::pin(std::future::ready(answer))),
        }
    }

    /// The calls that have reached the inner service.
    pub(crate) fn calls(&self) -> Vec<Call> {
        assert_eq!(
            self.script.unready_calls(),
            0,
            "the instance that was polled ready is the one that is called"
        );
        std::iter::from_fn(|| self.script.next_call()).collect()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.calls().iter().map(|call| call.request.uri().path().to_owned()).collect()
    }
}

impl<B> Flight<B> {
    /// Waits for the answer as any caller would.
    pub(crate) async fn into_response(self) -> Response<B> {
        self.0.await.unwrap()
    }
}
