//! Instances that share a limit.

use std::{env, process::Command, sync::Arc};

use bartizan_rate_limit::{FailureMode, PerPrincipal, RateLimitLayer, RedisRateLimitLayer, RedisStore};
use bartizan_testkit::RedisServer;
use http::StatusCode;

use crate::{by, passes, patient, send, status};

const SERVER: &str = "BARTIZAN_TEST_REDIS";
const BURST: usize = 500;
const TASKS: usize = 64;
const REQUESTS: usize = 20;

fn layer(store: &RedisStore) -> RedisRateLimitLayer<PerPrincipal> {
    // One per hour comes after the burst: none while the test runs.
    let rate = format!("1/h burst {BURST}").parse().unwrap();
    RateLimitLayer::new(rate).by(PerPrincipal).in_redis(store).unwrap().with_failure_mode(FailureMode::Closed)
}

#[test]
fn rl_12_two_processes_and_64_tasks_each_admit_what_one_limiter_would() {
    let server = RedisServer::start();
    let hammer = || {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "shared::hammer", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(SERVER, server.url())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes = [hammer(), hammer()];
    let mut total = 0;
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let admitted = text.lines().find_map(|line| line.split_once("admitted ")).map(|(_, number)| number);
        let admitted: usize =
            admitted.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"));
        assert!(admitted > 0, "both take part");
        total += admitted;
    }
    assert!(total.abs_diff(BURST) <= 1, "{total} were admitted");
}

/// One of the processes.
#[test]
#[ignore = "a process of the test above"]
fn hammer() {
    let Ok(url) = env::var(SERVER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let admitted = runtime.block_on(async {
        let store =
            RedisStore::single(&url).unwrap().with_timeout(std::time::Duration::from_secs(1)).unwrap();
        let layer = Arc::new(layer(&store));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let layer = Arc::clone(&layer);
                tokio::spawn(async move { passes(&layer, REQUESTS, || by("ada")).await })
            })
            .collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += task.await.unwrap();
        }
        admitted
    });
    println!("\nadmitted {admitted}");
}

#[tokio::test]
async fn rl_12_a_limit_of_the_same_name_and_prefix_is_one_limit_and_of_another_another() {
    let server = RedisServer::start();
    let of = |store: &RedisStore, name: &'static str| {
        let layer = RateLimitLayer::new("1/h burst 2".parse().unwrap()).by(PerPrincipal);
        layer.with_name(name).unwrap().in_redis(store).unwrap()
    };
    let (one, other) = (patient(&server), patient(&server));
    assert_eq!(status(&of(&one, "a"), by("ada")).await, StatusCode::OK);
    assert_eq!(status(&of(&other, "a"), by("ada")).await, StatusCode::OK);
    assert_eq!(status(&of(&one, "a"), by("ada")).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(&of(&one, "b"), by("ada")).await, StatusCode::OK);
    assert_eq!(status(&of(&one, "a"), by("bob")).await, StatusCode::OK);
    let elsewhere = patient(&server).with_prefix("elsewhere").unwrap();
    assert_eq!(status(&of(&elsewhere, "a"), by("ada")).await, StatusCode::OK);
    let secret = patient(&server).with_secret("pepper");
    let refused = send(&of(&secret, "a"), by("ada")).await;
    assert_eq!(refused.status(), StatusCode::OK, "under a secret, keys are others");
}
