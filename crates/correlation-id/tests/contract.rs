//! The contract every layer passes.

use bartizan_correlation_id::{CorrelationIdLayer, TraceContextLayer, Trust};
use bartizan_testkit::contract;

#[test]
fn the_layer_keeps_the_contract() {
    contract(CorrelationIdLayer::new).check();
}

#[test]
fn the_layer_keeps_the_contract_at_the_edge() {
    contract(|| CorrelationIdLayer::new().with_trust(Trust::Edge))
        .accept(|request| {
            request.headers_mut().insert("x-request-id", http::HeaderValue::from_static("r-1"));
        })
        .check();
}

#[test]
fn the_trace_layer_keeps_the_contract() {
    contract(TraceContextLayer::new).check();
}

#[test]
fn the_trace_layer_keeps_the_contract_at_the_edge() {
    contract(|| TraceContextLayer::new().with_trust(Trust::Edge))
        .accept(|request| {
            let parent = "00-12345678901234567890123456789012-1234567890123456-01";
            request.headers_mut().insert("traceparent", http::HeaderValue::from_static(parent));
        })
        .check();
}

#[cfg(feature = "tracing")]
#[test]
fn the_trace_layer_keeps_the_contract_with_a_span() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test here sets one");
    contract(|| TraceContextLayer::new().with_span(tracing::Level::INFO)).check();
}
