//! Circuit breakers: a call that passes a closed one, and one that is refused.

use std::task::{Context, Poll};

use bartizan::circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, Single};
use failsafe::futures::CircuitBreaker as _;
use http::{Request, StatusCode};
use recloser::{AsyncRecloser, Recloser};
use tower_layer::Layer as _;
use tower_service::Service;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const CLOSED: &str = "circuit breaker, closed";
const BY_UPSTREAM: &str = "circuit breaker by upstream, closed";
const OPEN: &str = "circuit breaker, open";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(CLOSED, Some(Budget::new(300, 0).not_met_yet(1_100, 0)), closed),
        Scenario::peer(CLOSED, "tower-resilience, count window", tower_resilience),
        Scenario::peer(CLOSED, "failsafe", failsafe),
        Scenario::peer(CLOSED, "recloser", recloser),
        Scenario::ours(BY_UPSTREAM, None, by_upstream),
        Scenario::ours(OPEN, None, open),
    ]
}

fn closed(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        CircuitBreakerLayer::new(BreakerPolicy::new()).by(Single).layer(bare)
    })
}

fn by_upstream(arm: Arm) -> Prepared {
    let call = || {
        let mut request = request::with_context();
        *request.uri_mut() = "http://api.example.com/v1/orders/17".parse().expect("a URI");
        request
    };
    arm.prepare(call, StatusCode::OK, |bare: Bare<Body>| {
        CircuitBreakerLayer::new(BreakerPolicy::new()).layer(bare)
    })
}

fn open(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::SERVICE_UNAVAILABLE, |bare: Bare<Body>| {
        let layer = CircuitBreakerLayer::new(BreakerPolicy::new()).by(Single);
        layer.handle().breaker("*").force_open();
        layer.layer(bare)
    })
}

fn tower_resilience(arm: Arm) -> Prepared {
    use tower_resilience_circuitbreaker::CircuitBreakerLayer;
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        CircuitBreakerLayer::builder().build().expect("the defaults are good").layer(bare)
    })
}

/// What is no tower layer, made one in the least there is: it sees errors alone, and none of statuses or bodies.
struct Wrapped<S, C, F> {
    inner: S,
    breaker: C,
    call: F,
}

impl<S, C, F, B, W, T, E> Service<Request<B>> for Wrapped<S, C, F>
where
    S: Service<Request<B>>,
    F: Fn(&C, S::Future) -> W,
    W: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = W;

    /// The bare service always is, and their errors are not made of its.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> W {
        (self.call)(&self.breaker, self.inner.call(request))
    }
}

fn failsafe(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |inner: Bare<Body>| {
        let breaker = failsafe::Config::new().build();
        Wrapped { inner, call: move |(): &(), future| breaker.call(future), breaker: () }
    })
}

fn recloser(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |inner: Bare<Body>| {
        let breaker = AsyncRecloser::from(Recloser::custom().build());
        Wrapped { inner, breaker, call: |breaker: &AsyncRecloser, future| breaker.call(future) }
    })
}
