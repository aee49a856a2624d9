//! A master that sentinels know.

use bartizan_rate_limit::{FailureMode, PerPrincipal, RateLimitLayer, RedisStore};
use bartizan_testkit::RedisSentinel;
use http::StatusCode;

use crate::{by, passes, status, until};

#[tokio::test]
async fn rl_13_the_new_master_is_found_after_a_failover() {
    let mut servers = RedisSentinel::start();
    let group = format!("redis://{}", RedisSentinel::GROUP);
    let store = RedisStore::sentinel([servers.url()], &group)
        .unwrap()
        .with_timeout(std::time::Duration::from_secs(1))
        .unwrap();
    let layer = RateLimitLayer::new("1/h burst 2".parse().unwrap())
        .by(PerPrincipal)
        .in_redis(&store)
        .unwrap()
        .with_failure_mode(FailureMode::Closed);
    assert_eq!(passes(&layer, 3, || by("ada")).await, 2);
    until("the replica knows", async || servers.replica.command(&["DBSIZE"]) != ":0").await;
    servers.master.kill();
    until("the loss is noticed", async || status(&layer, by("ada")).await == StatusCode::SERVICE_UNAVAILABLE)
        .await;
    until("the replica is the master, and is found", async || {
        status(&layer, by("ada")).await == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    assert_eq!(passes(&layer, 3, || by("bob")).await, 2);
}
