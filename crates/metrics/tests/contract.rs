//! The contract that every layer keeps.

mod support;

use support::Recorded;

#[test]
fn metrics_keep_the_contract() {
    let recorded = Recorded::new();
    let active = recorded.clone();
    bartizan_testkit::contract(move || recorded.layer()).held(move |_| active.active() as usize).check();
}
