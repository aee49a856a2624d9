//! The request's context: what the first layer of every stack pays for all others.

use std::task::{Context, Poll};

use bartizan::RequestContext;
use http::{Request, StatusCode};
use tower_service::Service;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const LAYER: &str = "`RequestContext` created and inserted";

pub(super) fn rows() -> Vec<Scenario> {
    vec![Scenario::ours(LAYER, Some(Budget::new(900, 4)), created)]
}

fn created(arm: Arm) -> Prepared {
    arm.prepare(request::plain, StatusCode::OK, |inner: Bare<Body>| Create { inner })
}

/// The least a layer can do with a context: see to it that there is one.
#[derive(Clone, Debug)]
struct Create<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Create<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        RequestContext::of(&mut request);
        self.inner.call(request)
    }
}
