//! Deadlines and bulkheads around real servers and over every client.

use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Extension,
    routing::{any, get, post},
};
use bartizan::{
    GrpcChannel, GrpcStack, HttpReqwest, NormalizeLayer, ProblemLayer, Rejection, RequestContext, Stack,
    bulkhead::{AdaptiveConcurrencyLayer, BulkheadLayer, PerAuthority, PerRoute},
    correlation_id::CorrelationIdLayer,
    deadline::{OutboundTimeoutLayer, RequestBodyTimeoutLayer, TimeoutLayer, Timeouts},
};
use bartizan_tests::{
    TenOfEverything,
    inventory::{ReserveRequest, inventory_client::InventoryClient, inventory_server::InventoryServer},
};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    transport::{Channel, Server},
};
use tower::{Layer, Service, ServiceExt, util::MapRequestLayer};

/// Short enough to wait for, in the tests of what never comes.
const SOON: Duration = Duration::from_millis(50);
/// Longer than any test takes.
const LATE: Duration = Duration::from_secs(60);

/// A total for all routes but those that may take their time.
fn deadlines(total: Duration) -> TimeoutLayer {
    ["/slow", "/upload"].into_iter().fold(TimeoutLayer::new(total).unwrap(), |layer, route| {
        layer.with_route(route, Timeouts::new(LATE).unwrap()).unwrap()
    })
}

macro_rules! server_stack {
    ($total:expr) => {
        Stack::server()
            .push(ProblemLayer::new())
            .push(CorrelationIdLayer::new())
            .push(NormalizeLayer::new())
            .push(deadlines($total))
            .push(RequestBodyTimeoutLayer::new().with_idle(SOON).unwrap())
            .push(AdaptiveConcurrencyLayer::between(10, 100).unwrap())
            .push(BulkheadLayer::new(10).unwrap().by(PerRoute).with_queue(5, LATE).unwrap())
    };
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn serve(router: Router, total: Duration) -> SocketAddr {
    let (listener, addr) = bind().await;
    tokio::spawn(axum::serve(listener, router.layer(server_stack!(total).build())).into_future());
    addr
}

async fn inventory(total: Duration) -> Channel {
    let (listener, addr) = bind().await;
    let server = Server::builder()
        .layer(server_stack!(total).build())
        .add_service(InventoryServer::new(TenOfEverything))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap()
}

macro_rules! client_stack {
    ($total:expr, $limit:expr) => {
        Stack::client()
            .push(OutboundTimeoutLayer::total($total).unwrap())
            .push(BulkheadLayer::new($limit).unwrap().by(PerAuthority))
            .push(OutboundTimeoutLayer::per_attempt($total).unwrap())
            .build()
    };
}

fn hyper() -> Hyper<HttpConnector, Empty<Bytes>> {
    Hyper::builder(TokioExecutor::new()).build_http()
}

fn to(addr: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{addr}{path}")).body(Empty::new()).unwrap()
}

fn reserve(sku: &str) -> ReserveRequest {
    ReserveRequest { sku: sku.into(), quantity: 1 }
}

#[tokio::test]
async fn grpc_10_a_tonic_server_cancels_at_the_deadline_and_its_caller_is_told() {
    let mut client = InventoryClient::new(inventory(SOON).await);
    let status = client.reserve(reserve("never")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn grpc_10_a_tonic_channel_gives_up_at_the_deadline_of_its_stack() {
    let channel = GrpcChannel::new(inventory(LATE).await);
    let stack = GrpcStack::new(client_stack!(SOON, 10).layer(channel));
    let mut client = InventoryClient::with_origin(stack, "http://stock.invalid".parse().unwrap());
    let status = client.reserve(reserve("never")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn an_axum_router_is_bounded_by_route_and_refuses_slow_uploads() {
    let (begun, enough) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, enough) = (Arc::clone(&begun), Arc::clone(&enough));
        async move || {
            begun.notify_one();
            enough.notified().await;
        }
    };
    let router = Router::new()
        .route("/never", any(async || pending::<String>().await))
        .route("/slow", any(slow))
        .route("/upload", post(async |body: Bytes| body.len().to_string()));
    let addr = serve(router, SOON).await;
    let slow = tokio::spawn(hyper().request(to(addr, "/slow")));
    begun.notified().await;
    let answer = hyper().request(to(addr, "/never")).await.unwrap();
    assert_eq!(answer.status(), 504);
    assert!(answer.headers().contains_key("x-request-id"));
    // By now it took longer than any other route may.
    enough.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);

    let never = http_body_util::StreamBody::new(tokio_stream::pending());
    let body: http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible> =
        never.boxed_unsync();
    let client = Hyper::builder(TokioExecutor::new()).build_http();
    let upload = Request::post(format!("http://{addr}/upload")).body(body).unwrap();
    assert_eq!(client.request(upload).await.unwrap().status(), 408);
}

#[tokio::test]
async fn rt_11_the_deadline_of_a_caller_reaches_the_service_behind_the_service() {
    let told = get(async |headers: HeaderMap, Extension(context): Extension<RequestContext>| {
        let left = context.deadline().unwrap().remaining(&bartizan::Clock::system());
        assert!(left <= Duration::from_secs(5), "the deadline that came is the one that holds");
        headers["x-request-deadline"].to_str().unwrap().to_owned()
    });
    let back = serve(Router::new().route("/", told), LATE).await;
    let telling = OutboundTimeoutLayer::total(LATE).unwrap();
    let telling = telling.with_header("x-request-deadline".parse().unwrap()).unwrap();
    let client = Stack::client().push(telling).build().layer(hyper());
    let ask = get(async move || client.oneshot(to(back, "/")).await.unwrap().map(Body::new));
    let front = serve(Router::new().route("/", ask), LATE).await;
    let mut request = to(front, "/");
    request.headers_mut().insert("x-request-deadline", "5000".parse().unwrap());
    let answer = hyper().request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let left = answer.into_body().collect().await.unwrap().to_bytes();
    let left: u64 = std::str::from_utf8(&left).unwrap().parse().unwrap();
    assert!((1..=5_000).contains(&left), "{left}");
}

/// Has one call hold the only place until its body has ended.
async fn holds_one_place<S, B>(client: S, addr: SocketAddr)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let held = client.clone().oneshot(to(addr, "/")).await.unwrap();
    assert_eq!(held.status(), 200);
    let refused = client.clone().oneshot(to(addr, "/")).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let rejection = refused.extensions().get::<Rejection>().expect("it never left this service");
    assert_eq!(rejection.layer(), Some("bulkhead"));
    assert_eq!(held.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(client.oneshot(to(addr, "/")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn lay_01_lay_02_every_client_holds_its_place_until_the_body_has_ended() {
    let addr = serve(Router::new().route("/", get(async || "hello")), LATE).await;
    holds_one_place(client_stack!(LATE, 1).layer(hyper()), addr).await;
    let reqwest = HttpReqwest::new(reqwest::Client::new());
    holds_one_place(client_stack!(LATE, 1).layer(reqwest), addr).await;
}

#[tokio::test]
async fn a_foreign_layer_inside_a_stack_sees_the_deadline() {
    let noted = MapRequestLayer::new(|request: Request<_>| {
        assert!(RequestContext::get(request.extensions()).unwrap().deadline().is_some());
        request
    });
    let stack = server_stack!(LATE).push_foreign("noted", noted);
    let service = Router::new().route("/", get(async || "hello")).layer(stack.build());
    let answer = service.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
}
