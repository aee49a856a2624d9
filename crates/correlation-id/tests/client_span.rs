//! The span around an outgoing request or call: what it tells, what is sent of it, and what runs within it.
#![cfg(feature = "tracing")]

mod support;

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use bartizan_core::{
    CorrelationId, MatchedRoute, Reason, Rejection, RequestContext, RequestId, ResendCount, ResponseBody,
    SpanId, TraceContext, TraceId, phase,
};
use bartizan_correlation_id::{ClientSpanLayer, ConfigError, LogicalCallLayer, PropagateLayer};
use bartizan_testkit::contract;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use support::told::{Fields, Told};
use tower::{Layer, Service, ServiceExt, retry::RetryLayer, service_fn};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;

fn layer() -> ClientSpanLayer {
    ClientSpanLayer::new(Level::INFO)
}

fn of_calls() -> ClientSpanLayer<phase::client::RpcSpan> {
    layer().of_calls()
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

fn grpc(path: &str) -> Request<()> {
    Request::post(format!("https://stock.internal{path}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(())
        .unwrap()
}

/// A gRPC answer: data, and the status in the trailers.
fn answer_grpc(status: &'static str) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let frames = [Frame::data(Bytes::from("data")), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok)));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

fn ok(_: &Request<()>) -> Response<Full<Bytes>> {
    Response::new(Full::from("ok"))
}

/// The span of one request through `layer`, answered by `answer` and read to its end.
fn span_through<P, B>(
    layer: &ClientSpanLayer<P>,
    request: Request<()>,
    answer: impl Fn(&Request<()>) -> Response<B> + Clone,
) -> Fields
where
    P: phase::client::Measured,
    B: Body,
{
    let (told, ()) = Told::during(async {
        let inner = service_fn(|request: Request<()>| {
            let response = answer(&request);
            async { Ok::<_, Infallible>(response) }
        });
        let response = layer.layer(inner).oneshot(request).await.unwrap();
        let _ = response.into_body().collect().await.map(|_| ());
    });
    told.span()
}

fn span_of<B: Body>(request: Request<()>, answer: impl Fn(&Request<()>) -> Response<B> + Clone) -> Fields {
    span_through(&layer(), request, answer)
}

fn span_of_call<B: Body>(
    request: Request<()>,
    answer: impl Fn(&Request<()>) -> Response<B> + Clone,
) -> Fields {
    span_through(&of_calls(), request, answer)
}

/// The place of a request that is being served.
fn place() -> TraceContext {
    TraceContext::new(
        TraceId::new([0xab; 16]).unwrap(),
        SpanId::new([0xcd; 8]).unwrap(),
        TraceContext::SAMPLED,
    )
    .with_state(HeaderValue::from_static("a=1,b=2"))
}

fn serving() -> RequestContext {
    let context = RequestContext::of(&mut Request::new(()));
    context.set_request_id(RequestId::new("r-1").unwrap());
    context.set_correlation_id(CorrelationId::new("w-1").unwrap());
    context.set_trace(place());
    context
}

/// A client that remembers the headers of what was sent, and answers with one status after the other.
#[derive(Clone)]
struct Far {
    sent: Arc<Mutex<Vec<HeaderMap>>>,
    statuses: &'static [u16],
}

impl Far {
    fn new(statuses: &'static [u16]) -> Self {
        Self { sent: Arc::default(), statuses }
    }

    fn sent(&self) -> Vec<HeaderMap> {
        self.sent.lock().unwrap().clone()
    }
}

impl Service<Request<()>> for Far {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let mut sent = self.sent.lock().unwrap();
        let status = self.statuses[sent.len().min(self.statuses.len() - 1)];
        let is_grpc = request.headers().contains_key("content-type");
        sent.push(request.headers().clone());
        let mut response = Response::builder().status(status);
        if is_grpc {
            let code = if status == 200 { "0" } else { "14" };
            response =
                Response::builder().header("content-type", "application/grpc").header("grpc-status", code);
        }
        std::future::ready(Ok(response.body(Full::default()).unwrap()))
    }
}

/// Trace id, parent id and flags of the one `traceparent`.
#[track_caller]
fn parent(headers: &HeaderMap) -> (String, String, String) {
    let lines: Vec<_> = headers.get_all("traceparent").iter().map(|line| line.to_str().unwrap()).collect();
    let [line] = lines[..] else { panic!("one line: {headers:?}") };
    let [_, trace, parent, flags] = line.split('-').collect::<Vec<_>>()[..] else { panic!("{line}") };
    (trace.into(), parent.into(), flags.into())
}

#[test]
fn lay_03_the_layer_keeps_the_contract_of_a_client() {
    contract(layer).check_client();
    contract(of_calls).check_client();
    let _guard = bartizan_testkit::listen(tracing_subscriber::registry().with(Told::default()));
    contract(layer).check_client();
    contract(of_calls).check_client();
}

#[test]
fn obs_04_a_client_span_has_the_attributes_it_must_have() {
    let request = get("https://user:pass@shop.example/orders?card=1&X-Amz-Signature=s3cret");
    let fields = span_of(request, |_| {
        Response::builder().version(Version::HTTP_2).body(Full::<Bytes>::default()).unwrap()
    });
    fields.expect(&[
        ("otel.name", Some("GET")),
        ("otel.kind", Some("client")),
        ("http.request.method", Some("GET")),
        ("http.request.method_original", None),
        ("http.request.resend_count", None),
        ("http.response.status_code", Some("200")),
        ("url.full", Some("https://REDACTED:REDACTED@shop.example/orders?card=1&X-Amz-Signature=REDACTED")),
        ("server.address", Some("shop.example")),
        ("server.port", Some("443")),
        ("network.protocol.version", Some("2")),
        ("rpc.system.name", None),
        ("error.type", None),
        ("otel.status_code", None),
    ]);
    let text = format!("{fields:?}");
    assert!(!text.contains("s3cret") && !text.contains("pass"), "{text}");

    span_of(get("http://shop.example:8080/"), ok).expect(&[("server.port", Some("8080"))]);
    span_of(get("http://shop.example/"), ok).expect(&[("server.port", Some("80"))]);
    let host = Request::get("/a?b=c").header("host", "shop.example:81").body(()).unwrap();
    span_of(host, ok).expect(&[
        ("url.full", Some("/a?b=c")),
        ("server.address", Some("shop.example")),
        ("server.port", Some("81")),
    ]);
    let brew = Request::builder().method("BREW").uri("http://a/").body(()).unwrap();
    span_of(brew, ok).expect(&[
        ("otel.name", Some("HTTP")),
        ("http.request.method", Some("_OTHER")),
        ("http.request.method_original", Some("BREW")),
    ]);
}

#[test]
fn obs_04_redaction_comes_before_the_cut() {
    let long = format!("http://a/?x={}&sig=s3cret", "x".repeat(4000));
    let fields = span_of(get(&long), ok);
    assert_eq!(fields.get("url.full").unwrap().len(), 2048);
    let just = format!("http://a/?x={}&sig=s3cret", "x".repeat(2048 - 20));
    assert!(!span_of(get(&just), ok).get("url.full").unwrap().contains("s3c"));
    let named = layer().with_redacted_parameters(["code"]);
    span_through(&named, get("http://a/?code=1&b=2"), ok)
        .expect(&[("url.full", Some("http://a/?code=REDACTED&b=2"))]);
}

#[test]
fn obs_04_each_attempt_of_an_http_request_is_a_span_and_sends_its_own_id() {
    #[derive(Clone)]
    struct Again;
    impl<B> tower::retry::Policy<Request<()>, Response<B>, Infallible> for Again {
        type Future = std::future::Ready<()>;
        fn retry(
            &mut self,
            request: &mut Request<()>,
            result: &mut Result<Response<B>, Infallible>,
        ) -> Option<Self::Future> {
            ResendCount::add(request.extensions_mut(), 1);
            result.as_ref().unwrap().status().is_server_error().then(|| std::future::ready(()))
        }
        fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
            Some(request.clone())
        }
    }
    let far = Far::new(&[503, 503, 200]);
    let (told, ()) = Told::during(async {
        let attempt = layer().layer(PropagateLayer::new().layer(far.clone()));
        let client = LogicalCallLayer::new().layer(RetryLayer::new(Again).layer(attempt));
        let client = of_calls().layer(client);
        let mut request = get("http://stock.internal/");
        request.extensions_mut().insert(serving());
        let response = client.oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    });
    let (spans, sent) = (told.closed(), far.sent());
    assert_eq!((spans.len(), sent.len()), (3, 3));
    let mut ids = std::collections::HashSet::new();
    for (index, ((name, level, span), headers)) in spans.iter().zip(&sent).enumerate() {
        assert_eq!((*name, *level), ("call", Level::INFO));
        let (trace, parent, flags) = parent(headers);
        let count = (index > 0).then(|| index.to_string());
        span.expect(&[
            ("http.request.resend_count", count.as_deref()),
            ("http.response.status_code", Some(if index == 2 { "200" } else { "503" })),
            ("trace_id", Some(&trace)),
            ("span_id", Some(&parent)),
            ("request_id", Some("r-1")),
            ("correlation_id", Some("w-1")),
        ]);
        assert_eq!((trace, flags.as_str()), ("ab".repeat(16), "01"));
        assert_eq!(headers["tracestate"], "a=1,b=2", "TRC-04: of the same trace");
        assert!(ids.insert(parent));
    }
}

#[test]
fn obs_05_a_grpc_call_is_one_span_over_all_its_attempts() {
    for logical_outside in [true, false] {
        let far = Far::new(&[503, 200]);
        let (told, ()) = Told::during(async {
            let attempt = layer().layer(PropagateLayer::new().layer(far.clone()));
            let twice = service_fn(move |request: Request<()>| {
                let attempt = attempt.clone();
                async move {
                    let _ = attempt.clone().oneshot(request.clone()).await?;
                    attempt.oneshot(request).await
                }
            });
            let (span, logical) = (of_calls(), LogicalCallLayer::new());
            let response = match logical_outside {
                true => logical.layer(span.layer(twice)).oneshot(grpc("/pkg.Orders/Get")).await,
                false => span.layer(logical.layer(twice)).oneshot(grpc("/pkg.Orders/Get")).await,
            };
            response.unwrap().into_body().collect().await.unwrap();
        });
        let (span, sent) = (told.span(), far.sent());
        let [first, second] = &sent[..] else { panic!("two attempts") };
        let (trace, id, _) = parent(first);
        assert_eq!(parent(first), parent(second));
        assert_eq!(first["x-request-id"], second["x-request-id"]);
        span.expect(&[
            ("otel.name", Some("pkg.Orders/Get")),
            ("otel.kind", Some("client")),
            ("rpc.system.name", Some("grpc")),
            ("rpc.method", Some("pkg.Orders/Get")),
            ("rpc.status_code", Some("OK")),
            ("server.address", Some("stock.internal")),
            ("server.port", Some("443")),
            ("trace_id", Some(&trace)),
            ("span_id", Some(&id)),
            ("url.full", None),
            ("http.request.method", None),
            ("http.response.status_code", None),
            ("error.type", None),
        ]);
    }
}

#[test]
fn obs_05_what_is_no_method_is_no_name() {
    span_of_call(grpc("/not-a-method"), |_| answer_grpc("12")).expect(&[
        ("otel.name", Some("grpc")),
        ("rpc.method", Some("_OTHER")),
        ("rpc.method_original", Some("/not-a-method")),
        ("rpc.status_code", Some("UNIMPLEMENTED")),
    ]);
}

#[test]
fn obs_03_to_a_client_4xx_and_5xx_are_errors() {
    for (status, error) in [(200, false), (302, false), (404, true), (429, true), (500, true), (503, true)] {
        let text = status.to_string();
        let answer =
            move |_: &Request<()>| Response::builder().status(status).body(Full::<Bytes>::default()).unwrap();
        span_of(get("http://a/"), answer).expect(&[
            ("http.response.status_code", Some(&text)),
            ("otel.status_code", error.then_some("ERROR")),
            ("error.type", error.then_some(text.as_str())),
        ]);
    }
}

#[test]
fn obs_06_to_a_client_every_grpc_code_but_ok_is_an_error() {
    for (code, error) in [
        ("0", None),
        ("1", Some("CANCELLED")),
        ("5", Some("NOT_FOUND")),
        ("8", Some("RESOURCE_EXHAUSTED")),
        ("14", Some("UNAVAILABLE")),
        ("16", Some("UNAUTHENTICATED")),
    ] {
        span_of_call(grpc("/pkg.Orders/Get"), |_| answer_grpc(code))
            .expect(&[("otel.status_code", error.map(|_| "ERROR")), ("error.type", error)]);
    }
    // A proxy's answer stands for a code (GRPC-08), and a stream without a status is unknown.
    let proxy = |_: &Request<()>| Response::builder().status(503).body(Full::<Bytes>::default()).unwrap();
    span_of_call(grpc("/pkg.Orders/Get"), proxy)
        .expect(&[("rpc.status_code", Some("UNAVAILABLE")), ("error.type", Some("UNAVAILABLE"))]);
}

#[test]
fn obs_03_what_is_refused_on_this_side_is_an_error_without_a_status_of_the_upstreams() {
    let refuse = |request: &Request<()>| {
        Rejection::new(Reason::DeadlineExceeded).answer::<_, ResponseBody<Full<Bytes>>>(request)
    };
    span_of(get("http://a/"), refuse).expect(&[
        ("http.response.status_code", None),
        ("network.protocol.version", None),
        ("otel.status_code", Some("ERROR")),
        ("error.type", Some("deadline_exceeded")),
    ]);
}

#[test]
fn obs_05_a_call_without_a_grpc_status_tells_none_of_http() {
    span_of_call(grpc("/pkg.Orders/Get"), |_| {
        let frames = [Ok(Frame::data(Bytes::from("half"))), Err("broken")];
        let body = StreamBody::new(stream::iter(frames));
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .expect(&[
        ("http.response.status_code", None),
        ("rpc.status_code", None),
        ("error.type", Some("body_error")),
    ]);
}

#[test]
fn obs_05_the_method_is_the_call_s_and_no_template_of_a_router() {
    let mut request = grpc("/pkg.Orders/Get");
    request.extensions_mut().insert(MatchedRoute::template("/gateway/{*rest}"));
    span_of_call(request, |_| answer_grpc("0"))
        .expect(&[("otel.name", Some("pkg.Orders/Get")), ("rpc.method", Some("pkg.Orders/Get"))]);
}

#[test]
fn obs_08_the_query_may_be_left_out_of_the_span() {
    let fields = span_through(&layer().with_query(false), get("http://a/b?c=d"), ok);
    fields.expect(&[("url.full", Some("http://a/b"))]);
}

#[test]
fn trc_03_the_random_flag_stays_whatever_the_hook_returns_for_the_trace() {
    for flags in [0x00, TraceContext::RANDOM, TraceContext::RANDOM | TraceContext::SAMPLED] {
        let far = Far::new(&[200]);
        let spans = layer().with_setup(|_, place| {
            // As OpenTelemetry's SDK does with what it does not sample.
            Some(TraceContext::new(place.trace_id(), SpanId::new([2; 8]).unwrap(), 0))
        });
        let _ = Told::during(async {
            let context = RequestContext::of(&mut Request::new(()));
            context.set_trace(TraceContext::new(place().trace_id(), place().span_id(), flags));
            let mut request = get("http://a/");
            request.extensions_mut().insert(context);
            spans.layer(PropagateLayer::new().layer(far.clone())).oneshot(request).await.unwrap();
        });
        let expected = format!("{:02x}", flags & TraceContext::RANDOM);
        assert_eq!(parent(&far.sent()[0]), ("ab".repeat(16), "02".repeat(8), expected));
    }
}

#[test]
fn obs_03_what_breaks_is_an_error_and_what_the_caller_gives_up_is_none() {
    span_of(get("http://a/"), |_| {
        let frames = [Ok(Frame::data(Bytes::from("half"))), Err("broken")];
        Response::new(StreamBody::new(stream::iter(frames)))
    })
    .expect(&[("http.response.status_code", Some("200")), ("error.type", Some("body_error"))]);

    let (told, ()) = Told::during(async {
        let inner = service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>("refused"));
        assert_eq!(layer().layer(inner).oneshot(get("http://a/")).await.unwrap_err(), "refused");
    });
    told.span().expect(&[("otel.status_code", Some("ERROR")), ("error.type", Some("service_error"))]);

    let (told, ()) = Told::during(async {
        let inner = service_fn(async |_: Request<()>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
        });
        let mut call = Box::pin(layer().layer(inner).oneshot(get("http://a/")));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    told.span().expect(&[("otel.status_code", None), ("error.type", None)]);

    for (status, error) in [(200, None), (404, Some("404"))] {
        let (told, ()) = Told::during(async {
            let inner = service_fn(async |_: Request<()>| {
                let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            });
            drop(layer().layer(inner).oneshot(get("http://a/")).await.unwrap());
        });
        told.span().expect(&[("error.type", error), ("otel.status_code", error.map(|_| "ERROR"))]);
    }
}

#[test]
fn obs_03_a_panic_is_an_error_wherever_it_happens() {
    for in_call in [true, false] {
        let (told, ()) = Told::during(async {
            let inner = service_fn(move |_: Request<()>| {
                assert!(!in_call, "on purpose, in the call");
                async move { panic!("on purpose, in the future") as Result<Response<Full<Bytes>>, Infallible> }
            });
            let mut client = layer().layer(inner);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let mut future = Box::pin(Service::call(&mut client, get("http://a/")));
                let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }));
            assert!(outcome.is_err());
        });
        told.span().expect(&[("otel.status_code", Some("ERROR")), ("error.type", Some("panic"))]);
    }
}

#[test]
fn trc_04_what_the_hook_returns_is_sent_and_told() {
    let own = TraceContext::new(TraceId::new([1; 16]).unwrap(), SpanId::new([2; 8]).unwrap(), 0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let spans = layer().with_setup(move |span, place| {
        assert!(span.has_field("url.full"));
        noted.lock().unwrap().push(place.clone());
        Some(own.clone())
    });
    let far = Far::new(&[200]);
    let (told, ()) = Told::during(async {
        let client = spans.layer(PropagateLayer::new().layer(far.clone()));
        let mut request = get("http://a/");
        request.extensions_mut().insert(serving());
        client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    });
    assert_eq!(parent(&far.sent()[0]), ("01".repeat(16), "02".repeat(8), "00".into()));
    assert!(!far.sent()[0].contains_key("tracestate"), "it is another trace");
    told.span().expect(&[("trace_id", Some(&"01".repeat(16))), ("span_id", Some(&"02".repeat(8)))]);
    let seen = seen.lock().unwrap();
    let [offered] = &seen[..] else { panic!("once") };
    assert_eq!((offered.trace_id(), offered.parent_id()), (place().trace_id(), Some(place().span_id())));
    assert_ne!(offered.span_id(), place().span_id());
}

#[test]
fn what_the_caller_set_by_hand_is_sent_all_the_same() {
    let far = Far::new(&[200]);
    let line = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (_, ()) = Told::during(async {
        let client = layer().layer(PropagateLayer::new().layer(far.clone()));
        let request = Request::get("http://a/").header("traceparent", line).body(()).unwrap();
        client.oneshot(request).await.unwrap();
    });
    assert_eq!(far.sent()[0]["traceparent"], line);
}

#[test]
fn trc_07_a_trace_that_begins_with_the_call_is_sampled_by_the_share() {
    for (share, flags) in [(0.0, "02"), (1.0, "03")] {
        let far = Far::new(&[200]);
        let _ = Told::during(async {
            let spans = layer().with_sampled_share(share).unwrap();
            spans.layer(PropagateLayer::new().layer(far.clone())).oneshot(get("http://a/")).await.unwrap();
        });
        assert_eq!(parent(&far.sent()[0]).2, flags);
    }
    assert_eq!(layer().with_sampled_share(1.1).unwrap_err(), ConfigError::SampledShare);
}

#[test]
fn without_a_listener_there_is_no_span_and_an_id_all_the_same() {
    let far = Far::new(&[200]);
    let told = Told::default();
    let filter = tracing_subscriber::filter::LevelFilter::WARN;
    let _guard = bartizan_testkit::listen(tracing_subscriber::registry().with(told.clone()).with(filter));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let client = layer().layer(PropagateLayer::new().layer(far.clone()));
    runtime.block_on(client.oneshot(get("http://a/"))).unwrap();
    assert!(!told.is_closed());
    assert_eq!(parent(&far.sent()[0]).1.len(), 16);
}

#[test]
fn cid_04_what_is_told_while_a_request_is_sent_is_within_its_span() {
    let (told, ()) = Told::during(async {
        let inner = service_fn(|_: Request<()>| {
            tracing::info!("the call runs");
            async {
                tokio::task::yield_now().await;
                tracing::info!("the future runs");
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        let mut request = get("http://a/");
        request.extensions_mut().insert(serving());
        let response = layer().layer(inner).oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        tracing::info!("outside");
    });
    let events = told.events();
    assert_eq!(events.len(), 3);
    for (message, span) in &events[..2] {
        span.as_ref().unwrap_or_else(|| panic!("{message}")).expect(&[("request_id", Some("r-1"))]);
    }
    assert!(events[2].1.is_none());
}

#[test]
fn debug_shows_the_settings_and_no_hook() {
    let spans = layer().with_redacted_parameters(["code"]).with_setup(|_, _| None);
    let text = format!("{spans:?}");
    assert!(text.contains("level") && text.contains("code"), "{text}");
}
