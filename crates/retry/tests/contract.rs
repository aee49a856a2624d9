//! What every layer keeps.

use bartizan_retry::{Backoff, Budget, HedgeLayer, InboundRetryLayer, RetryLayer};

#[test]
fn a_retry_keeps_the_contract() {
    bartizan_testkit::contract(|| RetryLayer::new().with_backoff(Backoff::none())).check_client();
}

#[test]
fn a_retry_with_all_that_it_can_keeps_the_contract() {
    let second = std::time::Duration::from_secs(1);
    bartizan_testkit::contract(move || {
        RetryLayer::new()
            .with_budget(Budget::grpc_throttle(10, 0.1).unwrap())
            .with_backoff(Backoff::none())
            .with_idempotency_keys()
            .with_attempt_timeout(60 * second)
            .and_then(|layer| layer.with_total_timeout(180 * second))
            .and_then(|layer| layer.with_attempt_header(http::HeaderName::from_static("x-attempt")))
            .unwrap()
    })
    .check_client();
}

#[test]
fn a_hedge_keeps_the_contract() {
    let second = std::time::Duration::from_secs(1);
    bartizan_testkit::contract(move || HedgeLayer::after(60 * second).unwrap()).check_client();
    bartizan_testkit::contract(move || {
        HedgeLayer::at_percentile(0.95, 60 * second)
            .unwrap()
            .with_budget(Budget::grpc_throttle(10, 0.1).unwrap())
            .with_all_grpc_calls()
    })
    .check_client();
}

#[test]
fn the_note_of_a_retry_keeps_the_contract() {
    let header = http::HeaderName::from_static("x-attempt");
    bartizan_testkit::contract(move || InboundRetryLayer::new(header.clone()).unwrap())
        .accept(|request| {
            request.headers_mut().insert("x-attempt", http::HeaderValue::from_static("1"));
        })
        .check();
}
