//! An upstream that answers as it is told, and remembers what it was asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    error::Error,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bartizan_retry::RetryBody;
use bartizan_testkit::TestBody;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// What the upstream does with a request.
pub(crate) enum Answer {
    Respond(Response<TestBody>),
    /// Before it has read the request's body.
    RespondEarly(Response<TestBody>),
    Fail(io::ErrorKind),
    Never,
    After(Duration, Box<Self>),
}

impl Answer {
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self::After(wait, Box::new(self))
    }
}

pub(crate) fn status(status: u16) -> Answer {
    status_with(status, &[])
}

pub(crate) fn status_with(status: u16, headers: &[(&str, &str)]) -> Answer {
    Answer::Respond(response(status, headers, TestBody::empty()))
}

/// A Trailers-Only answer.
pub(crate) fn grpc(code: &str, headers: &[(&str, &str)]) -> Answer {
    let all = [&[("content-type", "application/grpc"), ("grpc-status", code)], headers].concat();
    status_with(200, &all)
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: TestBody) -> Response<TestBody> {
    let builder = headers
        .iter()
        .fold(Response::builder().status(status), |builder, (name, value)| builder.header(*name, *value));
    builder.body(body).unwrap()
}

pub(crate) fn fail(kind: io::ErrorKind) -> Answer {
    Answer::Fail(kind)
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Gives its answers one after the other, and then 200s. Clones are the same upstream; each must be polled ready.
pub(crate) struct Upstream {
    state: Arc<Mutex<State>>,
    ready: bool,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    always: Option<Box<dyn Fn() -> Answer + Send>>,
    seen: Vec<Seen>,
    called: usize,
}

impl Upstream {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let state = State { answers: answers.into_iter().collect(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), ready: false }
    }

    pub(crate) fn always(answer: impl Fn() -> Answer + Send + 'static) -> Self {
        let upstream = Self::new([]);
        upstream.state.lock().unwrap().always = Some(Box::new(answer));
        upstream
    }

    /// The requests whose bodies were read.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn called(&self) -> usize {
        self.state.lock().unwrap().called
    }

    /// Sends `request` through `layer`.
    pub(crate) async fn send<L, B>(&self, layer: &L, request: Request<B>) -> io::Result<Response<Bytes>>
    where
        L: Layer<Self>,
        L::Service: Service<Request<B>, Response = Response<RetryBody<TestBody>>, Error = io::Error>,
    {
        let response = layer.layer(self.clone()).oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// The waits between the requests.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.seen().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
    }
}

impl Clone for Upstream {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ready: false }
    }
}

impl<B> Service<Request<B>> for Upstream
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<TestBody>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<TestBody>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "LAY-03: called without being polled ready");
        let state = Arc::clone(&self.state);
        let mut answer = {
            let mut state = state.lock().unwrap();
            state.called += 1;
            let always = state.always.as_ref().map(|answer| answer());
            always.or_else(|| state.answers.pop_front()).unwrap_or_else(|| status(200))
        };
        Box::pin(async move {
            let at = Instant::now();
            let (parts, body) = request.into_parts();
            let mut rest = None;
            if let Answer::RespondEarly(_) = &answer {
                rest = Some(body);
            } else {
                let body = body.collect().await.map_err(|error| io::Error::other(error.into()))?;
                let trailers = body.trailers().cloned();
                state.lock().unwrap().seen.push(Seen {
                    at,
                    method: parts.method,
                    uri: parts.uri,
                    headers: parts.headers,
                    body: body.to_bytes(),
                    trailers,
                });
            }
            drop(rest);
            loop {
                answer = match answer {
                    Answer::After(wait, then) => {
                        sleep(wait).await;
                        *then
                    }
                    Answer::Respond(response) | Answer::RespondEarly(response) => return Ok(response),
                    Answer::Fail(kind) => return Err(kind.into()),
                    Answer::Never => std::future::pending().await,
                };
            }
        })
    }
}

pub(crate) fn get() -> Request<Full<Bytes>> {
    Request::get("http://supplier.example/quotes?of=bolts").body(Full::default()).unwrap()
}

pub(crate) fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("http://supplier.example/orders").body(Full::from(body)).unwrap()
}

pub(crate) fn call() -> Request<Full<Bytes>> {
    Request::post("http://supplier.example/stock.v1.Stock/Reserve")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from("message"))
        .unwrap()
}

/// A body of these frames, whose size nobody knows before.
pub(crate) struct Frames(VecDeque<Frame<Bytes>>);

impl Frames {
    pub(crate) fn new(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Self {
        Self(frames.into_iter().collect())
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
