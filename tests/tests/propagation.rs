//! One request through several services: its ids and its trace, over every client.

use std::{
    collections::HashSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use bartizan::{
    Client, GrpcChannel, GrpcStack, HttpReqwest, Reason, Rejection, RequestContext, Stack,
    correlation_id::{CorrelationIdLayer, LogicalCallLayer, PropagateLayer, TraceContextLayer},
    in_scope,
    validate::{ClientResponseSchemaLayer, JsonSchema},
};
use bartizan_tests::{
    TenOfEverything,
    inventory::{
        ReserveRequest, StockLevel, WatchRequest, inventory_client::InventoryClient,
        inventory_server::InventoryServer,
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    transport::{Channel, Server},
};
use tower::{Layer, ServiceExt, timeout::TimeoutLayer, util::MapRequestLayer};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// What a service knows of a request.
#[derive(Clone, Debug)]
struct Seen {
    request_id: String,
    correlation_id: String,
    trace_id: String,
    parent_id: String,
    span_id: String,
    state: Option<String>,
    baggage: Option<String>,
}

/// What all services knew, in the order of their requests.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Seen>>>);

impl Notes {
    fn note<B>(&self, request: Request<B>) -> Request<B> {
        let context = RequestContext::get(request.extensions()).expect("the layers insert one");
        let trace = context.trace().expect("every request has a place in a trace");
        let seen = Seen {
            request_id: context.request_id().expect("every request has one").to_string(),
            correlation_id: context.correlation_id().expect("every request has one").to_string(),
            trace_id: trace.trace_id().to_string(),
            parent_id: trace.parent_id().map(|span| span.to_string()).unwrap_or_default(),
            span_id: trace.span_id().to_string(),
            state: trace.state().map(|state| state.to_str().unwrap().to_owned()),
            baggage: context.baggage().map(|baggage| baggage.as_str().to_owned()),
        };
        self.0.lock().unwrap().push(seen);
        request
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

macro_rules! server_stack {
    ($notes:expr) => {{
        let notes = $notes.clone();
        Stack::server()
            .push(CorrelationIdLayer::new())
            .push(TraceContextLayer::new())
            .push_foreign("notes", MapRequestLayer::new(move |request| notes.note(request)))
            .build()
    }};
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Serves `router` behind the layers that read ids.
async fn serve(router: Router, notes: &Notes) -> SocketAddr {
    let (listener, addr) = bind().await;
    let app = router.layer(server_stack!(notes));
    tokio::spawn(axum::serve(listener, app).into_future());
    addr
}

async fn inventory(notes: &Notes) -> Channel {
    let (listener, addr) = bind().await;
    let server = Server::builder()
        .layer(server_stack!(notes))
        .add_service(InventoryServer::new(TenOfEverything))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap()
}

fn hyper<B>() -> Hyper<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Hyper::builder(TokioExecutor::new()).build_http()
}

/// Sends the first request of a workflow.
async fn begin(addr: SocketAddr) -> Response<Bytes> {
    let request = Request::get(format!("http://{addr}/go"))
        .header("x-request-id", "r-1")
        .header("x-correlation-id", "w-1")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("tracestate", "a=1,b=2")
        .header("baggage", "tenant=acme,session=s3cret")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let (parts, body) = hyper().request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(parts.status, StatusCode::OK, "{body:?}");
    assert_eq!(parts.headers["x-request-id"], "r-1");
    assert_eq!(parts.headers["x-correlation-id"], "w-1");
    Response::from_parts(parts, body)
}

/// Checks that the first of `seen` and `calls` more are one request in one trace.
#[track_caller]
fn assert_one_trace(seen: &[Seen], calls: usize) {
    assert_eq!(seen.len(), 1 + calls, "{seen:#?}");
    for one in seen {
        assert_eq!((one.request_id.as_str(), one.correlation_id.as_str()), ("r-1", "w-1"));
        assert_eq!((one.trace_id.as_str(), one.state.as_deref()), (TRACE, Some("a=1,b=2")));
    }
    assert_eq!(seen[0].parent_id, CALLER);
    let ids: HashSet<_> = seen.iter().flat_map(|one| [&one.parent_id, &one.span_id]).collect();
    assert_eq!(ids.len(), 2 * seen.len(), "every hop is a span of its own: {seen:#?}");
}

fn reserve(sku: &str, quantity: u32) -> ReserveRequest {
    ReserveRequest { sku: sku.into(), quantity }
}

/// A service that makes one call of each kind.
async fn call_inventory(mut client: InventoryClient<GrpcStack>) -> String {
    let reply = client.reserve(reserve("a", 1)).await.unwrap();
    assert_eq!(reply.metadata().get("x-request-id").unwrap(), "r-1");

    let failed = client.reserve(reserve("a", 11)).await.unwrap_err();
    assert_eq!(failed.code(), Code::FailedPrecondition);
    assert_eq!(failed.metadata().get("x-request-id").unwrap(), "r-1");
    assert_eq!(failed.metadata().get("x-correlation-id").unwrap(), "w-1");

    for (sku, end) in [("a", None), ("broken", Some(Code::Aborted))] {
        let watched = client.watch(WatchRequest { sku: sku.into(), updates: 3 }).await.unwrap();
        assert_eq!(watched.metadata().get("x-request-id").unwrap(), "r-1");
        let levels: Vec<_> = watched.into_inner().collect().await;
        assert_eq!(levels.iter().filter(|level| level.is_ok()).count(), 3);
        assert_eq!(levels.last().unwrap().as_ref().err().map(tonic::Status::code), end);
    }

    let levels = stream::iter([StockLevel { sku: "a".into(), quantity: 4 }]);
    let mut doubled = client.recount(levels).await.unwrap().into_inner();
    doubled.message().await.unwrap().unwrap().quantity.to_string()
}

#[tokio::test]
async fn cid_04_grpc_calls_carry_ids_and_trace_through_success_errors_and_streams() {
    let notes = Notes::default();
    let stack = Stack::client().push(LogicalCallLayer::new()).push(PropagateLayer::new());
    let channel = GrpcChannel::new(inventory(&notes).await);
    let client = InventoryClient::new(GrpcStack::new(stack.build().layer(channel)));
    let front = serve(Router::new().route("/go", get(async || call_inventory(client).await)), &notes).await;
    assert_eq!(begin(front).await.into_body(), "8");
    let seen = notes.take();
    assert_one_trace(&seen, 5);
    assert!(seen[1..].iter().all(|call| call.baggage.is_none()), "none is allowed to");
}

#[tokio::test]
async fn a_generated_client_takes_a_built_stack_as_it_is() {
    let notes = Notes::default();
    let channel = inventory(&notes).await;
    let (plain, listed) = (PropagateLayer::new(), PropagateLayer::new().with_authorities(["stock:50051"]));
    let mut client = InventoryClient::new(
        Stack::client().push(Some(plain)).build().layer(GrpcChannel::new(channel.clone())),
    );
    client.reserve(reserve("a", 1)).await.unwrap();

    let listed = listed.unwrap().layer(GrpcChannel::from(channel));
    let origin = "http://stock:50051".parse().unwrap();
    InventoryClient::with_origin(listed.clone(), origin).reserve(reserve("a", 1)).await.unwrap();
    InventoryClient::new(listed).reserve(reserve("a", 1)).await.unwrap();
    let [first, known, unknown] = &notes.take()[..] else { panic!("three calls") };
    assert!(!first.parent_id.is_empty() && !known.parent_id.is_empty());
    assert!(unknown.parent_id.is_empty(), "the layer could not tell where this went");
}

#[tokio::test]
async fn grpc_06_a_refusal_of_a_client_s_layer_is_a_status() {
    let refusal = |error: BoxError| {
        Rejection::new(match error.is::<tower::timeout::error::Elapsed>() {
            true => Reason::DeadlineExceeded,
            false => Reason::BadGateway,
        })
    };
    let stack = |millis| {
        Stack::client()
            .push(PropagateLayer::new())
            .push_fallible("timeout", TimeoutLayer::new(Duration::from_millis(millis)), refusal)
            .build()
    };
    let slow = GrpcStack::new(stack(1).layer(GrpcChannel::new(inventory(&Notes::default()).await)));
    let status = InventoryClient::new(slow).reserve(reserve("never", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");

    let (listener, addr) = bind().await;
    drop(listener);
    let nowhere = Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
    let gone = stack(60_000).layer(GrpcChannel::new(nowhere));
    let status = InventoryClient::new(gone).reserve(reserve("a", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!status.message().contains(&addr.to_string()));
}

#[tokio::test]
async fn cid_04_hyper_calls_carry_ids_trace_and_allowed_baggage() {
    let notes = Notes::default();
    let back = serve(Router::new().route("/", get(async || "ok")), &notes).await;
    let layer = PropagateLayer::new().with_baggage(["tenant"]).unwrap();
    let client = Stack::client().push(layer).build().layer(hyper());
    let go = async move || {
        for _ in 0..2 {
            let request = Request::get(format!("http://{back}/")).body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(client.clone().oneshot(request).await.unwrap().status(), StatusCode::OK);
        }
    };
    begin(serve(Router::new().route("/go", get(go)), &notes).await).await;
    let seen = notes.take();
    assert_one_trace(&seen, 2);
    assert_eq!(seen[0].baggage.as_deref(), Some("tenant=acme,session=s3cret"));
    assert!(seen[1..].iter().all(|call| call.baggage.as_deref() == Some("tenant=acme")));
}

#[tokio::test]
async fn cid_04_a_chain_of_services_is_one_trace() {
    let notes = Notes::default();
    let mut next = serve(Router::new().route("/go", get(async || "end")), &notes).await;
    for _ in 0..3 {
        let client = PropagateLayer::new().layer(hyper());
        let go = async move || {
            let request = Request::get(format!("http://{next}/go")).body(Empty::<Bytes>::new()).unwrap();
            client.oneshot(request).await.unwrap().map(Body::new)
        };
        next = serve(Router::new().route("/go", get(go)), &notes).await;
    }
    assert_eq!(begin(next).await.into_body(), "end");
    assert_one_trace(&notes.take(), 3);
}

fn reqwest() -> HttpReqwest {
    HttpReqwest::new(reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap())
}

#[tokio::test]
async fn cid_04_reqwest_calls_carry_ids_and_trace() {
    let notes = Notes::default();
    let back = serve(Router::new().route("/", get(async || "ok")), &notes).await;
    let client = Stack::client().push(PropagateLayer::new()).build().layer(reqwest());
    let go = async move || {
        let request = Request::get(format!("http://{back}/")).body(Empty::<Bytes>::new()).unwrap();
        client.oneshot(request).await.unwrap().map(Body::new)
    };
    let reply = begin(serve(Router::new().route("/go", get(go)), &notes).await).await;
    assert_eq!(reply.into_body(), "ok");
    assert_one_trace(&notes.take(), 1);
}

#[tokio::test]
async fn val_08_an_upstream_that_breaks_its_contract_is_a_bad_gateway() {
    let answers = Router::new()
        .route("/good", get(async || ([("content-type", "application/json")], r#"{"price":7}"#)))
        .route("/broken", get(async || ([("content-type", "application/json")], r#"{"s3cret":7}"#)))
        .route("/page", get(async || ([("content-type", "text/html")], "<h1>s3cret</h1>")));
    let upstream = serve(answers, &Notes::default()).await;
    let schema = JsonSchema::new(&serde_json::json!({ "required": ["price"] })).unwrap();
    let client = Stack::client()
        .push(PropagateLayer::new())
        .push(ClientResponseSchemaLayer::new(schema))
        .build()
        .layer(reqwest());
    for (path, status, body) in [("good", 200, r#"{"price":7}"#), ("broken", 502, ""), ("page", 502, "")] {
        let request = Request::get(format!("http://{upstream}/{path}")).body(Empty::<Bytes>::new()).unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        let cause =
            response.extensions().get::<Rejection>().map(|refusal| refusal.cause().unwrap().to_owned());
        let seen = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status == 502 || seen == body, "{seen:?}");
        assert!(!String::from_utf8_lossy(&seen).contains("s3cret"));
        let cause = cause.unwrap_or_default();
        assert_eq!(cause.contains("# required"), path == "broken", "{cause}");
    }
}

#[tokio::test]
async fn lay_04_reqwest_streams_bodies_both_ways_and_hands_trailers_on() {
    let echo = axum::routing::post(async |body: Body| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("42"));
        let end = stream::iter([Ok::<_, axum::Error>(Frame::trailers(trailers))]);
        let frames = body.into_data_stream().map(|data| data.map(Frame::data)).chain(end);
        Response::builder().header("trailer", "x-sum").body(Body::new(StreamBody::new(frames))).unwrap()
    });
    let addr = serve(Router::new().route("/", echo), &Notes::default()).await;
    let (send, receive) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    // A body that is not `Sync`, as axum's.
    let frames = tokio_stream::wrappers::ReceiverStream::new(receive);
    let body = Body::new(StreamBody::new(frames));
    let request = Request::post(format!("http://{addr}/")).header("te", "trailers").body(body).unwrap();
    let mut answer = reqwest().oneshot(request).await.unwrap().into_body();
    for part in ["one", "two"] {
        // Each part comes back before the next is sent.
        send.send(Ok(Frame::data(Bytes::from(part)))).await.unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), part);
    }
    drop(send);
    let trailers = answer.frame().await.unwrap().unwrap().into_trailers().expect("the trailers");
    assert_eq!(trailers["x-sum"], "42");
    assert!(answer.frame().await.is_none());
}

#[tokio::test]
async fn lay_04_reqwest_tells_the_length_of_a_body_that_knows_it() {
    let told = axum::routing::any(async |headers: HeaderMap| {
        let [length, coding] = ["content-length", "transfer-encoding"]
            .map(|name| headers.get(name).map_or("none", |value| value.to_str().unwrap()).to_owned());
        format!("{length} {coding}")
    });
    let addr = serve(Router::new().route("/", told), &Notes::default()).await;
    for (method, body, expected) in [
        ("GET", Body::empty(), "none none"),
        ("POST", Body::from("four"), "4 none"),
        ("POST", Body::from_stream(stream::iter([Ok::<_, Infallible>("four")])), "none chunked"),
    ] {
        let request = Request::builder().method(method).uri(format!("http://{addr}/")).body(body).unwrap();
        let answer = reqwest().oneshot(request).await.unwrap().into_body();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), expected, "{method}");
    }
}

#[tokio::test]
async fn reqwest_says_what_it_cannot_send_and_whom_it_cannot_reach() {
    let ask = |uri: String| {
        let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        reqwest().oneshot(request)
    };
    assert!(ask("/no/host".into()).await.unwrap_err().is_builder());
    let (listener, addr) = bind().await;
    drop(listener);
    assert!(ask(format!("http://{addr}/")).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn cid_04_a_spawned_task_calls_out_with_the_request_s_ids_only_if_it_was_told_so() {
    let notes = Notes::default();
    let back = serve(Router::new().route("/", get(async || "ok")), &notes).await;
    let client = PropagateLayer::new().layer(hyper());
    let go = async move || {
        let call = || {
            let request = Request::get(format!("http://{back}/")).body(Empty::<Bytes>::new()).unwrap();
            client.clone().oneshot(request)
        };
        let carried = tokio::spawn(in_scope(call())).await.unwrap().unwrap();
        let plain = tokio::spawn(call()).await.unwrap().unwrap();
        assert_eq!((carried.status(), plain.status()), (StatusCode::OK, StatusCode::OK));
    };
    begin(serve(Router::new().route("/go", get(go)), &notes).await).await;
    let mut seen = notes.take();
    let plain = seen.pop().unwrap();
    assert_one_trace(&seen, 1);
    assert_eq!(plain.request_id.len(), 36);
    assert_eq!(plain.correlation_id, plain.request_id, "a workflow of its own");
    assert_ne!(plain.trace_id, TRACE);
    assert_eq!(plain.state, None);
}

#[tokio::test]
async fn cid_04_a_response_calls_out_with_the_request_s_ids_while_it_is_streamed() {
    let notes = Notes::default();
    let back = serve(Router::new().route("/", get(async || "ok")), &notes).await;
    let client = PropagateLayer::new().layer(hyper());
    let go = async move || {
        Body::from_stream(stream::iter(0..2).then(move |_| {
            let request = Request::get(format!("http://{back}/")).body(Empty::<Bytes>::new()).unwrap();
            let answer = client.clone().oneshot(request);
            async move { answer.await.unwrap().into_body().collect().await.map(|body| body.to_bytes()) }
        }))
    };
    let reply = begin(serve(Router::new().route("/go", get(go)), &notes).await).await;
    assert_eq!(reply.into_body(), "okok");
    assert_one_trace(&notes.take(), 2);
}

/// A stack can be named: the types are public.
#[expect(dead_code, reason = "it is enough that it compiles")]
struct Clients {
    stack: Stack<Client>,
    inventory: InventoryClient<GrpcStack>,
    prices: HttpReqwest,
}
