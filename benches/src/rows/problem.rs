//! How refusals look, on a request that none is made for.

use bartizan::ProblemLayer;
use http::StatusCode;
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Prepared, Scenario};

pub(super) fn rows() -> Vec<Scenario> {
    vec![Scenario::ours("problem details, nothing refused", None, ours)]
}

fn ours(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| ProblemLayer::new().layer(bare))
}
