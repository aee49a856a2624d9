//! Request ids: generated, and taken from the request.

use bartizan::correlation_id::CorrelationIdLayer;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const GENERATED: &str = "request id generated, on request and response";
const TAKEN: &str = "request id taken from the request";
const TOWER_HTTP: &str = "tower-http `SetRequestId`, `PropagateRequestId`";

pub(super) fn rows() -> Vec<Scenario> {
    let generated = Budget { instructions: 2000, allocations: 2 };
    let taken = Budget { instructions: 1200, allocations: 1 };
    vec![
        Scenario::ours(GENERATED, Some(generated), |arm| ours(arm, request::with_context)),
        Scenario::peer(GENERATED, TOWER_HTTP, |arm| tower_http(arm, request::with_context)),
        Scenario::ours(TAKEN, Some(taken), |arm| ours(arm, with_id)),
        Scenario::peer(TAKEN, TOWER_HTTP, |arm| tower_http(arm, with_id)),
    ]
}

fn with_id() -> Request<Body> {
    let mut request = request::with_context();
    let id = HeaderValue::from_static("0190d3f4-7c1a-7b52-9c1e-3f6a2b8d4e10");
    request.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    request
}

fn ours(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| CorrelationIdLayer::new().layer(bare))
}

fn tower_http(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    let set = SetRequestIdLayer::x_request_id(MakeRequestUuid);
    let propagate = PropagateRequestIdLayer::x_request_id();
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| set.layer(propagate.layer(bare)))
}
