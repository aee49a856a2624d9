//! Limits on what is under way: a request that finds a place, and one that is refused.

use std::{
    future::pending,
    mem,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bartizan::bulkhead::{AdaptiveConcurrencyLayer, BulkheadLayer, PerRoute};
use http::{Request, StatusCode};
use tower_layer::Layer;
use tower_resilience_bulkhead::BulkheadLayer as TowerResilience;
use tower_service::Service;

use super::request;
use crate::{Arm, Bare, Body, Prepared, Scenario};

const PLACE: &str = "bulkhead, a place is free";
const KEYED: &str = "bulkhead by route, a place is free";
const ADAPTIVE: &str = "adaptive concurrency, a place is free";
const REFUSED: &str = "bulkhead, refused";

const LIMIT: u32 = 100;

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(PLACE, None, place),
        Scenario::peer(PLACE, "tower `ConcurrencyLimitLayer`", tower),
        Scenario::peer(PLACE, "tower-resilience-bulkhead", tower_resilience),
        Scenario::ours(KEYED, None, keyed),
        Scenario::ours(ADAPTIVE, None, adaptive),
        Scenario::ours(REFUSED, None, refused),
    ]
}

fn layer() -> BulkheadLayer {
    BulkheadLayer::new(LIMIT).expect("it is not zero")
}

fn place(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| layer().layer(bare))
}

fn keyed(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| layer().by(PerRoute).layer(bare))
}

fn adaptive(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        AdaptiveConcurrencyLayer::between(10, LIMIT).expect("the least is less than the most").layer(bare)
    })
}

fn tower(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        tower::limit::ConcurrencyLimitLayer::new(LIMIT as usize).layer(bare)
    })
}

fn tower_resilience(arm: Arm) -> Prepared {
    Prepared::in_runtime(|| {
        arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
            let layer =
                TowerResilience::builder().max_concurrent_calls(LIMIT as usize).reject_when_full().build();
            layer.expect("it is not zero").layer(bare)
        })
    })
}

/// All places are taken by requests that are never answered.
fn refused(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::SERVICE_UNAVAILABLE, |bare: Bare<Body>| {
        let layer = BulkheadLayer::new(1).expect("it is not zero");
        let mut busy = layer.layer(Never);
        let mut held = Box::pin(busy.call(Request::new(Body::default())));
        let polled = pin!(&mut held).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it has the place");
        mem::forget(held);
        layer.layer(bare)
    })
}

/// A service that never answers.
#[derive(Clone, Debug)]
struct Never;

impl<B> Service<Request<B>> for Never {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Pending<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        pending()
    }
}
