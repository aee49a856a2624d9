//! reqwest, which takes a request type of its own.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use reqwest::{Client, Error};
use sync_wrapper::SyncWrapper;
use tower_service::Service;

use super::BoxError;

/// reqwest's client as the end of a client's stack: takes any `http::Request`, gives an `http::Response`.
///
/// Both bodies are streamed, trailers included. The URI must be absolute. Errors are reqwest's own; their text may
/// hold the URL, so do not show it to your callers. No TLS backend is chosen here: build the client with the one you
/// want.
///
/// A redirect that reqwest follows happens inside of the stack, where no layer sees it, and takes the headers that the
/// layers set to wherever it points. Build the client with `redirect::Policy::none()` where that matters: with
/// `PropagateLayer::with_authorities`, for one.
///
/// ```
/// use bartizan::{HttpReqwest, Stack, correlation_id::PropagateLayer};
/// use http::Request;
/// use http_body_util::{BodyExt, Empty};
/// use reqwest::redirect::Policy;
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let addr = listener.local_addr()?;
/// # let echo = async |headers: http::HeaderMap| headers["x-request-id"].to_str().unwrap().to_owned();
/// # let app = axum::Router::new().route("/", axum::routing::get(echo));
/// # tokio::spawn(axum::serve(listener, app).into_future());
/// let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
/// let client = Stack::client().push(PropagateLayer::new()).build().layer(HttpReqwest::new(client));
///
/// let request = Request::get(format!("http://{addr}/")).body(Empty::<bytes::Bytes>::new())?;
/// let response = client.clone().oneshot(request).await?;
/// let id = response.into_body().collect().await?.to_bytes();
/// assert_eq!(id.len(), 36);
///
/// let nowhere = Request::get("/no/host").body(Empty::<bytes::Bytes>::new())?;
/// assert!(client.oneshot(nowhere).await.unwrap_err().is_builder());
/// # Ok(()) }
/// ```
///
/// Clones share the client, and so its connections.
#[derive(Clone, Debug)]
pub struct HttpReqwest {
    client: Client,
}

impl HttpReqwest {
    /// The end of a stack that sends with `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl From<Client> for HttpReqwest {
    fn from(client: Client) -> Self {
        Self::new(client)
    }
}

impl<B> Service<Request<B>> for HttpReqwest
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<reqwest::Body>;
    type Error = Error;
    type Future = HttpReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        HttpReqwestFuture(match reqwest::Request::try_from(request.map(to_body)) {
            Ok(request) => State::Sent(self.client.call(request)),
            Err(error) => State::Refused(Some(error)),
        })
    }
}

/// Without a box when there is nothing to stream, which reqwest then can send again.
fn to_body<B>(body: B) -> reqwest::Body
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + 'static,
{
    if body.is_end_stream() { reqwest::Body::default() } else { reqwest::Body::wrap(Shareable::new(body)) }
}

/// Response future of [`HttpReqwest`]: reqwest's own, which it boxes itself.
#[must_use = "futures do nothing unless polled"]
pub struct HttpReqwestFuture(State);

enum State {
    Sent(<Client as Service<reqwest::Request>>::Future),
    /// reqwest cannot send such a request.
    Refused(Option<Error>),
}

impl Future for HttpReqwestFuture {
    type Output = Result<Response<reqwest::Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Sent(sent) => Pin::new(sent).poll(cx).map_ok(Into::into),
            State::Refused(error) => Poll::Ready(Err(error.take().expect("polled after completion"))),
        }
    }
}

impl fmt::Debug for HttpReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReqwestFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// A body that reqwest takes although it is not `Sync`, as axum's and tonic's are not.
    struct Shareable<B> {
        #[pin]
        inner: SyncWrapper<B>,
        // What a shared reference may ask, read while there was an exclusive one.
        is_end_stream: bool,
        size_hint: SizeHint,
    }
}

impl<B: Body> Shareable<B> {
    fn new(body: B) -> Self {
        let (is_end_stream, size_hint) = (body.is_end_stream(), body.size_hint());
        Self { inner: SyncWrapper::new(body), is_end_stream, size_hint }
    }
}

impl<B: Body> Body for Shareable<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let mut body = this.inner.get_pin_mut();
        let frame = body.as_mut().poll_frame(cx);
        (*this.is_end_stream, *this.size_hint) = (body.is_end_stream(), body.size_hint());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.is_end_stream
    }

    fn size_hint(&self) -> SizeHint {
        self.size_hint
    }
}
