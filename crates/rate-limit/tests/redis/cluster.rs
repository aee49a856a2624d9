//! A cluster of three nodes.

use std::time::Duration;

use bartizan_rate_limit::{
    Charge, FailureMode, HeaderFields, PerPrincipal, PerTenant, RateLimitLayer, RedisRateLimitLayer,
    RedisStore,
};
use bartizan_testkit::{RedisCluster, RedisServer};
use http::StatusCode;

use crate::{by, passes, scripts, send, status, until};

fn store(cluster: &RedisCluster) -> RedisStore {
    RedisStore::cluster(cluster.urls()).unwrap().with_timeout(Duration::from_secs(1)).unwrap()
}

fn all_scripts(cluster: &mut RedisCluster) -> usize {
    cluster.nodes().iter().map(scripts).sum()
}

/// How many keys of limits a node has.
fn keys(node: &RedisServer) -> String {
    node.command(&["EVAL", "return #redis.call('KEYS', '*:per-*')", "0"])
}

fn remaining(field: &str, name: &str) -> u32 {
    let (_, rest) = field.split_once(&format!("\"{name}\";r=")).unwrap();
    rest.split([';', ',']).next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn rl_12_in_a_cluster_limits_are_decided_slot_by_slot_and_given_back() {
    let mut cluster = RedisCluster::start();
    let store = store(&cluster);
    let layer = RateLimitLayer::new("1/h burst 50".parse().unwrap())
        .by(PerPrincipal)
        .and("1/h burst 3".parse().unwrap())
        .by(PerTenant)
        .with_headers(HeaderFields::new())
        .in_redis(&store)
        .unwrap()
        .with_failure_mode(FailureMode::Closed);
    let left = RateLimitLayer::new("1/h burst 50".parse().unwrap())
        .by(PerPrincipal)
        .with_headers(HeaderFields::new())
        .with_cost_by(|_| 0)
        .in_redis(&store)
        .unwrap();
    assert_eq!(passes(&layer, 3, || by("ada")).await, 3);
    let before = all_scripts(&mut cluster);
    for _ in 0..10 {
        let refused = send(&layer, by("ada")).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.body().contains("[\"per-tenant\"]"), "{}", refused.body());
        let field = refused.headers()["ratelimit"].to_str().unwrap();
        assert_eq!(remaining(field, "per-tenant"), 0);
    }
    until("what the other limit took is given back", async || {
        let response = send(&left, by("ada")).await;
        remaining(response.headers()["ratelimit"].to_str().unwrap(), "per-principal") == 47
    })
    .await;
    assert!(all_scripts(&mut cluster) >= before + 30, "two scripts each, and one that gives back");
    // Callers are spread over the nodes.
    for caller in 0..64 {
        let _ = status(&left_of(&store), by(&caller.to_string())).await;
    }
    let used = cluster.nodes().iter().filter(|node| node.command(&["DBSIZE"]) != ":0").count();
    assert_eq!(used, 3);
}

fn left_of(store: &RedisStore) -> RedisRateLimitLayer<PerPrincipal> {
    RateLimitLayer::new("1/h".parse().unwrap())
        .by(PerPrincipal)
        .with_name("spread")
        .unwrap()
        .in_redis(store)
        .unwrap()
}

#[tokio::test]
async fn rl_12_limits_that_share_a_slot_are_decided_by_one_script() {
    let mut cluster = RedisCluster::start();
    let store = store(&cluster);
    let of = |cost: u32| {
        RateLimitLayer::new("1/h burst 50".parse().unwrap())
            .by(PerPrincipal)
            .with_cost_by(move |_| cost)
            .and("1/h burst 3".parse().unwrap())
            .by(PerTenant)
            .with_cost_by(move |_| cost)
            .with_charge(move |_| Charge::More(cost))
            .with_headers(HeaderFields::new())
            .in_redis(&store)
            .unwrap()
            .with_slot_by(PerTenant)
    };
    let (layer, look) = (of(1), of(0));
    assert_eq!(status(&layer, by("ada")).await, StatusCode::OK);
    until("the charge is made, under the same tag", async || {
        let response = send(&look, by("ada")).await;
        remaining(response.headers()["ratelimit"].to_str().unwrap(), "per-tenant") == 1
    })
    .await;
    assert_eq!(passes(&layer, 3, || by("bob")).await, 1);
    let before = all_scripts(&mut cluster);
    for _ in 0..10 {
        let refused = send(&layer, by("ada")).await;
        let field = refused.headers()["ratelimit"].to_str().unwrap();
        assert_eq!(remaining(field, "per-tenant"), 0);
        assert_eq!(remaining(field, "per-principal"), 49);
    }
    assert_eq!(all_scripts(&mut cluster) - before, 10);
    let used: Vec<_> = cluster.nodes().iter().map(keys).filter(|keys| *keys != ":0").collect();
    assert_eq!(used, [":3"], "of two callers and their tenant, all on one node");
}

#[tokio::test]
async fn rl_13_a_cluster_that_was_away_is_found_again() {
    let mut cluster = RedisCluster::start();
    let layer = RateLimitLayer::new("1/h burst 1".parse().unwrap())
        .by(PerPrincipal)
        .in_redis(&store(&cluster))
        .unwrap()
        .with_failure_mode(FailureMode::Closed);
    assert_eq!(status(&layer, by("ada")).await, StatusCode::OK);
    for node in cluster.nodes() {
        node.kill();
    }
    until("it is known that there is no cluster", async || {
        status(&layer, by("ada")).await == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    for node in cluster.nodes() {
        node.restart();
    }
    until("it is found again", async || status(&layer, by("bob")).await != StatusCode::SERVICE_UNAVAILABLE)
        .await;
}
