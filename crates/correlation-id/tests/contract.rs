//! The contract every layer passes.

use bartizan_correlation_id::{CorrelationIdLayer, Trust};
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
