//! Panics and foreign errors made refusals, on an answer that is neither.

use bartizan::NormalizeLayer;
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Prepared, Scenario};

const NORMALIZED: &str = "panics and foreign errors normalized, none there";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(NORMALIZED, None, ours),
        Scenario::peer(NORMALIZED, "tower-http `CatchPanicLayer` (panics alone)", catch_panic),
    ]
}

fn ours(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| NormalizeLayer::new().layer(bare))
}

fn catch_panic(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| CatchPanicLayer::new().layer(bare))
}
