//! The place of a request in a trace: the caller's trace continued, and one begun.

use bartizan::correlation_id::TraceContextLayer;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Prepared, Scenario};

// Nobody else does this alone: the layers there are open a span of an OpenTelemetry release too.
const CONTINUED: &str = "trace context continued";
const CONTINUED_WITH_STATE: &str = "trace context continued, with tracestate and baggage";
const STARTED: &str = "trace context started";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(CONTINUED, None, |arm| ours(arm, with_parent)),
        Scenario::ours(CONTINUED_WITH_STATE, None, |arm| ours(arm, with_state)),
        Scenario::ours(STARTED, None, |arm| ours(arm, request::with_context)),
    ]
}

fn with_parent() -> Request<Body> {
    let mut request = request::with_context();
    let parent = HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    request.headers_mut().insert(HeaderName::from_static("traceparent"), parent);
    request
}

fn with_state() -> Request<Body> {
    let mut request = with_parent();
    let state = HeaderValue::from_static("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    request.headers_mut().insert(HeaderName::from_static("tracestate"), state);
    let baggage = HeaderValue::from_static("tenant=acme,region=eu-1");
    request.headers_mut().insert(HeaderName::from_static("baggage"), baggage);
    request
}

fn ours(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    let layer = TraceContextLayer::new();
    arm.prepare(request, StatusCode::OK, move |bare: Bare<Body>| layer.layer(bare))
}
