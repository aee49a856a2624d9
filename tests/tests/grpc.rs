//! The layers on a tonic server, seen by a real tonic client.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::{AccessLogLayer, LogHandle},
    auth::{ApiKey, ApiKeyLayer, RequireLayer, StaticKeys},
    client_addr::ClientAddrLayer,
    correlation_id::CorrelationIdLayer,
    metrics::MetricsLayer,
    rate_limit::{PerClientAddr, PerPrincipal, Rate, RateLimitLayer},
};
use bartizan_tests::{
    TenOfEverything,
    inventory::{
        ReserveRequest, StockLevel, WatchRequest, inventory_client::InventoryClient, inventory_server,
    },
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Server},
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

/// A running inventory and its clients.
struct Inventory {
    channel: Channel,
    keeper: ApiKey,
    visitor: ApiKey,
    log: Log,
    handle: LogHandle,
}

impl Inventory {
    /// Limits each caller to `burst` calls, and one more each minute.
    async fn start(burst: u32) -> Result<Self, Box<dyn Error>> {
        let keeper = ApiKey::generate("test")?;
        let visitor = ApiKey::generate("test")?;
        let keys = StaticKeys::new([
            keeper.record("keeper").with_scopes(["inventory:write"]),
            visitor.record("visitor").with_scopes(["inventory:read"]),
        ])?;
        let log = Log::default();
        let access_log = AccessLogLayer::json(log.clone());
        let handle = access_log.handle();
        let stack = Stack::server()
            .push(ProblemLayer::new().with_domain("inventory.example.com")?)
            .push(CorrelationIdLayer::new())
            .push(MetricsLayer::new())
            .push(access_log)
            .push(NormalizeLayer::new())
            .push(ClientAddrLayer::peer())
            .push(RateLimitLayer::new(Rate::per_second(1_000)?).by(PerClientAddr))
            .push(ApiKeyLayer::new(keys))
            .push(RateLimitLayer::new(Rate::per_minute(1)?.burst(burst)?).by(PerPrincipal))
            .push(RequireLayer::scope("inventory:write"));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr: SocketAddr = listener.local_addr()?;
        let server = Server::builder()
            .layer(stack.build())
            .add_service(inventory_server::InventoryServer::new(TenOfEverything))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let channel = Channel::from_shared(format!("http://{addr}"))?.connect().await?;
        Ok(Self { channel, keeper, visitor, log, handle })
    }

    fn client(&self) -> InventoryClient<Channel> {
        InventoryClient::new(self.channel.clone())
    }

    fn as_keeper<T>(&self, message: T) -> Request<T> {
        with_key(message, self.keeper.expose())
    }

    async fn log_line(&self, id: &str) -> Value {
        let found = async {
            loop {
                let handle = self.handle.clone();
                tokio::task::spawn_blocking(move || handle.flush(Duration::from_secs(5)))
                    .await
                    .unwrap()
                    .unwrap();
                let text = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
                let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                match lines.find(|line| line["request_id"] == id) {
                    Some(line) => return line,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("the line is written")
    }
}

fn with_key<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    let mut key: MetadataValue<Ascii> = key.parse().unwrap();
    key.set_sensitive(true);
    request.metadata_mut().insert("x-api-key", key);
    request
}

fn reserve(sku: &str, quantity: u32) -> ReserveRequest {
    ReserveRequest { sku: sku.into(), quantity }
}

/// Checks what every refusal carries; returns the id of the request.
#[track_caller]
fn assert_refused(status: &Status, code: Code, reason: &str) -> String {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "inventory.example.com"));
    let id = status.metadata().get("x-request-id").expect("the id is in the metadata of errors");
    assert_eq!(details.request_info().expect("RequestInfo").request_id, id.to_str().unwrap());
    assert!(status.metadata().contains_key("x-correlation-id"));
    id.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn grpc_02_a_missing_and_a_wrong_key_are_unauthenticated() {
    let inventory = Inventory::start(100).await.unwrap();
    let wrong = ApiKey::generate("test").unwrap();
    for request in [Request::new(reserve("a", 1)), with_key(reserve("a", 1), wrong.expose())] {
        let status = inventory.client().reserve(request).await.unwrap_err();
        let id = assert_refused(&status, Code::Unauthenticated, "UNAUTHENTICATED");
        assert!(status.metadata().get("www-authenticate").unwrap().to_str().unwrap().starts_with("ApiKey "));
        let line = inventory.log_line(&id).await;
        assert_eq!(line["rejection.code"], "unauthenticated");
        assert_eq!(line["http.response.status_code"], 200, "the status of gRPC is not HTTP's");
    }
}

#[tokio::test]
async fn grpc_06_a_lacking_scope_is_permission_denied() {
    let inventory = Inventory::start(100).await.unwrap();
    let request = with_key(reserve("a", 1), inventory.visitor.expose());
    let status = inventory.client().reserve(request).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "PERMISSION_DENIED");
    assert!(status.message().contains("inventory:write"));
}

#[tokio::test]
async fn grpc_06_a_caller_over_its_limit_learns_when_to_come_back() {
    let inventory = Inventory::start(2).await.unwrap();
    for _ in 0..2 {
        inventory.client().reserve(inventory.as_keeper(reserve("a", 1))).await.unwrap();
    }
    let status = inventory.client().reserve(inventory.as_keeper(reserve("a", 1))).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "RATE_LIMITED");
    let details = status.get_error_details();
    let delay = details.retry_info().expect("RetryInfo").retry_delay.expect("a delay");
    assert!(delay > Duration::from_secs(50) && delay <= Duration::from_secs(60), "{delay:?}");
    assert_eq!(details.quota_failure().expect("QuotaFailure").violations.len(), 1);
    let pushback: u128 =
        status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap();
    assert!(pushback >= delay.as_millis());
}

#[tokio::test]
async fn cid_04_the_caller_s_id_comes_back_on_success_on_errors_and_on_panics() {
    let inventory = Inventory::start(100).await.unwrap();
    let ask = |sku: &str, quantity, id: &'static str| {
        let mut request = inventory.as_keeper(reserve(sku, quantity));
        request.metadata_mut().insert("x-request-id", MetadataValue::from_static(id));
        let mut client = inventory.client();
        async move { client.reserve(request).await }
    };
    let reply = ask("a", 1, "call-1").await.unwrap();
    assert_eq!(reply.metadata().get("x-request-id").unwrap(), "call-1");
    assert_eq!(reply.into_inner().left, 9);
    let failed = ask("a", 11, "call-2").await.unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::FailedPrecondition, "not enough in stock"));
    assert_eq!(failed.metadata().get("x-request-id").unwrap(), "call-2");
    let panicked = ask("boom", 1, "call-3").await.unwrap_err();
    assert_eq!(assert_refused(&panicked, Code::Internal, "INTERNAL"), "call-3");
    assert!(!panicked.message().contains("shelf"));
    for (id, status, outcome) in [
        ("call-1", "OK", "completed"),
        ("call-2", "FAILED_PRECONDITION", "completed"),
        ("call-3", "INTERNAL", "panic"),
    ] {
        let line = inventory.log_line(id).await;
        assert_eq!((&line["rpc.status_code"], &line["outcome"]), (&status.into(), &outcome.into()), "{line}");
        assert_eq!(line["user.id"], "keeper");
    }
}

#[tokio::test]
async fn grpc_13_a_stream_is_judged_by_its_trailers() {
    let inventory = Inventory::start(100).await.unwrap();
    for (sku, id, status) in [("a", "watch-1", "OK"), ("broken", "watch-2", "ABORTED")] {
        let mut request = inventory.as_keeper(WatchRequest { sku: sku.into(), updates: 3 });
        request.metadata_mut().insert("x-request-id", MetadataValue::from_static(id));
        let mut levels = inventory.client().watch(request).await.unwrap().into_inner();
        let mut seen = Vec::new();
        let end = loop {
            match levels.message().await {
                Ok(Some(level)) => seen.push(level.quantity),
                Ok(None) => break Code::Ok,
                Err(status) => break status.code(),
            }
        };
        assert_eq!(seen, [2, 1, 0]);
        assert_eq!(end, if sku == "broken" { Code::Aborted } else { Code::Ok });
        assert_eq!(inventory.log_line(id).await["rpc.status_code"], status);
    }
}

#[tokio::test]
async fn lay_04_a_stream_in_both_directions_is_not_buffered() {
    let inventory = Inventory::start(100).await.unwrap();
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let levels = tokio_stream::wrappers::ReceiverStream::new(receive);
    let mut doubled = inventory.client().recount(inventory.as_keeper(levels)).await.unwrap().into_inner();
    for quantity in 1..=3 {
        // Each answer comes before the next question is asked.
        send.send(StockLevel { sku: "a".into(), quantity }).await.unwrap();
        assert_eq!(doubled.next().await.unwrap().unwrap().quantity, 2 * quantity);
    }
    drop(send);
    assert!(doubled.next().await.is_none());
}

#[tokio::test]
async fn lay_01_a_call_that_its_caller_gives_up_is_logged_as_aborted() {
    let inventory = Inventory::start(100).await.unwrap();
    let mut request = inventory.as_keeper(reserve("never", 1));
    request.metadata_mut().insert("x-request-id", MetadataValue::from_static("given-up"));
    let (mut client, mut other) = (inventory.client(), inventory.client());
    // Once a call sent later on the same connection is answered, the service has both.
    tokio::select! {
        biased;
        reply = client.reserve(request) => panic!("nothing is ever answered: {reply:?}"),
        reply = other.reserve(inventory.as_keeper(reserve("a", 1))) => drop(reply.unwrap()),
    }
    let line = inventory.log_line("given-up").await;
    assert_eq!(line["outcome"], "client_aborted");
    assert_eq!(line.get("rpc.status_code"), None);
}

#[tokio::test]
async fn obs_09_only_methods_of_the_service_become_labels() {
    let recorder = PrometheusBuilder::new().install_recorder().unwrap();
    let inventory = Inventory::start(100).await.unwrap();
    inventory.client().reserve(inventory.as_keeper(reserve("a", 1))).await.unwrap();
    for index in 0..20 {
        let path = format!("/made.up.Service{index}/Method").parse().unwrap();
        let mut grpc = tonic::client::Grpc::new(inventory.channel.clone());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<ReserveRequest, ReserveRequest>::default();
        let status = grpc.unary(inventory.as_keeper(reserve("a", 1)), path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.metadata().contains_key("x-request-id"));
    }
    let text = recorder.render();
    assert!(text.contains(r#"rpc_method="inventory.v1.Inventory/Reserve""#), "{text}");
    assert!(text.contains(r#"rpc_method="_OTHER""#), "{text}");
    assert!(!text.contains("made.up"), "{text}");
}
