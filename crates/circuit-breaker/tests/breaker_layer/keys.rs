//! CB-08: which breaker a request belongs to, and how many there may be.

use std::borrow::Cow;

use bartizan_circuit_breaker::{
    BreakerPolicy, Cause, KeyFn, PerRoute, PerTenant, PerUpstream, Single, State,
};
use bartizan_core::{ClientLayer, MatchedRoute, Principal, RequestContext, ServerLayer, phase::Phase};
use bartizan_testkit::TestBody;
use http::Request;
use tower::{Layer, ServiceExt};

use super::{HOST, KEY, SECOND, Upstream, touchy};

#[tokio::test]
async fn cb_08_one_upstream_that_is_down_is_no_other_ones_affair() {
    let (layer, _) = touchy();
    let (down, up) = (Upstream::new(503), Upstream::new(200));
    down.call(&layer, HOST).await;
    assert_eq!(down.call(&layer, "http://SUPPLIER.internal:80/other").await, 503);
    assert_eq!(down.calls(), 1, "one host in any spelling");
    assert_eq!(up.call(&layer, "http://supplier.internal:8080/").await, 200);
    assert_eq!(up.call(&layer, "http://billing.internal/").await, 200);
    let keys: Vec<_> = layer.handle().breakers().iter().map(|breaker| breaker.key().to_owned()).collect();
    assert_eq!(keys, ["billing.internal", KEY, "supplier.internal:8080"]);
}

#[tokio::test]
async fn cb_08_the_number_of_breakers_is_bounded() {
    let layer = touchy().0.with_max_breakers(10).unwrap();
    let upstream = Upstream::new(503);
    for host in 0..10_000 {
        upstream.call(&layer, &format!("http://host-{host}.internal/")).await;
    }
    let breakers = layer.handle().breakers();
    assert_eq!(breakers.len(), 11, "ten, and the shared one");
    assert!(breakers.iter().all(|breaker| breaker.state() == State::Open), "none was forgotten");
    assert_eq!(upstream.calls(), 11);
}

#[tokio::test]
async fn cb_08_a_new_key_takes_the_place_of_an_idle_one() {
    let (layer, time) = touchy();
    let layer = layer.with_max_breakers(2).unwrap();
    let upstream = Upstream::new(503);
    upstream.call(&layer, HOST).await;
    upstream.says(200);
    upstream.call(&layer, "http://idle.internal/").await;
    time.advance(29 * SECOND);
    assert_eq!(upstream.call(&layer, "http://new.internal/").await, 200);
    assert!(layer.handle().get("new.internal").is_none(), "the other two are in use");
    time.advance(30 * SECOND);
    upstream.call(&layer, "http://new.internal/").await;
    assert!(layer.handle().get("new.internal").is_some());
    assert!(layer.handle().get("idle.internal").is_none());
    assert_eq!(layer.handle().get(KEY).unwrap().state(), State::Open, "nor one that was open just now");
    time.advance(60 * SECOND);
    upstream.says(503);
    upstream.call(&layer, HOST).await;
    upstream.says(200);
    upstream.call(&layer, "http://newer.internal/").await;
    assert!(layer.handle().get("newer.internal").is_some());
    assert_eq!(layer.handle().get(KEY).unwrap().state(), State::Open, "never an open one");
}

#[tokio::test]
async fn cb_08_hosts_that_went_away_give_up_their_places() {
    let policies = [
        BreakerPolicy::consecutive(1),
        BreakerPolicy::envoy()
            .with_consecutive_failures(1)
            .and_then(|policy| policy.with_open_share(100.0, true)),
        // Half-open, recovering, and closed with a failure among its last calls.
        BreakerPolicy::consecutive(1).and_then(|policy| policy.with_probes(2)),
        BreakerPolicy::consecutive(1)
            .and_then(|policy| policy.with_probes(1)?.with_ramp_up([10, 50], 5 * SECOND)),
        BreakerPolicy::new().with_count_window(100),
    ];
    for (index, policy) in policies.into_iter().enumerate() {
        let (layer, time) = touchy();
        let layer = layer.with_policy(policy.unwrap()).with_max_breakers(10).unwrap();
        let mut changes = layer.handle().subscribe(64).unwrap();
        let upstream = Upstream::new(503);
        for pod in 0..10 {
            upstream.call(&layer, &format!("http://pod-{pod}.internal/")).await;
        }
        upstream.says(200);
        if index == 2 || index == 3 {
            time.advance(30 * SECOND);
            for pod in 0..10 {
                upstream.call(&layer, &format!("http://pod-{pod}.internal/")).await;
            }
        }
        let before = layer.handle().breakers()[0].state();
        let expected = [State::Open, State::Open, State::HalfOpen, State::Recovering, State::Closed][index];
        assert_eq!(before, expected);
        time.advance(10 * SECOND);
        upstream.call(&layer, "http://new.internal/").await;
        assert!(layer.handle().get("new.internal").is_none(), "{before}: they may be back");
        time.advance(60 * SECOND);
        upstream.call(&layer, "http://new.internal/").await;
        assert!(layer.handle().get("new.internal").is_some(), "{before}: they are gone");
        assert!(layer.handle().get("pod-3.internal").is_none());
        let last =
            std::iter::from_fn(|| changes.try_next()).filter(|event| &*event.key == "pod-3.internal").last();
        let told = last.map(|event| (event.transition.from, event.transition.to, event.transition.cause));
        let expected = (before != State::Closed).then_some((before, State::Closed, Cause::Forgotten));
        assert_eq!(told, expected, "whoever keeps track of the states is told");
    }
}

#[tokio::test]
async fn cb_08_routes_tenants_and_closures_are_keys_too() {
    let upstream = Upstream::new(503);
    let send = async |layer: &bartizan_circuit_breaker::CircuitBreakerLayer<PerRoute>,
                      route: &'static str| {
        let mut request = Request::get(HOST).body(TestBody::empty()).unwrap();
        request.extensions_mut().insert(MatchedRoute::template(route));
        layer.layer(upstream.script.service()).oneshot(request).await.unwrap().status()
    };
    let by_route = touchy().0.by(PerRoute);
    send(&by_route, "/quotes/{id}").await;
    assert_eq!(by_route.handle().get("/quotes/{id}").unwrap().state(), State::Open);
    assert!(by_route.handle().get("/orders").is_none());

    let by_tenant = touchy().0.by(PerTenant);
    let mut request = Request::get(HOST).body(TestBody::empty()).unwrap();
    RequestContext::of(&mut request).set_principal(Principal::service("shop").tenant("acme").build());
    by_tenant.layer(upstream.script.service()).oneshot(request).await.unwrap();
    assert_eq!(by_tenant.handle().get("acme").unwrap().state(), State::Open);

    let by_shard =
        touchy().0.by(KeyFn::new(|head| head.headers().get("x-shard")?.to_str().ok().map(Cow::Borrowed)));
    let request = Request::get(HOST).header("x-shard", "7").body(TestBody::empty()).unwrap();
    by_shard.layer(upstream.script.service()).oneshot(request).await.unwrap();
    assert_eq!(by_shard.handle().get("7").unwrap().state(), State::Open);
    upstream.call(&by_shard, HOST).await;
    assert_eq!(by_shard.handle().get("*").unwrap().state(), State::Open, "those without a key share one");
}

#[test]
fn lay_08_the_phase_is_that_of_the_key_on_a_server_and_of_breakers_on_a_client() {
    fn server<L: ServerLayer>(_: &L) -> &'static str {
        L::Phase::NAME
    }
    fn client<L: ClientLayer>(_: &L) -> &'static str {
        L::Phase::NAME
    }
    let layer = || touchy().0;
    assert_eq!((server(&layer()), client(&layer())), ("load", "breaker"));
    assert_eq!(server(&layer().by(Single)), "load");
    assert_eq!(server(&layer().by(PerTenant)), "principal_bulkhead");
    assert_eq!(client(&layer().by(PerTenant)), "breaker");
    let late =
        KeyFn::new(|_| None).at::<bartizan_core::phase::Authorization, bartizan_core::fact::Principal>();
    assert_eq!(server(&layer().by(late)), "authorization");
    assert_eq!(ServerLayer::name(&layer().by(PerUpstream)), "circuit_breaker");
}
