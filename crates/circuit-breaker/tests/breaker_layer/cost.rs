//! A call that passes a closed breaker allocates nothing.

use std::{
    convert::Infallible,
    future::ready,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, Single};
use http::{Request, Response};
use http_body::Body;
use http_body_util::Empty;
use tower::{Layer, Service, service_fn};

use super::HOST;

type NoBody = Empty<bytes::Bytes>;

/// What a call allocates, from readiness to the end of the body.
fn allocated<S, B>(mut service: S) -> u64
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut call = |request| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let future = pin!(service.call(request));
        let Poll::Ready(Ok(response)) = future.poll(&mut context) else { panic!("it answers at once") };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
    };
    let request = || Request::get(HOST).body(NoBody::new()).unwrap();
    // The first makes the breaker, and what the thread keeps.
    call(request());
    let next = request();
    measure(|| call(next)).count_total
}

#[test]
fn a_closed_breaker_allocates_nothing() {
    let bare = || service_fn(|_: Request<NoBody>| ready(Ok::<_, Infallible>(Response::new(NoBody::new()))));
    let layer = || CircuitBreakerLayer::new(BreakerPolicy::new());
    assert_eq!(allocated(bare()), 0, "what is measured is the layer");
    assert_eq!(allocated(layer().by(Single).layer(bare())), 0);
    assert_eq!(allocated(layer().layer(bare())), 0, "nor does finding the breaker of a host");
    let presets = [BreakerPolicy::resilience4j(), BreakerPolicy::opossum(), BreakerPolicy::envoy()];
    for policy in presets {
        assert!(
            allocated(CircuitBreakerLayer::new(policy).layer(bare())) <= 1,
            "the ring of a count window grows"
        );
    }
}
