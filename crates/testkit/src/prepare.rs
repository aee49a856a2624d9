//! Requests as the author of a test wants them.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Version, header};
use tower_layer::Layer;
use tower_service::Service;

/// What the author of a test does to the head of a request before the layer sees it.
#[derive(Clone)]
pub(crate) struct Prepare(Arc<Edit>);

type Edit = dyn Fn(&mut Request<()>) + Send + Sync;

impl Prepare {
    pub(crate) fn new(prepare: impl Fn(&mut Request<()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(prepare))
    }

    pub(crate) fn apply<B>(&self, request: Request<B>) -> Request<B> {
        let (parts, body) = request.into_parts();
        let mut head = Request::from_parts(parts, ());
        (self.0)(&mut head);
        head.map(|()| body)
    }
}

/// Applies a preparation to all requests that arrive over a socket.
#[derive(Clone)]
pub struct PrepareLayer(pub(crate) Prepare);

impl fmt::Debug for PrepareLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrepareLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for PrepareLayer {
    type Service = Prepared<S>;

    fn layer(&self, inner: S) -> Prepared<S> {
        Prepared { inner, prepare: self.0.clone() }
    }
}

/// The service of [`PrepareLayer`].
#[derive(Clone)]
pub struct Prepared<S> {
    inner: S,
    prepare: Prepare,
}

impl<S: fmt::Debug> fmt::Debug for Prepared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Prepared<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(self.prepare.apply(request))
    }
}

/// The kinds of request that the suite sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Head,
    Post,
    Grpc,
    GrpcWeb,
}

/// The path of the gRPC method that the suite calls.
pub(crate) const GRPC_PATH: &str = "/bartizan.testkit.Echo/Chat";

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Get, Self::Head, Self::Post, Self::Grpc, Self::GrpcWeb];

    /// The bare head, before it is prepared.
    pub(crate) fn head(self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post | Self::Grpc | Self::GrpcWeb => Method::POST,
        };
        let headers = match self {
            Self::Get | Self::Head | Self::Post => return request,
            Self::Grpc | Self::GrpcWeb => {
                *request.uri_mut() = http::Uri::from_static(GRPC_PATH);
                request.headers_mut()
            }
        };
        if self == Self::Grpc {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            *request.version_mut() = Version::HTTP_2;
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc-web+proto"));
        }
        request
    }

    /// Whether a refusal is a gRPC status.
    pub(crate) fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcWeb)
    }
}
