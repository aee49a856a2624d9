//! What propagation costs in allocations. The counter needs a test program of its own.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
};

use bartizan_core::{CorrelationId, RequestContext, RequestId, SpanId, TraceContext, TraceId};
use bartizan_correlation_id::PropagateLayer;
use http::{HeaderMap, HeaderValue, Request};
use tower::{Layer, Service, service_fn};

/// How often memory is asked for while `request` goes out.
fn allocations(layer: &PropagateLayer, request: Request<()>) -> u64 {
    let far =
        service_fn(|request: Request<()>| -> Ready<Result<Request<()>, Infallible>> { ready(Ok(request)) });
    let mut service = layer.layer(far);
    // Once before: the source of random bits of this thread is made on first use.
    drop(service.call(request.clone()));
    let mut sent = None;
    let request = with_room(request);
    let counted = allocation_counter::measure(|| sent = Some(black_box(service.call(request))));
    let sent = sent.unwrap().into_inner().unwrap();
    assert!(sent.headers().contains_key("traceparent") && sent.headers().contains_key("x-correlation-id"));
    counted.count_total
}

/// A map grows for whoever comes first.
fn with_room(mut request: Request<()>) -> Request<()> {
    *request.headers_mut() = HeaderMap::with_capacity(16);
    request
}

#[test]
fn a_call_of_a_request_allocates_its_traceparent_alone() {
    let context = RequestContext::of(&mut Request::new(()));
    context.set_request_id(RequestId::new("r-1").unwrap());
    context.set_correlation_id(CorrelationId::new("w-1").unwrap());
    let (trace, span) = (TraceId::new([1; 16]).unwrap(), SpanId::new([2; 8]).unwrap());
    context.set_trace(TraceContext::new(trace, span, 1).with_state(HeaderValue::from_static("a=1")));
    let request = Request::builder().extension(context).body(()).unwrap();
    assert_eq!(allocations(&PropagateLayer::new(), request), 1);
}

#[test]
fn a_call_outside_of_any_request_finds_room_for_its_id_beside_others() {
    assert_eq!(allocations(&PropagateLayer::new(), Request::new(())), 1);
}
