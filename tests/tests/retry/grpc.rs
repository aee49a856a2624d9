//! RT-08, GRPC-12, GRPC-13 through a tonic channel to a tonic server.

use std::{net::SocketAddr, pin::Pin, sync::Mutex};

use bartizan::{
    GrpcChannel, GrpcStack, Stack,
    correlation_id::{LogicalCallLayer, PropagateLayer},
    retry::{HedgeLayer, Idempotent},
};
use bartizan_tests::inventory::{
    ReserveReply, ReserveRequest, StockLevel, WatchRequest,
    inventory_client::InventoryClient,
    inventory_server::{Inventory, InventoryServer},
};
use futures_util::{StreamExt, stream};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Server},
};
use tower::{Layer, util::MapRequestLayer};

use super::*;

/// An inventory that is unavailable as often as the sku says, `unavailable-2` twice, and then has what is asked for.
#[derive(Clone, Default)]
struct Unavailable {
    calls: Count,
    told: Arc<Mutex<Vec<Option<String>>>>,
    pushback: Option<&'static str>,
    /// What a watched stock sends, when the test says so.
    levels: Arc<Mutex<Option<Sent>>>,
}

type Sent = mpsc::Receiver<Result<StockLevel, Status>>;

impl Unavailable {
    fn answer(&self, metadata: &MetadataMap, sku: &str) -> Result<(), Status> {
        let told = metadata.get("grpc-previous-rpc-attempts").map(|told| told.to_str().unwrap().to_owned());
        self.told.lock().unwrap().push(told);
        let failures = sku.strip_prefix("unavailable-").map_or(0, |count| count.parse().unwrap());
        if self.calls.next() > failures {
            return Ok(());
        }
        let mut status = Status::unavailable("moving house");
        if let Some(pushback) = self.pushback {
            status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static(pushback));
        }
        Err(status)
    }
}

type Levels = Pin<Box<dyn Stream<Item = Result<StockLevel, Status>> + Send>>;

#[tonic::async_trait]
impl Inventory for Unavailable {
    type WatchStream = Levels;
    type RecountStream = Levels;

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.answer(&metadata, &message.sku)?;
        let mut response = Response::new(ReserveReply { left: message.quantity });
        response.metadata_mut().insert("x-shelf", MetadataValue::from_static("7"));
        Ok(response)
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Levels>, Status> {
        self.answer(request.metadata(), &request.get_ref().sku)?;
        let levels = self.levels.lock().unwrap().take().unwrap();
        Ok(Response::new(Box::pin(ReceiverStream::new(levels))))
    }

    async fn recount(&self, request: Request<Streaming<StockLevel>>) -> Result<Response<Levels>, Status> {
        let first = self.calls.next() == 1;
        if first && request.metadata().contains_key("x-fail-first") {
            return Err(Status::unavailable("moving house"));
        }
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

async fn serve(inventory: Unavailable) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::builder().add_service(InventoryServer::new(inventory));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    addr
}

fn client(addr: SocketAddr, retry: RetryLayer) -> InventoryClient<GrpcStack> {
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
    let stack = Stack::client().push(LogicalCallLayer::new()).push(retry).push(PropagateLayer::new());
    InventoryClient::new(GrpcStack::new(stack.build().layer(GrpcChannel::new(channel))))
}

fn reserve(sku: &str) -> ReserveRequest {
    ReserveRequest { sku: sku.into(), quantity: 3 }
}

#[tokio::test]
async fn rt_08_a_unary_call_is_retried_and_keeps_message_metadata_and_status() {
    let inventory = Unavailable::default();
    let mut client = client(serve(inventory.clone()).await, quick());
    let reply = client.reserve(reserve("unavailable-2")).await.unwrap();
    assert_eq!(reply.metadata().get("x-shelf").unwrap(), "7");
    assert_eq!(reply.get_ref().left, 3);
    assert_eq!(*inventory.told.lock().unwrap(), [None, Some("1".into()), Some("2".into())]);

    let inventory = Unavailable::default();
    let mut client = self::client(serve(inventory.clone()).await, quick().with_max_attempts(9).unwrap());
    let status = client.reserve(reserve("unavailable-9")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "moving house"));
    assert_eq!(inventory.calls.get(), 5, "gRPC never has more");
}

#[tokio::test]
async fn rt_08_the_server_s_pushback_decides() {
    for (pushback, expected) in [("0", 3), ("1", 3), ("-1", 1), ("no", 1), ("3600000", 1)] {
        let inventory = Unavailable { pushback: Some(pushback), ..Unavailable::default() };
        let mut client = client(serve(inventory.clone()).await, quick());
        let status = client.reserve(reserve("unavailable-9")).await.unwrap_err();
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), pushback);
        assert_eq!(inventory.calls.get(), expected, "{pushback}");
    }
}

#[tokio::test]
async fn grpc_13_a_stream_whose_trailers_are_slow_is_handed_on_and_never_retried() {
    let (levels, receiver) = mpsc::channel(1);
    let inventory = Unavailable::default();
    *inventory.levels.lock().unwrap() = Some(receiver);
    let mut client = client(serve(inventory.clone()).await, quick());
    // A stream that is refused at once is retried like any call.
    let request = WatchRequest { sku: "unavailable-1".into(), updates: 0 };
    let mut watched = client.watch(request).await.unwrap().into_inner();
    for quantity in [3, 2] {
        // Each message comes before the next is sent, and long before the status.
        levels.send(Ok(StockLevel { sku: "a".into(), quantity })).await.unwrap();
        assert_eq!(watched.next().await.unwrap().unwrap().quantity, quantity);
    }
    levels.send(Err(Status::unavailable("moving house"))).await.unwrap();
    let status = watched.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "moving house"));
    assert_eq!(inventory.calls.get(), 2, "the one that was refused, and the one that was committed");
}

#[tokio::test]
async fn rt_10_a_stream_in_both_directions_flows_and_is_sent_again_when_it_is_refused() {
    let inventory = Unavailable::default();
    let mut client = client(serve(inventory.clone()).await, quick());
    let (send, receive) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(receive));
    request.metadata_mut().insert("x-fail-first", MetadataValue::from_static("1"));
    send.send(StockLevel { sku: "a".into(), quantity: 1 }).await.unwrap();
    let mut recounted = client.recount(request).await.unwrap().into_inner();
    assert_eq!(recounted.next().await.unwrap().unwrap().quantity, 1, "sent before the retry");
    for quantity in [2, 3] {
        send.send(StockLevel { sku: "a".into(), quantity }).await.unwrap();
        assert_eq!(recounted.next().await.unwrap().unwrap().quantity, quantity);
    }
    drop(send);
    assert!(recounted.next().await.is_none());
    assert_eq!(inventory.calls.get(), 2);
    let mut empty = client.recount(stream::empty()).await.unwrap().into_inner();
    assert!(empty.next().await.is_none());
}

#[tokio::test]
async fn rt_02_a_channel_without_a_server_is_retried_and_ends_as_unavailable() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let seen = Count::default();
    let counted = seen.clone();
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
    let count = MapRequestLayer::new(move |request: http::Request<_>| {
        counted.next();
        request
    });
    let stack = quick().layer(count.layer(GrpcChannel::new(channel)));
    let status = InventoryClient::new(GrpcStack::new(stack)).reserve(reserve("a")).await.unwrap_err();
    assert_eq!((status.code(), seen.get()), (Code::Unavailable, 3), "{status:?}");
}

#[tokio::test]
async fn rt_09_a_marked_call_is_hedged_through_a_channel() {
    let inventory = Unavailable::default();
    let addr = serve(inventory.clone()).await;
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
    let hedge = HedgeLayer::after(std::time::Duration::from_secs(60)).unwrap();
    let mut client = InventoryClient::new(GrpcStack::new(hedge.layer(GrpcChannel::new(channel))));
    let mut request = Request::new(reserve("unavailable-1"));
    request.extensions_mut().insert(Idempotent);
    // The failure of the first brings the second at once.
    assert_eq!(client.reserve(request).await.unwrap().into_inner().left, 3);
    assert_eq!(*inventory.told.lock().unwrap(), [None, Some("1".into())]);
}
