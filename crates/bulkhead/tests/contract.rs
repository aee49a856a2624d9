//! What every layer keeps.

use std::{
    mem,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use bartizan_bulkhead::{
    AdaptiveConcurrencyLayer, BulkheadLayer, Key, KeyFn, Limit, PerAuthority, PerTenant,
};
use bartizan_core::{Principal, Reason, RequestContext, RequestHead};
use bartizan_testkit::{Script, TestBody};
use http::{HeaderValue, Request};
use tower::{Layer, Service};

fn by_acme(request: &mut Request<()>) {
    RequestContext::of(request).set_principal(Principal::service("shop").tenant("acme").build());
}

#[test]
fn lay_01_lay_02_lay_03_a_bulkhead_keeps_the_contract_and_releases() {
    bartizan_testkit::contract(|| BulkheadLayer::new(1_000).unwrap())
        .held(|layer| layer.handle().in_flight())
        .check();
    bartizan_testkit::contract(|| BulkheadLayer::new(1_000).unwrap().by(PerTenant))
        .accept(by_acme)
        .held(|layer| layer.handle().in_flight())
        .check();
}

#[test]
fn lay_01_lay_02_lay_03_an_adaptive_limit_keeps_the_contract_and_releases() {
    bartizan_testkit::contract(|| AdaptiveConcurrencyLayer::between(1_000, 2_000).unwrap())
        .held(|layer| layer.handle().in_flight())
        .check();
}

#[test]
fn lay_01_lay_02_lay_03_a_bulkhead_of_a_client_keeps_the_contract_and_releases() {
    let layer = || BulkheadLayer::new(1_000).unwrap().with_queue(10, Duration::from_secs(1)).unwrap();
    bartizan_testkit::contract(move || layer().by(PerAuthority))
        .held(|layer| layer.handle().in_flight())
        .check_client();
}

/// A bulkhead that the requests of one shard have filled up.
fn full<L: Limit>(
    layer: BulkheadLayer<bartizan_bulkhead::Global, L>,
) -> BulkheadLayer<impl bartizan_bulkhead::BulkheadKey, L> {
    fn shard<'a>(head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.headers().get("x-shard")?.to_str().ok().map(Key::from)
    }
    let layer = layer.by(KeyFn::new(shard));
    let mut service = layer.layer(Script::ready().service());
    for _ in 0..layer.handle().limit() {
        let mut request = Request::new(TestBody::empty());
        to_full_shard(&mut request);
        let mut future = Box::pin(service.call(request));
        assert!(pin!(&mut future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        // Under way for as long as the test runs.
        mem::forget(future);
    }
    layer
}

fn to_full_shard<B>(request: &mut Request<B>) {
    request.headers_mut().insert("x-shard", HeaderValue::from_static("full"));
}

#[test]
fn a_full_bulkhead_refuses_as_the_contract_has_it() {
    bartizan_testkit::contract(|| full(BulkheadLayer::new(2).unwrap()))
        .refuse(Reason::Overloaded, to_full_shard)
        .check();
    bartizan_testkit::contract(|| full(AdaptiveConcurrencyLayer::between(2, 9).unwrap()))
        .refuse(Reason::Overloaded, to_full_shard)
        .check();
}
