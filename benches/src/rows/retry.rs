//! Outgoing calls whose first attempt succeeds, which most do.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use bartizan::retry::{HedgeLayer, RetryLayer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower::retry::{
    Policy, RetryLayer as TowerRetryLayer,
    budget::{Budget as _, TpsBudget},
};
use tower_layer::Layer as _;
use tower_resilience_retry::RetryLayer as ResilienceLayer;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const NO_BODY: &str = "retry, first attempt succeeds, no body";
const SOME_BODY: &str = "retry, first attempt succeeds, body of 1 KB";
const HEDGE: &str = "hedge, the first copy answers at once, no body";
const TOWER: &str = "tower `Retry` with a budget";
const TOWER_RESILIENCE: &str = "tower-resilience";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(NO_BODY, Some(Budget::new(600, 0).not_met_yet(1_220, 0)), |arm| {
            ours(arm, request::with_context)
        }),
        Scenario::peer(NO_BODY, TOWER, |arm| tower(arm, request::with_context)),
        Scenario::peer(NO_BODY, TOWER_RESILIENCE, |arm| tower_resilience(arm, request::with_context)),
        Scenario::ours(SOME_BODY, None, |arm| ours(arm, with_body)),
        Scenario::peer(SOME_BODY, TOWER, |arm| tower(arm, with_body)),
        Scenario::peer(SOME_BODY, TOWER_RESILIENCE, |arm| tower_resilience(arm, with_body)),
        Scenario::ours(HEDGE, None, hedge),
    ]
}

/// The bare service does not read it: what is measured is to be ready for another attempt.
fn with_body() -> Request<Body> {
    request::with_context().map(|_| Body::new(Bytes::from_static(&[b'x'; 1_024])))
}

fn ours(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| RetryLayer::new().layer(bare))
}

fn hedge(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        HedgeLayer::after(Duration::from_secs(1)).expect("longer than zero").layer(bare)
    })
}

/// Retries server errors, within tower's own budget.
#[derive(Clone)]
struct ServerErrors(Arc<TpsBudget>);

impl Policy<Request<Body>, Response<Body>, Infallible> for ServerErrors {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, Infallible>,
    ) -> Option<Self::Future> {
        if result.as_ref().is_ok_and(|response| !response.status().is_server_error()) {
            self.0.deposit();
            return None;
        }
        self.0.withdraw().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

fn tower(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| {
        TowerRetryLayer::new(ServerErrors(Arc::new(TpsBudget::default()))).layer(bare)
    })
}

fn tower_resilience(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| {
        ResilienceLayer::<Request<Body>, Response<Body>, Infallible>::builder()
            .max_attempts(3)
            .retry_on_response(|response: &Response<Body>| response.status().is_server_error())
            .build()
            .layer(bare)
    })
}
