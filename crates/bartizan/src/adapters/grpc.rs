//! tonic, whose channel takes a body of its own.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tonic::{body::Body as TonicBody, transport::Channel};
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use tower_service::Service;

use super::BoxError;

/// A tonic channel as the end of a client's stack: takes an `http::Request` with any body.
///
/// A generated client takes the built stack as it is:
///
/// ```
/// use bartizan::{GrpcChannel, GrpcStack, Stack, correlation_id::{LogicalCallLayer, PropagateLayer}};
/// use tonic::{client::Grpc, transport::Channel};
/// use tower::Layer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let channel = Channel::from_static("http://stock.internal:50051").connect_lazy();
/// let stack = Stack::client().push(LogicalCallLayer::new()).push(PropagateLayer::new());
/// let service = stack.build().layer(GrpcChannel::new(channel));
///
/// // `InventoryClient::new(service.clone())`, or for the generic client below it:
/// let client = Grpc::new(service.clone());
///
/// // With a name for its type, to be kept in a struct:
/// struct Clients {
///     inventory: Grpc<GrpcStack>, // InventoryClient<GrpcStack>
/// }
/// let clients = Clients { inventory: Grpc::new(GrpcStack::new(service)) };
/// # let _ = (client, clients.inventory);
/// # }
/// ```
///
/// A layer that refuses answers with a status, as a proxy would: the caller of the generated client finds a
/// `tonic::Status`. Layers see the request's path, but no host until the channel adds it; a generated client made
/// `with_origin` tells them.
///
/// Clones share the channel.
#[derive(Clone, Debug)]
pub struct GrpcChannel {
    channel: Channel,
}

impl GrpcChannel {
    /// The end of a stack that sends over `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }
}

impl From<Channel> for GrpcChannel {
    fn from(channel: Channel) -> Self {
        Self::new(channel)
    }
}

impl<B> Service<Request<B>> for GrpcChannel
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<TonicBody>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<Request<TonicBody>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // tonic's own body passes without another box.
        self.channel.call(request.map(TonicBody::new))
    }
}

/// A built stack for a generated client, under one name whatever its layers are. See [`GrpcChannel`].
///
/// It boxes the service, and for each call its future and its body. Clones are clones of the stack.
#[derive(Clone)]
pub struct GrpcStack {
    service: BoxCloneSyncService<Request<TonicBody>, Response<TonicBody>, BoxError>,
}

impl GrpcStack {
    /// The top of `stack`.
    pub fn new<S, B>(stack: S) -> Self
    where
        S: Service<Request<TonicBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let service = stack.map_response(|response| response.map(TonicBody::new)).map_err(Into::into);
        Self { service: BoxCloneSyncService::new(service) }
    }
}

impl fmt::Debug for GrpcStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcStack").finish_non_exhaustive()
    }
}

impl Service<Request<TonicBody>> for GrpcStack {
    type Response = Response<TonicBody>;
    type Error = BoxError;
    type Future = <BoxCloneSyncService<Request<TonicBody>, Response<TonicBody>, BoxError> as Service<
        Request<TonicBody>,
    >>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<TonicBody>) -> Self::Future {
        self.service.call(request)
    }
}
