//! A sound layer with everything a layer can have: refusals, state, a permit that it holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{
    Face, ObservedBody, Observer, Outcome, Protocol, Reason, Rejection, RequestContext, ResponseBody,
    ResponseFuture, observe,
};
use bartizan_testkit::Held;
use http::{HeaderValue, Request, Response, response::Parts};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

/// Lets in so many requests that have a ticket, and counts those that are inside.
#[derive(Clone, Debug)]
pub(crate) struct GateLayer(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    left: AtomicUsize,
    inside: AtomicUsize,
    for_known_callers: bool,
}

impl GateLayer {
    pub(crate) fn new(left: usize) -> Self {
        let (left, inside) = (AtomicUsize::new(left), AtomicUsize::new(0));
        Self(Arc::new(Gate { left, inside, for_known_callers: false }))
    }

    /// Needs a principal instead of a ticket.
    pub(crate) fn for_known_callers() -> Self {
        let (left, inside) = (AtomicUsize::new(100), AtomicUsize::new(0));
        Self(Arc::new(Gate { left, inside, for_known_callers: true }))
    }
}

impl Held for GateLayer {
    fn held(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }
}

impl Gate {
    fn admits<B>(&self, request: &Request<B>) -> Result<(), Rejection> {
        let admitted = if self.for_known_callers {
            RequestContext::get(request.extensions()).is_some_and(|context| context.principal().is_some())
        } else {
            request.headers().contains_key("ticket")
        };
        if !admitted {
            return Err(Rejection::new(Reason::PermissionDenied).with_layer("gate"));
        }
        let full = |_| Rejection::new(Reason::RateLimited).with_retry_after(Duration::from_secs(1));
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .map(drop)
            .map_err(full)
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = GateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService { inner, gate: Arc::clone(&self.0) }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct GateService<S> {
    inner: S,
    gate: Arc<Gate>,
}

/// A request that is inside, until it is dropped.
#[derive(Debug)]
pub(crate) struct Inside(Arc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Observer for Inside {
    fn wants_head(&self) -> bool {
        true
    }

    fn on_head(&mut self, head: &mut Parts) {
        let left = self.0.left.load(Ordering::SeqCst);
        head.headers.insert("left", HeaderValue::from(left));
    }

    fn on_end(self, _: Outcome) {}
}

impl<S, B, R> Service<Request<B>> for GateService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<ResponseBody<ObservedBody<R, bartizan_core::HeadSeen<Inside>>>>;
    type Error = S::Error;
    type Future = ResponseFuture<bartizan_core::ObservedFuture<S::Future, Inside>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Err(rejection) = self.gate.admits(&request) {
            return ResponseFuture::refuse(rejection, Face::of(&request));
        }
        self.gate.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(Arc::clone(&self.gate));
        let head = request.method() == http::Method::HEAD;
        let protocol = Protocol::of(&request);
        ResponseFuture::forward(observe(self.inner.call(request), protocol, head, inside))
    }
}
