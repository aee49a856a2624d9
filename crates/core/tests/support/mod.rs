//! What the tests of this crate share: bodies made to order, and a real server with a real client.

#![allow(dead_code, reason = "every test uses its own part")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// One thing that a body does when it is polled.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    Fail,
    Panic,
    /// Pends for ever, without a waker.
    Hang,
}

/// A body that does what it is told, step by step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    steps: VecDeque<Step>,
    /// What the size hint promises.
    pub(crate) exact: Option<u64>,
    /// Whether `is_end_stream` tells that no step is left; a body need not.
    pub(crate) tells_its_end: bool,
}

impl Steps {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), exact: None, tells_its_end: false }
    }

    pub(crate) fn data(chunks: impl IntoIterator<Item = &'static str>) -> Self {
        Self::new(chunks.into_iter().map(|chunk| Step::Data(Bytes::from_static(chunk.as_bytes()))))
    }

    /// Like `Full`: knows its size and its end.
    pub(crate) fn known(mut self) -> Self {
        let size =
            self.steps.iter().map(|step| if let Step::Data(data) = step { data.len() as u64 } else { 0 });
        self.exact = Some(size.sum());
        self.tells_its_end = true;
        self
    }

    pub(crate) fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    pub(crate) fn trailers(self, name: &'static str, value: &'static str) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_static(value));
        self.then(Step::Trailers(trailers))
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Fail) => Some(Err(io::Error::other("broken"))),
            Some(Step::Panic) => panic!("the body panics, as the test wants"),
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.tells_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Which HTTP the two sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Http1,
    Http2,
}

/// One real connection to a real hyper server.
pub(crate) struct Connection {
    sender: Sender,
    server: JoinHandle<()>,
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<String>),
    Http2(hyper::client::conn::http2::SendRequest<String>),
}

/// Serves one connection with `service`, over loopback.
pub(crate) async fn serve_one<S, B>(service: S) -> (TcpStream, JoinHandle<()>)
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let server = tokio::spawn(async move {
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        // Ends with an error when the client leaves or the service panics: the tests look at the reports.
        let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    });
    (client, server)
}

impl Connection {
    pub(crate) async fn open<S, B>(wire: Wire, service: S) -> Self
    where
        S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (stream, server) = serve_one(service).await;
        let stream = TokioIo::new(stream);
        let sender = match wire {
            Wire::Http1 => {
                let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection.with_upgrades());
                Sender::Http1(sender)
            }
            Wire::Http2 => {
                let (sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Self { sender, server }
    }

    pub(crate) async fn send(&mut self, request: Request<String>) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends the request and reads the whole answer.
    pub(crate) async fn fetch(&mut self, request: Request<String>) -> (http::response::Parts, Bytes) {
        let (parts, body) = self.send(request).await.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    }

    /// Hangs up, and waits until the server has noticed.
    pub(crate) async fn close(self) {
        drop(self.sender);
        // Panicked, if the service did. A test that still holds a response would wait for ever.
        let ended = tokio::time::timeout(Duration::from_secs(30), self.server).await;
        let _ = ended.expect("the client holds the connection open");
    }
}

/// A request for `path`, with a host as HTTP/1.1 wants and an authority as HTTP/2 does.
pub(crate) fn request(method: &str, path: &str) -> Request<String> {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .header("host", "localhost")
        .body(String::new())
        .unwrap()
}

/// The members of a JSON body.
pub(crate) async fn json<B: Body>(body: B) -> serde_json::Value
where
    B::Error: std::fmt::Debug,
{
    serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
}
