//! Circuit breakers around real clients and servers.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use bartizan::{
    Clock, GrpcChannel, GrpcCode, GrpcStack, ManualClock, Outcome, Reason, Rejection, Stack, Verdict,
    circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, Single, State},
};
use bartizan_tests::{
    TenOfEverything,
    inventory::{WatchRequest, inventory_client::InventoryClient, inventory_server::InventoryServer},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    transport::{Channel, Server},
};
use tonic_types::StatusExt;
use tower::{Layer, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

/// Ten calls in ten seconds, half of them failed; open for five seconds.
fn layer() -> (CircuitBreakerLayer, ManualClock) {
    let time = ManualClock::new();
    let policy = BreakerPolicy::new()
        .with_time_window(10 * SECOND, 10)
        .and_then(|policy| policy.with_minimum_calls(10))
        .and_then(|policy| policy.with_open_time(5 * SECOND))
        .unwrap();
    (CircuitBreakerLayer::new(policy).with_clock(Clock::from(time.clone())), time)
}

/// A supplier that can be told to misbehave.
#[derive(Clone, Default)]
struct Supplier {
    down: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Supplier {
    async fn serve(&self) -> SocketAddr {
        let (listener, addr) = bind().await;
        let supplier = self.clone();
        let answer = move || {
            supplier.calls.fetch_add(1, SeqCst);
            let status =
                if supplier.down.load(SeqCst) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            async move { (status, "12.50") }
        };
        let app = Router::new().route("/quotes/{sku}", get(answer));
        tokio::spawn(axum::serve(listener, app).into_future());
        addr
    }
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn hyper() -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// One call, to the end of its body.
async fn quote<S, B>(client: &S, addr: SocketAddr) -> Result<StatusCode, S::Error>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>> + Clone,
    B: http_body::Body,
{
    let request = Request::get(format!("http://{addr}/quotes/7")).body(Empty::new()).unwrap();
    let response = client.clone().oneshot(request).await?;
    let status = response.status();
    let _ = response.into_body().collect().await;
    Ok(status)
}

#[tokio::test]
async fn cb_04_and_cb_05_a_supplier_behind_a_hyper_client_goes_down_and_comes_back_by_itself() {
    let (supplier, (breakers, time)) = (Supplier::default(), layer());
    let addr = supplier.serve().await;
    let client = Stack::client().push(breakers.clone()).build().layer(hyper());
    let key = addr.to_string();
    let state = || breakers.handle().breaker(&key).state();

    assert_eq!(quote(&client, addr).await.unwrap(), 200);
    supplier.down.store(true, SeqCst);
    for _ in 0..9 {
        assert_eq!(quote(&client, addr).await.unwrap(), 503);
    }
    assert_eq!(state(), State::Open);
    // From now on it sees the probes alone, whatever is asked for.
    for round in 1..=3 {
        for _ in 0..200 {
            assert_eq!(quote(&client, addr).await.unwrap(), 503);
        }
        time.advance(5 * SECOND);
        for _ in 0..200 {
            assert_eq!(quote(&client, addr).await.unwrap(), 503);
        }
        assert_eq!(supplier.calls.load(SeqCst), 10 + 3 * round);
    }
    supplier.down.store(false, SeqCst);
    time.advance(5 * SECOND);
    let calls = (0..200).map(|_| quote(&client, addr));
    let answers = futures_util::future::join_all(calls).await;
    let passed = answers.into_iter().filter(|answer| matches!(answer, Ok(StatusCode::OK))).count();
    assert!(passed >= 3, "{passed}");
    assert_eq!(state(), State::Closed);
    assert_eq!(quote(&client, addr).await.unwrap(), 200);
}

#[tokio::test]
async fn cb_07_a_host_that_refuses_connections_is_down() {
    let (breakers, _) = layer();
    let client = Stack::client().push(breakers.clone()).build().layer(hyper());
    // Bound, so that nobody else listens there, and closed again.
    let (listener, addr) = bind().await;
    drop(listener);
    for _ in 0..10 {
        assert!(quote(&client, addr).await.is_err());
    }
    assert_eq!(quote(&client, addr).await.unwrap(), 503, "an answer, and no error");
    assert_eq!(breakers.handle().breaker(&addr.to_string()).state(), State::Open);
}

#[tokio::test]
async fn cb_07_and_grpc_13_a_tonic_channel_is_judged_by_its_trailers_and_refused_with_unavailable() {
    let (breakers, _) = layer();
    // What this server says in its trailers, after messages that were fine.
    let breakers = breakers.with_classifier(|outcome: &Outcome| match outcome.grpc {
        Some(GrpcCode::Aborted) => Verdict::Failure,
        _ => Verdict::Success,
    });
    let (listener, addr) = bind().await;
    let server = Server::builder()
        .add_service(InventoryServer::new(TenOfEverything))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let breakers = breakers.by(Single);
    let stack = Stack::client().push(breakers.clone()).build();
    let mut client = InventoryClient::new(GrpcStack::new(stack.layer(GrpcChannel::new(channel))));
    let mut watch = async |sku: &str| {
        let request = WatchRequest { sku: sku.to_owned(), updates: 2 };
        let mut levels = client.watch(request).await?.into_inner();
        while levels.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    for _ in 0..10 {
        watch("7").await.unwrap();
    }
    for call in 0..10 {
        assert_eq!(watch("broken").await.unwrap_err().code(), Code::Aborted, "call {call}");
    }
    assert_eq!(breakers.handle().breaker("*").state(), State::Open, "half of twenty");
    let refused = watch("7").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(wait, Some(5 * SECOND));
}

#[tokio::test]
async fn an_axum_router_takes_the_layer_and_its_handlers_are_spared() {
    let calls = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&calls);
    let (breakers, _) = layer();
    let stack = Stack::server().push(breakers.by(Single));
    let app = Router::new()
        .route(
            "/",
            get(move || {
                seen.fetch_add(1, SeqCst);
                async { StatusCode::BAD_GATEWAY }
            }),
        )
        .layer(stack.build());
    let (listener, addr) = bind().await;
    tokio::spawn(axum::serve(listener, app.clone()).into_future());
    let client = hyper();
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let request = Request::get(format!("http://{addr}/")).body(Empty::<Bytes>::new()).unwrap();
        let response = client.request(request).await.unwrap();
        statuses.push(response.status().as_u16());
        let _ = response.into_body().collect().await;
    }
    assert_eq!((statuses[9], statuses[10], calls.load(SeqCst)), (502, 503, 10));
    let response = app
        .oneshot(Request::new(axum::body::Body::empty()))
        .await
        .unwrap_or_else(|never: Infallible| match never {});
    assert_eq!(response.extensions().get::<Rejection>().unwrap().reason(), Reason::CircuitOpen);
}
