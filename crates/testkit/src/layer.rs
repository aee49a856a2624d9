//! What the suite asks of a layer at compile time.

use std::error::Error;

use axum::{Router, response::IntoResponse, routing::Route};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{service::Routes, transport::Server};
use tower::util::BoxCloneSyncService;
use tower_layer::{Layer, Stack};
use tower_service::Service;

use crate::{Inner, TestBody, TestError, echo::Echo, prepare::PrepareLayer};

type BoxError = Box<dyn Error + Send + Sync>;

/// The service of a layer under test, boxed.
pub type TestService = BoxCloneSyncService<Request<TestBody>, Response<TestBody>, TestError>;

/// A layer whose services keep the contract that types can show.
///
/// Implemented for every layer that is `Clone + Send + Sync` and that makes of [`Inner`] a service that is
/// `Clone + Send + Sync`, has a `Send` future, answers with an `http::Response` of a body of [`Bytes`], and keeps
/// the inner service's error type, which here is [`TestError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer that the contract suite can test",
    note = "the layer is `Clone + Send + Sync`, and so is the service it makes of `bartizan_testkit::Inner`",
    note = "the service's error is that of the inner service, its future is `Send`, its response an `http::Response`"
)]
pub trait ContractLayer: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    fn over_inner(&self, inner: Inner) -> TestService;
}

impl<L, B> ContractLayer for L
where
    L: Layer<Inner> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<TestBody>, Response = Response<B>, Error = TestError>,
    L::Service: Clone + Send + Sync + 'static,
    <L::Service as Service<Request<TestBody>>>::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn over_inner(&self, inner: Inner) -> TestService {
        use tower::ServiceExt as _;
        BoxCloneSyncService::new(self.layer(inner).map_response(|response| response.map(TestBody::new)))
    }
}

/// A layer that `axum::Router::layer` takes.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a layer that an axum router takes")]
pub trait AxumLayer {
    #[doc(hidden)]
    fn on_axum(&self, router: Router) -> Router;
}

impl<L> AxumLayer for L
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<axum::extract::Request> + Clone + Send + Sync + 'static,
    <L::Service as Service<axum::extract::Request>>::Response: IntoResponse + 'static,
    <L::Service as Service<axum::extract::Request>>::Error: Into<std::convert::Infallible> + 'static,
    <L::Service as Service<axum::extract::Request>>::Future: Send + 'static,
{
    fn on_axum(&self, router: Router) -> Router {
        router.layer(self.clone())
    }
}

/// A layer that `tonic::transport::Server::layer` takes.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a layer that a tonic server takes")]
pub trait TonicLayer {
    #[doc(hidden)]
    fn on_tonic(&self, prepare: PrepareLayer, listener: TcpListener);
}

impl<L, B> TonicLayer for L
where
    L: Layer<Routes> + Clone + Send + 'static,
    L::Service: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + 'static,
    <L::Service as Service<Request<tonic::body::Body>>>::Future: Send,
    <L::Service as Service<Request<tonic::body::Body>>>::Error: Into<BoxError> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn on_tonic(&self, prepare: PrepareLayer, listener: TcpListener) {
        let mut server = Server::builder().layer(Stack::new(self.clone(), prepare));
        tokio::spawn(server.add_service(Echo).serve_with_incoming(TcpListenerStream::new(listener)));
    }
}
