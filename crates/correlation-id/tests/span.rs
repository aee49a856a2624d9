//! The span around a request: its name, its fields, and what runs within it.
#![cfg(feature = "tracing")]

mod support;

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bartizan_core::{
    ClientAddr, MatchedRoute, NormalizeLayer, Reason, Rejection, RequestContext, ResponseBody,
    insert_peer_addr,
};
use bartizan_correlation_id::{CorrelationIdLayer, TraceContextLayer};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, Version, uri::Scheme};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use support::{
    Shower, request, send,
    told::{Fields, Told},
};
use tower::{Layer, ServiceExt, service_fn};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;

fn layer() -> TraceContextLayer {
    TraceContextLayer::new().with_span(Level::INFO)
}

/// The span of one request, answered by `answer` and read to its end.
fn span_of<B>(request: Request<()>, answer: impl Fn(&Request<()>) -> Response<B> + Clone) -> Fields
where
    B: Body,
{
    let (told, ()) = Told::during(async {
        let inner = service_fn(|request: Request<()>| {
            let response = answer(&request);
            async { Ok::<_, Infallible>(response) }
        });
        let response = layer().layer(inner).oneshot(request).await.unwrap();
        let _ = response.into_body().collect().await.map(|_| ());
    });
    told.span()
}

fn with_status(status: u16) -> Fields {
    span_of(request(&[]), move |_| Response::builder().status(status).body(Full::<Bytes>::default()).unwrap())
}

fn ok(_: &Request<()>) -> Response<Full<Bytes>> {
    Response::new(Full::from("ok"))
}

fn grpc(path: &str) -> Request<()> {
    Request::post(path).version(Version::HTTP_2).header("content-type", "application/grpc").body(()).unwrap()
}

/// A gRPC answer: data, and the status in the trailers.
fn answer_grpc(status: &'static str) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    let frames = [Frame::data(Bytes::from("data")), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok)));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

#[test]
fn obs_01_the_name_is_method_and_route_and_never_the_path() {
    let span = |method: &[u8], route: Option<&'static str>| {
        let method = Method::from_bytes(method).unwrap();
        let mut request = Request::builder().method(method).uri("/orders/7?q=1").body(()).unwrap();
        if let Some(route) = route {
            request.extensions_mut().insert(MatchedRoute::template(route));
        }
        span_of(request, ok)
    };
    span(b"GET", Some("/orders/{id}")).expect(&[
        ("otel.name", Some("GET /orders/{id}")),
        ("http.route", Some("/orders/{id}")),
        ("http.request.method", Some("GET")),
        ("http.request.method_original", None),
    ]);
    span(b"POST", None).expect(&[("otel.name", Some("POST")), ("http.route", None)]);
    span(b"BREW", None).expect(&[
        ("otel.name", Some("HTTP")),
        ("http.request.method", Some("_OTHER")),
        ("http.request.method_original", Some("BREW")),
    ]);
}

#[test]
fn obs_02_a_server_span_has_the_attributes_it_must_have() {
    let mut request = Request::get("/orders/7?card=4711").version(Version::HTTP_11);
    request = request.header("host", "shop.example:8443").header("user-agent", "curl/8");
    request = request.header("traceparent", "00-12345678901234567890123456789012-1234567890123456-01");
    let mut request = request.body(()).unwrap();
    insert_peer_addr(request.extensions_mut(), "10.0.0.9".parse().unwrap());
    let fields = span_of(request, |request| {
        let context = RequestContext::get(request.extensions()).unwrap();
        context.set_client_addr(ClientAddr::new("192.0.2.7".parse().unwrap()));
        ok(request)
    });
    fields.expect(&[
        ("otel.kind", Some("server")),
        ("http.request.method", Some("GET")),
        ("url.path", Some("/orders/7")),
        ("url.scheme", Some("http")),
        ("url.query", None),
        ("http.response.status_code", Some("200")),
        ("server.address", Some("shop.example")),
        ("server.port", Some("8443")),
        ("client.address", Some("192.0.2.7")),
        ("network.peer.address", Some("10.0.0.9")),
        ("network.protocol.version", Some("1.1")),
        ("user_agent.original", Some("curl/8")),
        ("error.type", None),
        ("otel.status_code", None),
        ("rpc.system.name", None),
        ("trace_id", Some("12345678901234567890123456789012")),
    ]);
    assert_eq!(fields.get("span_id").unwrap().len(), 16);
    assert!(!format!("{fields:?}").contains("4711"), "the query may hold anything");

    let http2 = Request::get("https://shop.example/").version(Version::HTTP_2).body(()).unwrap();
    span_of(http2, ok).expect(&[
        ("url.scheme", Some("https")),
        ("server.address", Some("shop.example")),
        ("server.port", None),
        ("network.protocol.version", Some("2")),
    ]);
}

#[test]
fn obs_02_the_scheme_is_the_callers_where_a_trusted_proxy_told_it() {
    for (uri, told, scheme) in [
        ("/", Some(Scheme::HTTPS), "https"),
        ("https://shop.example/", Some(Scheme::HTTP), "http"),
        ("https://shop.example/", None, "https"),
        ("/", None, "http"),
    ] {
        let request = Request::get(uri).body(()).unwrap();
        let fields = span_of(request, |request| {
            if let Some(told) = &told {
                RequestContext::get(request.extensions()).unwrap().set_forwarded_scheme(told);
            }
            ok(request)
        });
        fields.expect(&[("url.scheme", Some(scheme))]);
    }
    span_of(grpc("/a.B/C"), |request| {
        RequestContext::get(request.extensions()).unwrap().set_forwarded_scheme(&Scheme::HTTPS);
        answer_grpc("0")
    })
    .expect(&[("url.scheme", None)]);
}

#[test]
fn obs_02_the_port_of_the_peer_is_told_where_it_is_known() {
    let peer: SocketAddr = "10.0.0.9:40123".parse().unwrap();
    let mut request = Request::new(());
    request.extensions_mut().insert(peer);
    span_of(request, ok)
        .expect(&[("network.peer.address", Some("10.0.0.9")), ("network.peer.port", Some("40123"))]);
    let mut request = Request::new(());
    insert_peer_addr(request.extensions_mut(), peer.ip());
    request.extensions_mut().insert(SocketAddr::from(([203, 0, 113, 1], 1)));
    span_of(request, ok).expect(&[("network.peer.address", Some("10.0.0.9")), ("network.peer.port", None)]);
}

#[test]
fn obs_08_no_header_but_the_user_agent_and_no_query_is_in_the_span() {
    let request = Request::post("/orders?card=4711")
        .header("authorization", "Bearer s3cret")
        .header("x-tenant", "acme")
        .header("content-type", "application/json");
    let fields = span_of(request.body(()).unwrap(), |_| {
        Response::builder().header("set-cookie", "id=s3cret").body(Full::<Bytes>::default()).unwrap()
    });
    let written = format!("{fields:?}");
    for captured in ["4711", "s3cret", "acme", "json", "http.request.header", "http.response.header"] {
        assert!(!written.contains(captured), "{captured} in {written}");
    }
}

#[test]
fn obs_02_what_a_caller_writes_is_cut() {
    let request = Request::get(format!("/{}", "p".repeat(60_000)))
        .header("user-agent", "a".repeat(60_000))
        .header("host", format!("{}:80", "h".repeat(60_000)));
    let fields = span_of(request.body(()).unwrap(), ok);
    assert_eq!(fields.get("url.path").unwrap().len(), 1024);
    assert_eq!(fields.get("user_agent.original").unwrap().len(), 256);
    assert_eq!(fields.get("server.address").unwrap().len(), 255);
}

#[test]
fn cid_05_a_path_brings_no_line_end_and_no_control_byte_into_the_span() {
    for (path, told) in [
        ("/a%0d%0ab", "/a%0d%0ab"),
        ("/a\u{2028}b\u{2029}c", "/a%E2%80%A8b%E2%80%A9c"),
        ("/a\u{85}b", "/a%C2%85b"),
    ] {
        let request = Request::get(path).body(()).unwrap();
        span_of(request, ok).expect(&[("url.path", Some(told))]);
    }
}

#[test]
fn obs_03_only_a_5xx_is_an_error_of_the_server() {
    for (status, error) in [(200, false), (302, false), (404, false), (429, false), (500, true), (503, true)]
    {
        let text = status.to_string();
        with_status(status).expect(&[
            ("http.response.status_code", Some(&text)),
            ("otel.status_code", error.then_some("ERROR")),
            ("error.type", error.then_some(text.as_str())),
        ]);
    }
}

#[test]
fn obs_03_what_fails_after_the_head_is_an_error_too() {
    let fields = span_of(request(&[]), |_| {
        let frames = [Ok(Frame::data(Bytes::from("half"))), Err("broken")];
        Response::new(StreamBody::new(stream::iter(frames)))
    });
    fields.expect(&[
        ("http.response.status_code", Some("200")),
        ("otel.status_code", Some("ERROR")),
        ("error.type", Some("body_error")),
    ]);

    let (told, ()) = Told::during(async {
        let inner = service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>("gone"));
        assert_eq!(layer().layer(inner).oneshot(request(&[])).await.unwrap_err(), "gone");
    });
    told.span().expect(&[("otel.status_code", Some("ERROR")), ("error.type", Some("service_error"))]);
}

#[test]
fn obs_03_a_client_that_leaves_is_no_error() {
    let (told, ()) = Told::during(async {
        let inner = service_fn(async |_: Request<()>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
        });
        let mut call = Box::pin(layer().layer(inner).oneshot(request(&[])));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    told.span().expect(&[
        ("otel.status_code", None),
        ("error.type", None),
        ("http.response.status_code", None),
    ]);
}

#[test]
fn obs_03_a_panic_is_an_error_wherever_it_happens() {
    let expected = [("otel.status_code", Some("ERROR")), ("error.type", Some("panic"))];
    for in_call in [true, false] {
        let (told, ()) = Told::during(async {
            let inner = service_fn(move |_: Request<()>| {
                assert!(!in_call, "on purpose, in the call");
                async move { panic!("on purpose, in the future") as Result<Response<Full<Bytes>>, Infallible> }
            });
            let mut service = layer().layer(inner);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let future = tower::Service::call(&mut service, request(&[]));
                let mut future = Box::pin(future);
                let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }));
            assert!(outcome.is_err());
        });
        told.span().expect(&expected);
    }

    let (told, status) = Told::during(async {
        let inner = service_fn(async |_: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> {
            panic!("on purpose, caught by the layer inside")
        });
        let service = layer().layer(NormalizeLayer::new().layer(inner));
        let (parts, body) = service.oneshot(request(&[])).await.unwrap().into_parts();
        body.collect().await.unwrap();
        parts.status
    });
    assert_eq!(status, 500);
    told.span().expect(&expected);
}

#[test]
fn obs_05_a_grpc_call_has_the_rpc_attributes_and_its_status_from_the_trailers() {
    span_of(grpc("/pkg.Orders/Get"), |_| answer_grpc("5")).expect(&[
        ("otel.name", Some("pkg.Orders/Get")),
        ("rpc.system.name", Some("grpc")),
        ("rpc.method", Some("pkg.Orders/Get")),
        ("rpc.method_original", None),
        ("rpc.status_code", Some("NOT_FOUND")),
        ("otel.status_code", None),
        ("error.type", None),
        ("http.request.method", None),
        ("http.response.status_code", None),
        ("url.path", None),
    ]);
}

#[test]
fn obs_05_a_method_that_nothing_proves_is_no_name() {
    let expected = |original| {
        [("otel.name", Some("grpc")), ("rpc.method", Some("_OTHER")), ("rpc.method_original", original)]
    };
    span_of(grpc("/made.Up/Name"), |_| answer_grpc("12")).expect(&expected(Some("made.Up/Name")));
    span_of(grpc("/not-a-method"), |_| answer_grpc("12")).expect(&expected(None));
    let refused = span_of(grpc("/made.Up/Name"), |request| {
        Rejection::new(Reason::RateLimited).answer::<_, ResponseBody<Full<Bytes>>>(request)
    });
    refused.expect(&expected(Some("made.Up/Name")));
    refused.expect(&[("rpc.status_code", Some("RESOURCE_EXHAUSTED"))]);
}

#[test]
fn obs_06_only_some_codes_are_errors_of_the_server() {
    let codes = [
        ("0", None),
        ("1", None),
        ("2", Some("UNKNOWN")),
        ("3", None),
        ("4", Some("DEADLINE_EXCEEDED")),
        ("5", None),
        ("6", None),
        ("7", None),
        ("8", None),
        ("9", None),
        ("10", None),
        ("11", None),
        ("12", Some("UNIMPLEMENTED")),
        ("13", Some("INTERNAL")),
        ("14", Some("UNAVAILABLE")),
        ("15", Some("DATA_LOSS")),
        ("16", None),
    ];
    for (code, error) in codes {
        span_of(grpc("/pkg.Orders/Get"), |_| answer_grpc(code))
            .expect(&[("otel.status_code", error.map(|_| "ERROR")), ("error.type", error)]);
    }
}

#[test]
fn the_span_ends_with_the_body() {
    let (told, ()) = Told::during(async {});
    let subscriber = tracing_subscriber::registry().with(told.clone());
    let _guard = bartizan_testkit::listen(subscriber);
    let mut service = layer().layer(Shower);
    let call = tower::Service::call(&mut service, request(&[]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(call).unwrap();
    assert!(!told.is_closed());
    runtime.block_on(response.into_body().collect()).unwrap();
    assert!(told.is_closed());
    assert_eq!(told.closed()[0].1, Level::INFO);
    told.span().expect(&[("http.response.status_code", Some("200"))]);
}

#[test]
fn without_the_setting_or_a_listener_there_is_no_span() {
    let (told, _) = Told::during(async { send(&TraceContextLayer::new(), request(&[])).await });
    assert!(!told.is_closed());
    let subscriber =
        tracing_subscriber::registry().with(told.clone()).with(tracing_subscriber::filter::LevelFilter::WARN);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = bartizan_testkit::listen(subscriber);
    let (seen, _) = runtime.block_on(send(&layer(), request(&[])));
    assert!(!told.is_closed());
    assert!(seen.context.trace().is_some(), "the trace does not depend on who listens");
}

#[test]
fn every_level_may_be_chosen() {
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
        let (told, _) =
            Told::during(async { send(&TraceContextLayer::new().with_span(level), request(&[])).await });
        let spans = told.closed();
        let [(name, closed, _)] = &spans[..] else { panic!("one span") };
        assert_eq!((*name, *closed), ("request", level));
    }
}

/// Tells something at each place where code may run for a request.
struct Teller(&'static str);

impl Drop for Teller {
    fn drop(&mut self) {
        tracing::info!("{} is dropped", self.0);
    }
}

impl Body for Teller {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        tracing::info!("the body runs");
        Poll::Ready(None)
    }
}

#[test]
fn cid_04_every_event_told_for_a_request_is_within_the_span_that_has_its_ids() {
    let (told, ()) = Told::during(async {
        let inner = service_fn(|_: Request<()>| {
            tracing::info!("the call runs");
            async {
                let _held = Teller("the future");
                tokio::task::yield_now().await;
                tracing::info!("the future runs");
                tokio::spawn(in_request(async { tracing::info!("the task runs") })).await.unwrap();
                Ok::<_, Infallible>(Response::new(Teller("the body")))
            }
        });
        let service = CorrelationIdLayer::new().layer(layer().layer(inner));
        let sent = request(&[("x-request-id", "r-1"), ("x-correlation-id", "w-1")]);
        let response = service.oneshot(sent).await.unwrap();
        response.into_body().collect().await.unwrap();
        tracing::info!("outside");
    });
    let events = told.events();
    let messages: Vec<_> = events.iter().map(|(message, _)| message.as_str()).collect();
    let expected = [
        "the call runs",
        "the future runs",
        "the task runs",
        "the future is dropped",
        "the body runs",
        "the body is dropped",
        "outside",
    ];
    assert_eq!(messages, expected);
    for (message, span) in &events[..6] {
        let span = span.as_ref().unwrap_or_else(|| panic!("{message}: no span"));
        span.expect(&[("request_id", Some("r-1")), ("correlation_id", Some("w-1"))]);
        assert_eq!((span.get("trace_id").unwrap().len(), span.get("span_id").unwrap().len()), (32, 16));
    }
    assert!(events[6].1.is_none());
}

/// How a handler spawns a task that belongs to its request.
#[cfg(feature = "scope")]
fn in_request<F: Future>(future: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument;

    bartizan_core::in_scope(async {
        let context = bartizan_core::current().expect("the scope travels with the span");
        assert_eq!(context.request_id().unwrap().as_str(), "r-1");
        future.await
    })
    .in_current_span()
}

#[cfg(not(feature = "scope"))]
fn in_request<F: Future>(future: F) -> impl Future<Output = F::Output> {
    tracing::Instrument::in_current_span(future)
}
