//! The service, over a socket, as a tonic client sees it.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan::{
    access_log::{AccessLogLayer, LogHandle},
    rate_limit::Rate,
};
use inventory::{
    App, Limits, READER_KEY, WRITER_KEY,
    proto::{GetStockRequest, ReserveRequest, Stock, WatchStockRequest, inventory_client::InventoryClient},
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Server},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

/// What the access log wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Running {
    channel: Channel,
    log: Log,
    handle: LogHandle,
}

impl Running {
    async fn start() -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::start_with(Limits::usual()?).await
    }

    async fn start_with(limits: Limits) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let log = Log::default();
        let layer = AccessLogLayer::json(log.clone());
        let handle = layer.handle();
        let App { routes, .. } = inventory::app(layer, limits).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let target = format!("http://{}", listener.local_addr()?);
        let server = Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(Self { channel: Channel::from_shared(target)?.connect().await?, log, handle })
    }

    fn client(&self) -> InventoryClient<Channel> {
        InventoryClient::new(self.channel.clone())
    }

    async fn get(&self, key: Option<&'static str>) -> Result<Stock, Status> {
        let request = with(key, GetStockRequest { sku: "sku-1".to_owned() });
        Ok(self.client().get_stock(request).await?.into_inner())
    }

    async fn reserve(&self, key: &'static str, sku: &str, quantity: u32) -> Result<Stock, Status> {
        let request = with(Some(key), ReserveRequest { sku: sku.to_owned(), quantity });
        Ok(self.client().reserve(request).await?.into_inner())
    }

    /// The news of `sku-1`, and the id of the call.
    async fn watch(&self) -> Result<(Streaming<Stock>, String), Status> {
        let request = with(Some(READER_KEY), WatchStockRequest { sku: "sku-1".to_owned() });
        let reply = self.client().watch_stock(request).await?;
        let id = reply.metadata().get("x-request-id").expect("every answer has an id").to_str().unwrap();
        let id = id.to_owned();
        Ok((reply.into_inner(), id))
    }

    /// The line of the log with this id, once it is there.
    async fn log_line(&self, id: &str) -> Value {
        let found = async {
            loop {
                let handle = self.handle.clone();
                let flushed = tokio::task::spawn_blocking(move || handle.flush(Duration::from_secs(5)));
                flushed.await.unwrap().unwrap();
                let text = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
                let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                match lines.find(|line| line["request_id"] == id) {
                    Some(line) => return line,
                    // The server settles a call just after its last byte went out.
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("the line is written")
    }
}

fn with<T>(key: Option<&'static str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(key) = key {
        request.metadata_mut().insert("x-api-key", MetadataValue::from_static(key));
    }
    request
}

/// Checks what every refusal carries; returns the id of the call.
#[track_caller]
fn assert_refused(status: &Status, code: Code, reason: &str) -> String {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "inventory.example.com"));
    let id = status.metadata().get("x-request-id").expect("the id is in the metadata").to_str().unwrap();
    assert_eq!(status.get_details_request_info().expect("RequestInfo").request_id, id);
    id.to_owned()
}

#[tokio::test]
async fn a_caller_with_the_scope_reserves_and_sees_what_is_left() {
    let running = Running::start().await.unwrap();
    assert_eq!(running.get(Some(READER_KEY)).await.unwrap().quantity, 100);
    assert_eq!(running.reserve(WRITER_KEY, "sku-1", 3).await.unwrap().quantity, 97);
    assert_eq!(running.get(Some(READER_KEY)).await.unwrap().quantity, 97);
    let status = running.reserve(WRITER_KEY, "sku-1", 98).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(running.get(Some(READER_KEY)).await.unwrap().quantity, 97);
}

#[tokio::test]
async fn grpc_06_without_a_key_a_call_is_unauthenticated() {
    let running = Running::start().await.unwrap();
    let status = running.get(None).await.unwrap_err();
    let id = assert_refused(&status, Code::Unauthenticated, "UNAUTHENTICATED");
    assert_eq!(running.log_line(&id).await["rejection.code"], "unauthenticated");
}

#[tokio::test]
async fn grpc_15_health_needs_no_key_and_an_unknown_method_is_no_way_in() {
    let running = Running::start().await.unwrap();
    let service = "inventory.v1.Inventory".to_owned();
    HealthClient::new(running.channel.clone()).check(HealthCheckRequest { service }).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(running.channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<GetStockRequest, Stock>::default();
    let path = "/inventory.v1.Inventory/Burn".parse().unwrap();
    let request = with(None, GetStockRequest::default());
    let status = grpc.unary(request, path, codec).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test]
async fn grpc_15_reflection_needs_no_key_and_tells_the_methods() {
    let running = Running::start().await.unwrap();
    let mut client = ServerReflectionClient::new(running.channel.clone());
    let mut ask = async |wanted| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
        let mut replies =
            client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap().message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list")
    };
    assert!(list.service.iter().any(|service| service.name == "inventory.v1.Inventory"), "{list:?}");
    let method = MessageRequest::FileContainingSymbol("inventory.v1.Inventory.Reserve".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = ask(method).await else { panic!("no file") };
    assert_eq!(files.file_descriptor_proto.len(), 1);
}

#[tokio::test]
async fn grpc_06_without_the_scope_reserving_is_permission_denied_and_takes_nothing() {
    let running = Running::start().await.unwrap();
    let status = running.reserve(READER_KEY, "sku-1", 3).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "PERMISSION_DENIED");
    assert!(status.message().contains("inventory:write"), "{status:?}");
    assert_eq!(running.get(Some(READER_KEY)).await.unwrap().quantity, 100);
}

#[tokio::test]
async fn grpc_06_an_invalid_request_is_told_field_by_field() {
    let running = Running::start().await.unwrap();
    let status = running.reserve(WRITER_KEY, "", 0).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["sku", "quantity"]);
}

#[tokio::test]
async fn grpc_06_a_flood_is_resource_exhausted_and_told_when_to_come_back() {
    // So slow a rate that no machine is slow enough to be given a call more.
    let slow = Rate::per_hour(1).unwrap().burst(2).unwrap();
    let limits = Limits { per_caller: slow, ..Limits::usual().unwrap() };
    let running = Running::start_with(limits).await.unwrap();
    for _ in 0..2 {
        running.get(Some(READER_KEY)).await.unwrap();
    }
    let status = running.get(Some(READER_KEY)).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "RATE_LIMITED");
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(delay > Duration::from_secs(3_000) && delay <= Duration::from_secs(3_600), "{delay:?}");
    // Another caller has a limit of its own.
    running.get(Some(WRITER_KEY)).await.unwrap();
}

#[tokio::test]
async fn a_watcher_is_told_what_is_there_and_then_each_change() {
    let running = Running::start().await.unwrap();
    let (mut news, _) = running.watch().await.unwrap();
    let (mut others, _) = running.watch().await.unwrap();
    for left in [100, 97, 94] {
        assert_eq!(news.message().await.unwrap().unwrap().quantity, left);
        assert_eq!(others.message().await.unwrap().unwrap().quantity, left);
        running.reserve(WRITER_KEY, "sku-1", 3).await.unwrap();
        // What is refused, and what is taken of another product, is no news.
        running.reserve(WRITER_KEY, "sku-1", 1_000).await.unwrap_err();
        running.reserve(WRITER_KEY, "sku-2", 1).await.unwrap();
    }
    let request = with(Some(READER_KEY), WatchStockRequest { sku: "sku-9".to_owned() });
    assert_eq!(running.client().watch_stock(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn lay_01_a_stream_that_its_caller_drops_is_logged_as_aborted() {
    let running = Running::start().await.unwrap();
    let (mut news, id) = running.watch().await.unwrap();
    assert_eq!(news.message().await.unwrap().unwrap().quantity, 100);
    drop(news);
    let line = running.log_line(&id).await;
    assert_eq!(line["outcome"], "client_aborted", "{line}");
    assert_eq!(line.get("rpc.status_code"), None);
    assert_eq!(line["user.id"], "reader");
}

/// Time is not real here: it jumps to the deadline once nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn grpc_09_and_grpc_10_a_stream_ends_at_its_caller_s_deadline() {
    let running = Running::start().await.unwrap();
    let mut request = with(Some(READER_KEY), WatchStockRequest { sku: "sku-1".to_owned() });
    request.metadata_mut().insert("grpc-timeout", MetadataValue::from_static("500m"));
    request.metadata_mut().insert("x-request-id", MetadataValue::from_static("hurried"));
    let start = tokio::time::Instant::now();
    let end = async {
        let mut news = running.client().watch_stock(request).await?.into_inner();
        while news.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    assert_eq!(end.await.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(start.elapsed() < Duration::from_secs(1), "the caller's, and not the hour of the route");
    let line = running.log_line("hurried").await;
    assert_eq!(line["rpc.status_code"], "DEADLINE_EXCEEDED", "the service ended it: {line}");
}
