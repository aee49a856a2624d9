//! Request ids: generated, and taken from the request.

use bartizan::correlation_id::{CorrelationIdLayer, REQUEST_ID};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const GENERATED: &str = "request id generated, on request and response";
const TAKEN: &str = "request id taken from the request";
/// The default of our layer, which no peer has: the workflow's id beside the request's.
const BOTH_GENERATED: &str = "request and correlation id generated";
const BOTH_TAKEN: &str = "request and correlation id taken";
const TOWER_HTTP: &str = "tower-http `SetRequestId`, `PropagateRequestId`";

pub(super) fn rows() -> Vec<Scenario> {
    let generated = Budget::new(2000, 2);
    let taken = Budget::new(1200, 1);
    vec![
        Scenario::ours(GENERATED, Some(generated), |arm| {
            ours(arm, request::with_context, request_id_alone())
        }),
        Scenario::peer(GENERATED, TOWER_HTTP, |arm| tower_http(arm, request::with_context)),
        Scenario::ours(TAKEN, Some(taken), |arm| ours(arm, with_id, request_id_alone())),
        Scenario::peer(TAKEN, TOWER_HTTP, |arm| tower_http(arm, with_id)),
        Scenario::ours(BOTH_GENERATED, None, |arm| {
            ours(arm, request::with_context, CorrelationIdLayer::new())
        }),
        Scenario::ours(BOTH_TAKEN, None, |arm| ours(arm, with_both_ids, CorrelationIdLayer::new())),
    ]
}

fn with_id() -> Request<Body> {
    let mut request = request::with_context();
    let id = HeaderValue::from_static("0190d3f4-7c1a-7b52-9c1e-3f6a2b8d4e10");
    request.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    request
}

fn with_both_ids() -> Request<Body> {
    let mut request = with_id();
    let id = HeaderValue::from_static("order-4711");
    request.headers_mut().insert(HeaderName::from_static("x-correlation-id"), id);
    request
}

/// One id in one header, as the peers have it.
fn request_id_alone() -> CorrelationIdLayer {
    CorrelationIdLayer::new().with_headers(REQUEST_ID, None).expect("a usual header")
}

fn ours(arm: Arm, request: fn() -> Request<Body>, layer: CorrelationIdLayer) -> Prepared {
    arm.prepare(request, StatusCode::OK, move |bare: Bare<Body>| layer.layer(bare))
}

fn tower_http(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    let set = SetRequestIdLayer::x_request_id(MakeRequestUuid);
    let propagate = PropagateRequestIdLayer::x_request_id();
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| set.layer(propagate.layer(bare)))
}
