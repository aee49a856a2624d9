//! Deadlines: a request that is answered at once, in its time.

use std::time::Duration;

use bartizan::deadline::{OutboundTimeoutLayer, TimeoutLayer};
use http::StatusCode;
use tokio::runtime;
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Prepared, Scenario};

const INBOUND: &str = "deadline of a request, answered at once";
const OUTBOUND: &str = "deadline of a call, answered at once";

const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(INBOUND, None, inbound),
        Scenario::peer(INBOUND, "tower-http `TimeoutLayer`, `ResponseBodyTimeoutLayer`", tower_http),
        Scenario::ours(OUTBOUND, None, outbound),
        Scenario::peer(OUTBOUND, "tower `TimeoutLayer`", tower),
    ]
}

fn inbound(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        TimeoutLayer::new(LIMIT).expect("it is not zero").layer(bare)
    })
}

fn outbound(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        OutboundTimeoutLayer::total(LIMIT).expect("it is not zero").layer(bare)
    })
}

fn tower_http(arm: Arm) -> Prepared {
    enter_runtime();
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        use tower_http::timeout::{ResponseBodyTimeoutLayer, TimeoutLayer};
        ResponseBodyTimeoutLayer::new(LIMIT)
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LIMIT).layer(bare))
    })
}

fn tower(arm: Arm) -> Prepared {
    enter_runtime();
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        tower::timeout::TimeoutLayer::new(LIMIT).layer(bare)
    })
}

/// The peers make their timer at each call, which needs a runtime. It stays: this is one thread of a benchmark.
fn enter_runtime() {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    std::mem::forget(Box::leak(Box::new(runtime)).enter());
}
