//! What a request costs in memory that finds a place.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use bartizan_bulkhead::{
    AdaptiveConcurrencyLayer, Bulkhead, BulkheadKey, BulkheadLayer, Limit, PerPrincipal, PerRoute,
};
use bartizan_core::{MatchedRoute, Principal, RequestContext};
use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service, service_fn};

/// The allocations of one call of many, to the end of the body of its response.
fn allocations<K: BulkheadKey, L: Limit>(layer: &BulkheadLayer<K, L>) -> u64 {
    let bare = service_fn(|_: Request<String>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    let mut service: Bulkhead<_, K, L> = layer.layer(bare);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut call = || {
        let mut request = Request::new(String::new());
        request.extensions_mut().insert(MatchedRoute::template("/orders/{id}"));
        let context = RequestContext::of(&mut request);
        context.route_of(&request);
        context.set_principal(Principal::service("shop").build());
        measure(|| {
            assert!(service.poll_ready(cx).is_ready());
            let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(cx) else {
                panic!("it is ready")
            };
            let mut body = pin!(response.into_body());
            while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(cx) {
                assert!(frame.is_ok());
            }
        })
        .count_total
    };
    // The first makes room for its key.
    call();
    call()
}

#[test]
fn who_finds_a_place_costs_no_memory() {
    let layer = || BulkheadLayer::new(10).unwrap();
    assert_eq!(allocations(&layer()), 0);
    assert_eq!(allocations(&layer().by(PerRoute)), 0);
    assert_eq!(allocations(&layer().by(PerPrincipal)), 0);
    assert_eq!(allocations(&AdaptiveConcurrencyLayer::between(10, 20).unwrap()), 0);
}
