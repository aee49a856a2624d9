//! What a place in a trace costs in allocations. The counter needs a test program of its own.

use std::{convert::Infallible, future::ready, hint::black_box};

use bartizan_core::RequestContext;
use bartizan_correlation_id::TraceContextLayer;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};

const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

/// How often memory is asked for while a request with these headers, and a context, comes in.
fn allocations(headers: &[(&'static str, &'static str)]) -> u64 {
    let inner =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let mut service = TraceContextLayer::new().layer(inner);
    let request = || {
        let mut request = Request::new(());
        RequestContext::of(&mut request);
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        request
    };
    // Once before: the source of random bits of this thread is made on first use.
    drop(service.call(request()));
    let request = request();
    allocation_counter::measure(|| drop(black_box(service.call(request)))).count_total
}

#[test]
fn a_trace_goes_on_and_begins_without_an_allocation() {
    assert_eq!(allocations(&[]), 0);
    assert_eq!(allocations(&[("traceparent", PARENT)]), 0);
    let all = [("traceparent", PARENT), ("tracestate", "foo=1,bar=2"), ("baggage", "tenant=acme;p=1")];
    assert_eq!(allocations(&all), 0);
}

#[test]
fn only_what_must_be_joined_is_copied() {
    let lines = [("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", "bar=2")];
    assert_eq!(allocations(&lines), 1);
}
