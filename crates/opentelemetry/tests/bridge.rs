//! The bridge with the real SDK and tracing-opentelemetry on its far side.

use bartizan_core::{SpanId, TraceContext, TraceId};
use bartizan_opentelemetry::{
    opentelemetry::{
        Context,
        trace::{SpanContext, TraceContextExt, Tracer, TracerProvider},
    },
    remote_parent, span_context, trace_context,
};
use http::HeaderValue;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
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
