//! What a request costs in memory that is answered in its time.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::measure;
use bartizan_core::RequestContext;
use bartizan_deadline::{OutboundTimeoutLayer, RequestBodyTimeoutLayer, TimeoutLayer};
use bartizan_testkit::TestBody;
use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service, service_fn};

/// The allocations of a call, to the end of the body of its response, by a service that is ready at once.
fn allocations<S, Q, B>(mut service: S, request: Request<Q>) -> u64
where
    S: Service<Request<Q>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    let counted = measure(|| {
        let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(cx) else { panic!("it is ready") };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(cx) {
            assert!(frame.is_ok());
        }
    });
    counted.count_total
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::get("/").header("x-request-deadline", "700").body(body).unwrap();
    // Made by a layer further out, for all.
    RequestContext::of(&mut request);
    request
}

fn bare<B: Send + 'static>() -> impl Service<Request<B>, Response = Response<String>, Error = Infallible> {
    service_fn(|_: Request<B>| std::future::ready(Ok(Response::new(String::new()))))
}

#[test]
fn what_is_answered_at_once_costs_no_memory() {
    let limit = Duration::from_secs(10);
    let inbound = TimeoutLayer::new(limit).unwrap();
    assert_eq!(allocations(inbound.layer(bare()), request(String::new())), 0);
    let attempt = OutboundTimeoutLayer::per_attempt(limit).unwrap();
    assert_eq!(allocations(attempt.layer(bare()), request(String::new())), 0);
    let pace = RequestBodyTimeoutLayer::new();
    assert_eq!(allocations(pace.layer(bare()), request(String::new())), 0, "there is no body");
    let (_sender, body) = TestBody::channel();
    assert_eq!(allocations(pace.layer(bare()), request(body)), 1);
}
