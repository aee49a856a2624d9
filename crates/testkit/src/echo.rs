//! A gRPC service that sends back what it gets, on tonic.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::{Body, Frame};
use tonic::server::NamedService;
use tower_service::Service;

/// Sends the messages of each call back as they come, and then the status `OK`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bartizan.testkit.Echo";
}

impl Service<Request<tonic::body::Body>> for Echo {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        ready(Ok(echo(request.into_body()).map(tonic::body::Body::new)))
    }
}

/// The response that gives the messages of `body` back.
pub(crate) fn echo<B: Body<Data = Bytes> + Unpin>(body: B) -> Response<EchoBody<B>> {
    let mut response = Response::new(EchoBody { messages: Some(body) });
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The messages of a request, then trailers that say `OK`.
#[derive(Debug)]
pub(crate) struct EchoBody<B> {
    messages: Option<B>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for EchoBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
        match Pin::new(messages).poll_frame(cx) {
            Poll::Ready(None) => {
                self.messages = None;
                Poll::Ready(Some(Ok(Frame::trailers(ok_trailers()))))
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none()
    }
}

/// The trailers of a call that went well.
pub(crate) fn ok_trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}
