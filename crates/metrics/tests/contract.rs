//! The contract that every layer keeps.

mod support;

use bartizan_metrics::ClientMetricsLayer;
use support::Recorded;

#[test]
fn metrics_keep_the_contract() {
    let recorded = Recorded::new();
    let active = recorded.clone();
    bartizan_testkit::contract(move || recorded.layer()).held(move |_| active.active() as usize).check();
}

#[test]
fn client_metrics_keep_the_contract() {
    let make = || ClientMetricsLayer::new("upstream").expect("a good name");
    bartizan_testkit::contract(make).check_client();
    bartizan_testkit::contract(move || make().of_calls()).check_client();
}
