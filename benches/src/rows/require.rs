//! A scope required on a route, of a caller who has it.

use bartizan::{Principal, RequestContext, auth::RequireLayer};
use http::{Request, StatusCode};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Prepared, Scenario};

pub(super) fn rows() -> Vec<Scenario> {
    vec![Scenario::ours("required scope, granted", None, ours)]
}

fn ours(arm: Arm) -> Prepared {
    let principal = Principal::service("billing").scopes(["orders:read", "orders:write"]).build();
    let request = move || -> Request<Body> {
        let mut request = request::plain();
        RequestContext::of(&mut request).set_principal(principal.clone());
        request
    };
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| RequireLayer::scope("orders:read").layer(bare))
}
