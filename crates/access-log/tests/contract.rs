//! The contract that every layer keeps.

use bartizan_access_log::AccessLogLayer;

#[test]
fn the_access_log_keeps_the_contract() {
    bartizan_testkit::contract(|| AccessLogLayer::json(std::io::sink())).check();
}
