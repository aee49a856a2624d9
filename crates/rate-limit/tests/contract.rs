//! What every layer keeps.

use bartizan_core::{ClientAddr, Principal, Reason, RequestContext};
use bartizan_rate_limit::{
    Charge, ConcurrencyLimitLayer, Global, HeaderFields, MissingKey, PerClientAddr, PerMethod, PerPrincipal,
    Rate, RateLimitLayer,
};
use http::Request;

fn from_client(request: &mut Request<()>) {
    let addr = ClientAddr::new("192.0.2.7".parse().unwrap());
    RequestContext::of(request).set_client_addr(addr);
}

fn by_billing(request: &mut Request<()>) {
    RequestContext::of(request).set_principal(Principal::service("billing").build());
}

/// Few at once, and the next in an hour: real time does not matter.
fn few() -> Rate {
    Rate::new(1, std::time::Duration::from_secs(3_600)).unwrap().burst(3).unwrap()
}

fn many() -> Rate {
    Rate::per_second(100_000).unwrap()
}

#[test]
fn a_limit_by_address_keeps_the_contract() {
    bartizan_testkit::contract(|| {
        RateLimitLayer::new(many()).by(PerClientAddr).with_missing_key(MissingKey::Refuse)
    })
    .accept(from_client)
    .refuse(Reason::PermissionDenied, |_| {})
    .refuse_after(3, Reason::RateLimited, || RateLimitLayer::new(few()).by(PerClientAddr))
    .check();
}

#[test]
fn a_limit_by_principal_keeps_the_contract() {
    bartizan_testkit::contract(|| RateLimitLayer::new(many()).by(PerPrincipal))
        .accept(by_billing)
        .refuse_after(3, Reason::RateLimited, || RateLimitLayer::new(few()).by(PerPrincipal))
        .check();
}

#[test]
fn a_global_limit_keeps_the_contract_without_any_other_layer() {
    bartizan_testkit::contract(|| RateLimitLayer::new(many()).by(Global))
        .refuse_after(3, Reason::RateLimited, || RateLimitLayer::new(few()).by(Global))
        .check();
}

#[test]
fn several_limits_that_charge_and_tell_keep_the_contract() {
    let layer = |rate| {
        RateLimitLayer::new(rate)
            .by(PerPrincipal)
            .and(many())
            .by(PerMethod)
            .with_charge(|_| Charge::Refund(1))
            .with_headers(HeaderFields::new())
            .with_extension()
    };
    bartizan_testkit::contract(move || layer(many()))
        .accept(by_billing)
        .refuse_after(3, Reason::RateLimited, move || layer(few()))
        .check();
}

#[test]
fn lay_01_a_concurrency_limit_keeps_the_contract_and_releases() {
    bartizan_testkit::contract(|| {
        ConcurrencyLimitLayer::new(1_000).unwrap().by(PerPrincipal).with_missing_key(MissingKey::Refuse)
    })
    .accept(by_billing)
    .refuse(Reason::PermissionDenied, |_| {})
    .held(ConcurrencyLimitLayer::in_flight)
    .check();
}

#[cfg(feature = "redis")]
#[test]
fn a_limit_in_redis_keeps_the_contract_while_redis_is_away() {
    use bartizan_rate_limit::{FailureMode, RedisStore};

    // Nothing listens there. That is known while this runtime looks for it, and memory decides at once.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let away = RedisStore::single("redis://127.0.0.1:1").unwrap();
    let looking = away.clone();
    assert!(runtime.block_on(runtime.spawn(async move { looking.connect().await })).unwrap().is_err());
    let limited = move |rate| {
        RateLimitLayer::new(rate)
            .by(PerPrincipal)
            .with_missing_key(MissingKey::Refuse)
            .in_redis(&away)
            .unwrap()
            .with_failure_mode(FailureMode::Local)
    };
    let few = {
        let limited = limited.clone();
        move || limited(few())
    };
    bartizan_testkit::contract(move || limited(many()))
        .accept(by_billing)
        .refuse(Reason::PermissionDenied, |_| {})
        .refuse_after(3, Reason::RateLimited, few)
        .check();
}
