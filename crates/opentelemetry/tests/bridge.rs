//! The bridge with the real SDK and tracing-opentelemetry on its far side.

use bartizan_core::{RequestContext, SpanId, TraceContext, TraceId};
use bartizan_correlation_id::{ClientSpanLayer, PropagateLayer, TraceContextLayer};
use bartizan_opentelemetry::{
    opentelemetry::{
        Context,
        trace::{SpanContext, SpanKind, TraceContextExt, Tracer, TracerProvider},
    },
    remote_parent, span_context, trace_context,
};
use http::HeaderValue;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tower::{Layer, ServiceExt};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

fn begun(flags: u8) -> TraceContext {
    TraceContext::new(TraceId::new([7; 16]).unwrap(), SpanId::new([2; 8]).unwrap(), flags)
}

fn continued(flags: u8) -> TraceContext {
    begun(flags).with_parent(SpanId::new([1; 8]).unwrap()).with_state(HeaderValue::from_static("a=1,b=2"))
}

/// What is exported of the spans that `run` makes.
fn exported(run: impl FnOnce(&SdkTracerProvider)) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    run(&provider);
    provider.force_flush().unwrap();
    exporter.get_finished_spans().unwrap()
}

#[test]
fn trc_04_a_span_of_the_sdk_is_a_child_of_the_callers() {
    let spans = exported(|provider| {
        let tracer = provider.tracer("test");
        drop(tracer.start_with_context("GET /orders", &remote_parent(&continued(0x03))));
        drop(tracer.start_with_context("GET /begun", &remote_parent(&begun(0x03))));
        drop(tracer.start_with_context("not sampled", &remote_parent(&continued(0x02))));
    });
    let [child, root] = &spans[..] else { panic!("what is not sampled is not exported: {spans:?}") };
    for (span, parent) in [(child, [1; 8]), (root, [2; 8])] {
        assert_eq!(span.span_context.trace_id().to_bytes(), [7; 16]);
        assert_eq!(span.parent_span_id.to_bytes(), parent);
        assert!(span.parent_span_is_remote);
    }
    assert_eq!(child.span_context.trace_state().header(), "a=1,b=2");
}

#[test]
fn trc_04_a_span_of_tracing_is_a_child_of_the_callers() {
    let spans = exported(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("serve", otel.name = "GET /orders");
            span.set_parent(remote_parent(&continued(0x01))).unwrap();
            span.in_scope(|| drop(tracing::info_span!("query").entered()));
        });
    });
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (serve, query) = (find("GET /orders"), find("query"));
    assert_eq!(serve.span_context.trace_id().to_bytes(), [7; 16]);
    assert_eq!(serve.parent_span_id.to_bytes(), [1; 8]);
    assert_eq!(query.parent_span_id, serve.span_context.span_id());
}

#[test]
fn trc_04_the_way_back_keeps_trace_span_flags_and_state() {
    let spans = exported(|provider| {
        let tracer = provider.tracer("test");
        drop(tracer.start_with_context("GET /orders", &remote_parent(&continued(0x03))));
    });
    let span = &spans[0].span_context;
    let trace = trace_context(span).unwrap();
    assert_eq!(trace.trace_id().to_bytes(), [7; 16]);
    assert_eq!(trace.span_id().to_bytes(), span.span_id().to_bytes());
    assert!(trace.is_sampled());
    assert_eq!(trace.state().unwrap(), "a=1,b=2");

    for flags in 0..=3 {
        let there = span_context(&continued(flags));
        assert!(!there.is_remote() && there.is_valid());
        let back = trace_context(&there).unwrap();
        assert_eq!(back.with_parent(SpanId::new([1; 8]).unwrap()), continued(flags));
    }
}

#[test]
fn what_is_no_span_is_no_place_in_a_trace() {
    assert_eq!(trace_context(&SpanContext::NONE), None);
    assert_eq!(trace_context(Context::new().span().span_context()), None);
}

#[tokio::test(flavor = "current_thread")]
async fn trc_01_and_trc_04_the_span_of_the_layer_belongs_to_the_callers_trace() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
    let _guard = tracing::subscriber::set_default(subscriber);
    let layer = TraceContextLayer::new().with_span(tracing::Level::INFO).with_span_setup(|span, trace| {
        span.set_parent(remote_parent(trace)).expect("not begun yet");
    });
    let service = layer.layer(tower::service_fn(async |request: http::Request<String>| {
        let trace = RequestContext::get(request.extensions()).unwrap().trace().unwrap().trace_id();
        Ok::<_, std::convert::Infallible>(http::Response::new(trace.to_string()))
    }));
    let traceparent = format!("00-{}-{}-01", "ab".repeat(16), "cd".repeat(8));
    let request = http::Request::get("/").header("traceparent", traceparent).body(String::new()).unwrap();
    drop(service.oneshot(request).await.unwrap());
    provider.force_flush().unwrap();
    let [span] = &exporter.get_finished_spans().unwrap()[..] else { panic!("one span") };
    assert_eq!(span.span_context.trace_id().to_string(), "ab".repeat(16));
    assert_eq!(span.parent_span_id.to_string(), "cd".repeat(8));
}

/// What is sent with a call that is made for a request with this `traceparent`, and what is exported of both.
async fn called_for(traceparent: String) -> (String, Vec<SpanData>) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
    let _guard = tracing::subscriber::set_default(subscriber);

    let spans = ClientSpanLayer::new(tracing::Level::INFO)
        .with_setup(|span, _| trace_context(span.context().span().span_context()));
    let client = spans.layer(PropagateLayer::new().layer(tower::service_fn(
        async |request: http::Request<String>| {
            let sent = request.headers()["traceparent"].to_str().unwrap().to_owned();
            Ok::<_, std::convert::Infallible>(http::Response::new(sent))
        },
    )));
    let layer = TraceContextLayer::new().with_span(tracing::Level::INFO).with_span_setup(|span, trace| {
        span.set_parent(remote_parent(trace)).expect("not begun yet");
    });
    let service = layer.layer(tower::service_fn(move |request: http::Request<String>| {
        let mut call = http::Request::get("http://stock.internal/items").body(String::new()).unwrap();
        call.extensions_mut().insert(RequestContext::get(request.extensions()).unwrap().clone());
        client.clone().oneshot(call)
    }));
    let request = http::Request::get("/").header("traceparent", traceparent).body(String::new()).unwrap();
    let body = service.oneshot(request).await.unwrap().into_body();
    let sent = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    provider.force_flush().unwrap();
    (String::from_utf8(sent.to_vec()).unwrap(), exporter.get_finished_spans().unwrap())
}

#[tokio::test(flavor = "current_thread")]
async fn trc_04_and_obs_04_the_service_that_is_called_hangs_its_spans_under_the_one_that_is_exported() {
    let (sent, exported) = called_for(format!("00-{}-{}-01", "ab".repeat(16), "cd".repeat(8))).await;
    let find =
        |kind| exported.iter().find(|span| span.span_kind == kind).unwrap_or_else(|| panic!("{exported:?}"));
    let (server, call) = (find(SpanKind::Server), find(SpanKind::Client));
    assert_eq!(call.parent_span_id, server.span_context.span_id());
    assert_eq!(call.span_context.trace_id().to_string(), "ab".repeat(16));
    assert_eq!(sent, format!("00-{}-{}-01", "ab".repeat(16), call.span_context.span_id()));
    assert_eq!(call.name, "GET");
}

#[tokio::test(flavor = "current_thread")]
async fn trc_03_the_random_flag_goes_on_as_it_came_also_of_what_is_not_sampled() {
    for flags in ["00", "01", "02", "03"] {
        let (sent, _) = called_for(format!("00-{}-{}-{flags}", "ab".repeat(16), "cd".repeat(8))).await;
        assert!(sent.ends_with(flags), "{flags}: {sent}");
    }
}
