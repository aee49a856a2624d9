//! What a call costs that needs no retry: without a body, nothing of the heap. The counter needs a test program of its
//! own.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bartizan_core::RequestContext;
use bartizan_retry::RetryLayer;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use tower::{Layer, Service};

type Body = Full<Bytes>;

/// Answers at once, as the layer must not make it wait.
#[derive(Clone)]
struct Inner;

impl<B> Service<Request<B>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Body::from("ok"))))
    }
}

fn send<S: Service<Request<Body>, Error = Infallible>>(service: &mut S, request: Request<Body>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    assert!(pin!(service.call(request)).poll(&mut cx).is_ready());
}

fn request(body: Body) -> Request<Body> {
    let mut request = Request::get("https://supplier.example/quotes?of=bolts")
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .header(HeaderName::from_static("x-tenant"), HeaderValue::from_static("blue"))
        .body(body)
        .unwrap();
    RequestContext::of(&mut request);
    request
}

fn allocations(mut service: impl Service<Request<Body>, Error = Infallible>, body: &'static str) -> u64 {
    // The first call leaves its memory to the next.
    (0..3).for_each(|_| send(&mut service, request(Body::from(body))));
    let request = request(Body::from(body));
    allocation_counter::measure(|| send(&mut service, request)).count_total
}

#[test]
fn a_call_without_a_body_allocates_nothing_and_one_with_a_body_its_buffer() {
    let layer = RetryLayer::new();
    assert_eq!(allocations(layer.layer(Inner), ""), allocations(Inner, ""));
    // The body is shared by the attempts: the body itself, and what is kept of it.
    assert_eq!(allocations(layer.layer(Inner), "an order"), allocations(Inner, "an order") + 2);
}
