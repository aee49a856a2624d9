//! The recommended stack of clients, from outside.
#![cfg(feature = "recommended")]

use std::{
    any::type_name_of_val,
    convert::Infallible,
    future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bartizan::{
    ClientLayer, Clock, Deadline, ManualClock, Recommended, RequestContext, Stack, TimeSource,
    bulkhead::BulkheadLayer,
    circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, State},
    correlation_id::{
        ClientSpanLayer, CorrelationIdLayer, LogicalCallLayer, PropagateLayer, TraceContextLayer,
    },
    deadline::{OutboundTimeoutLayer, TimeoutLayer},
    metrics::ClientMetricsLayer,
    phase,
    retry::RetryLayer,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = Empty<bytes::Bytes>;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn get(path: &str) -> Request<Body> {
    Request::get(format!("http://supplier.internal{path}")).body(Body::new()).unwrap()
}

fn answer(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::new()).unwrap()
}

/// Sends one call and reads the answer to its end.
async fn send<S, B>(client: &S, request: Request<Body>) -> StatusCode
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body,
{
    let (head, body) = client.clone().oneshot(request).await.unwrap().into_parts();
    let _ = body.collect().await.map(drop);
    head.status
}

/// A breaker that opens at the second failure, for five seconds.
fn touchy() -> BreakerPolicy {
    BreakerPolicy::new()
        .with_count_window(2)
        .and_then(|policy| policy.with_minimum_calls(2))
        .and_then(|policy| policy.with_open_time(Duration::from_secs(5)))
        .unwrap()
}

/// tokio's time, which stands still unless everybody waits.
struct Paused;

impl TimeSource for Paused {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// The headers of the calls that a supplier got.
type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// A supplier that serves every call.
fn supplier<B>(
    seen: &Seen,
) -> impl Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + use<B> {
    let seen = Arc::clone(seen);
    service_fn(move |call: Request<B>| {
        seen.lock().unwrap().push(call.headers().clone());
        future::ready(Ok(answer(200)))
    })
}

/// Credentials, which may stand further in.
#[derive(Clone)]
struct Credentials;

impl ClientLayer for Credentials {
    type Phase = phase::client::Credentials;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "credentials"
    }
}

#[test]
fn lay_08_what_stands_inside_knows_what_the_layers_of_the_stack_provide() {
    let stack = Stack::client().recommended("supplier").unwrap();
    let by_hand = Stack::client()
        .push(LogicalCallLayer::new())
        .push(None::<ClientSpanLayer<phase::client::RpcSpan>>)
        .push(ClientMetricsLayer::new("supplier").unwrap().of_calls())
        .push(OutboundTimeoutLayer::total(Duration::from_secs(10)).unwrap())
        .push(RetryLayer::new())
        .push(None::<BulkheadLayer>)
        .push(CircuitBreakerLayer::new(BreakerPolicy::new()))
        .push(None::<ClientSpanLayer>)
        .push(PropagateLayer::new())
        .push(ClientMetricsLayer::new("supplier").unwrap())
        .push(OutboundTimeoutLayer::per_attempt(Duration::from_secs(3)).unwrap());
    // Facts and phase are in the type.
    assert_eq!(type_name_of_val(&stack), type_name_of_val(&by_hand));
    assert_eq!(stack.describe(), by_hand.describe());

    let inside = stack.inside().push(Credentials);
    assert_eq!(inside.describe().to_string(), "1. credentials  credentials\n");
}

#[tokio::test(start_paused = true)]
async fn cid_04_and_trc_04_a_call_made_for_a_request_is_known_as_its_own_by_the_scope() {
    let seen = Seen::default();
    let client = Stack::client().recommended("supplier").unwrap().build().layer(supplier(&seen));
    let served = Stack::server()
        .push(CorrelationIdLayer::new())
        .push(TraceContextLayer::new())
        .push(TimeoutLayer::new(Duration::from_secs(5)).unwrap())
        .build()
        .layer(service_fn(async |_: Request<Body>| {
            // Nothing of the request is handed on.
            assert_eq!(send(&client, get("/quotes")).await, StatusCode::OK);
            let deadline = bartizan::current().and_then(|context| context.deadline());
            assert!(deadline.is_some(), "which bounds the call");
            Ok::<_, Infallible>(answer(204))
        }));
    let request = Request::get("/orders")
        .header("x-request-id", "r-7")
        .header("x-correlation-id", "order-17")
        .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
        .body(Body::new())
        .unwrap();
    assert_eq!(send(&served, request).await, StatusCode::NO_CONTENT);

    let seen = seen.lock().unwrap();
    let [call] = &seen[..] else { panic!("one call: {seen:?}") };
    assert_eq!(call["x-correlation-id"], "order-17");
    assert!(call["traceparent"].to_str().unwrap().contains(TRACE), "{call:?}");
}

#[tokio::test(start_paused = true)]
async fn lay_07_one_clock_is_read_by_every_layer_whichever_is_set_up_first() {
    let settings = |clock: &ManualClock, first: bool| {
        let mut settings = Recommended::new("supplier").unwrap();
        if first {
            settings = settings.with_clock(Clock::from(clock.clone()));
        }
        settings = settings
            .with_total_timeout(Duration::from_secs(8))
            .and_then(|settings| settings.with_attempt_timeout(Duration::from_secs(7)))
            .and_then(|settings| settings.with_bulkhead(4))
            .and_then(|settings| settings.with_retry(|retry| retry.with_max_attempts(2)))
            .unwrap()
            .with_breaker(touchy());
        if first { settings } else { settings.with_clock(Clock::from(clock.clone())) }
    };
    for first in [true, false] {
        let clock = ManualClock::new();
        let prometheus = PrometheusBuilder::new().build_recorder();
        let text = prometheus.handle();
        let settings = settings(&clock, first).with_recorder(prometheus);
        let breakers = settings.breakers();
        let calls = Arc::new(AtomicU32::new(0));
        let supplier = {
            let (clock, calls) = (clock.clone(), Arc::clone(&calls));
            service_fn(move |call: Request<_>| {
                let id = call.headers()["x-request-id"].to_str().unwrap();
                // A UUIDv7 begins with the time: this clock's begins in 2026, to the second.
                assert!(id.starts_with("019b7"), "{id}");
                calls.fetch_add(1, Ordering::Relaxed);
                clock.advance(Duration::from_secs(9));
                future::ready(Ok::<_, Infallible>(answer(503)))
            })
        };
        let client = Stack::client().recommended_with(settings).build().layer(supplier);

        // After nine seconds of this clock the call has no time left for a second attempt.
        assert_eq!(send(&client, get("/")).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let rendered = text.render();
        let took = "http_client_request_duration_seconds_sum";
        let took = rendered.lines().find(|line| line.starts_with(took)).expect("measured");
        assert!(took.ends_with(" 9"), "{took}");

        assert_eq!(send(&client, get("/")).await, StatusCode::SERVICE_UNAVAILABLE);
        let breaker = breakers.get("supplier.internal").expect("it was used");
        assert_eq!(breaker.state(), State::Open);
        clock.advance(Duration::from_secs(4));
        assert_eq!(send(&client, get("/")).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(calls.load(Ordering::Relaxed), 2, "refused");
        clock.advance(Duration::from_secs(1));
        assert_eq!(send(&client, get("/")).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(calls.load(Ordering::Relaxed), 3, "probed");
    }
}

#[tokio::test(start_paused = true)]
async fn obs_09_one_recorder_has_the_metrics_of_every_layer_whichever_is_set_up_first() {
    for first in [true, false] {
        let prometheus = PrometheusBuilder::new().build_recorder();
        let text = prometheus.handle();
        let mut prometheus = Some(prometheus);
        let mut settings = Recommended::new("supplier").unwrap().with_clock(Clock::new(Paused));
        if let Some(prometheus) = prometheus.take_if(|_| first) {
            settings = settings.with_recorder(prometheus);
        }
        settings = settings
            .with_total_timeout(Duration::from_secs(2))
            .and_then(|settings| settings.with_attempt_timeout(Duration::from_secs(1)))
            .and_then(|settings| settings.with_bulkhead(4))
            .unwrap()
            .with_breaker(touchy());
        if let Some(prometheus) = prometheus {
            settings = settings.with_recorder(prometheus);
        }
        let supplier = service_fn(async |_: Request<_>| {
            future::pending::<()>().await;
            Ok::<_, Infallible>(answer(200))
        });
        let client = Stack::client().recommended_with(settings).build().layer(supplier);
        for _ in 0..3 {
            assert!(send(&client, get("/slow")).await.is_server_error());
        }
        // For a request whose time is over.
        let served = RequestContext::of(&mut Request::new(()));
        served.tighten_deadline(Deadline::at(Paused.now()));
        let mut late = get("/late");
        late.extensions_mut().insert(served);
        assert_eq!(send(&client, late).await, StatusCode::GATEWAY_TIMEOUT);
        let grpc = Request::post("http://supplier.internal/a.B/C").header("content-type", "application/grpc");
        send(&client, grpc.body(Body::new()).unwrap()).await;
        let rendered = text.render();
        for metric in [
            "http_client_request_duration_seconds_count",
            "rpc_client_call_duration_seconds_count",
            "bartizan_retry_attempts_total",
            "bartizan_bulkhead_decisions_total",
            "bartizan_circuit_breaker_transitions_total",
            r#"bartizan_deadline_exceeded_total{layer="attempt_timeout",stage="head"} 2"#,
            r#"bartizan_deadline_exceeded_total{layer="outbound_timeout",stage="arrival"} 1"#,
        ] {
            assert!(rendered.contains(metric), "{metric} is missing in\n{rendered}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_bulkhead_is_tuned_as_other_layers_are() {
    let settings = Recommended::new("supplier")
        .and_then(|settings| {
            settings.with_tuned_bulkhead(1, |bulkhead| bulkhead.with_queue(1, Duration::from_secs(1)))
        })
        .unwrap();
    let bulkhead = settings.bulkhead().unwrap();
    let client =
        Stack::client().recommended_with(settings).build().layer(service_fn(async |_: Request<_>| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok::<_, Infallible>(answer(200))
        }));
    let (first, second) = tokio::join!(send(&client, get("/")), async {
        tokio::task::yield_now().await;
        send(&client, get("/")).await
    });
    assert_eq!((first, second), (StatusCode::OK, StatusCode::OK), "the second waited for its place");
    assert_eq!((bulkhead.limit(), bulkhead.in_flight()), (1, 0));

    let refused =
        Recommended::new("supplier").unwrap().with_tuned_bulkhead(1, |bulkhead| bulkhead.with_reserved(1));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the bulkhead of the recommended stack cannot be set up: bulkhead: `reserved` must be less than the limit"
    );
}

/// The ids that are sent with a call of no request, over HTTP or gRPC.
#[cfg(feature = "tracing")]
async fn sent(settings: Recommended, is_grpc: bool) -> HeaderMap {
    let seen = Seen::default();
    let client = Stack::client().recommended_with(settings).build().layer(supplier(&seen));
    let mut call = Request::post("http://supplier.internal/pkg.Orders/Get");
    if is_grpc {
        call = call.header("content-type", "application/grpc");
    }
    let response = client.oneshot(call.body(Body::new()).unwrap()).await.unwrap();
    let _ = response.into_body().collect().await.map(drop);
    let mut seen = seen.lock().unwrap();
    seen.remove(0)
}

#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn obs_04_and_obs_05_the_id_that_is_sent_is_that_of_the_span() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    for is_grpc in [false, true] {
        let offered = Arc::new(Mutex::new(Vec::new()));
        let spans = {
            let offered = Arc::clone(&offered);
            ClientSpanLayer::new(tracing::Level::INFO).with_setup(move |_, place| {
                offered.lock().unwrap().push(place.clone());
                None
            })
        };
        let headers = sent(Recommended::new("supplier").unwrap().with_spans(spans), is_grpc).await;
        let offered = offered.lock().unwrap();
        let [place] = &offered[..] else { panic!("one span: {offered:?}") };
        assert_eq!(headers["traceparent"], place.traceparent(place.span_id()));
        assert_eq!(place.parent_id(), None, "nobody has a span above it");
    }
}

#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn trc_07_the_share_of_the_propagation_counts_with_spans_and_without() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    for (is_grpc, has_spans) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut settings = Recommended::new("supplier").unwrap();
        if has_spans {
            settings = settings.with_spans(ClientSpanLayer::new(tracing::Level::INFO));
        }
        let settings = settings.with_propagation(|propagate| propagate.with_sampled_share(0.0)).unwrap();
        let flags = sent(settings, is_grpc).await["traceparent"].to_str().unwrap()[53..].to_owned();
        assert_eq!(flags, "02", "gRPC {is_grpc}, spans {has_spans}");
    }
}
