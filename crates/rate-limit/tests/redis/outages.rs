//! Redis is away, hangs, and comes back.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bartizan_core::{Reason, Rejection, RequestContext};
use bartizan_rate_limit::{FailureMode, PerPrincipal, RateLimitLayer, RedisRateLimitLayer, RedisStore};
use bartizan_testkit::RedisServer;
use futures_util::FutureExt;
use http::StatusCode;
use tokio::time::Instant;

use crate::{by, passes, send, status, until};

const OK: StatusCode = StatusCode::OK;
const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;
const AWAY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// The default.
const TIMEOUT: Duration = Duration::from_millis(50);
/// What a busy machine may add. Without the timeout a request would wait for a second, or for ever.
const SLACK: Duration = Duration::from_millis(600);

fn layer(url: &str, mode: FailureMode) -> RedisRateLimitLayer<PerPrincipal> {
    RateLimitLayer::new("1/h burst 2".parse().unwrap())
        .by(PerPrincipal)
        .in_redis(&RedisStore::single(url).unwrap())
        .unwrap()
        .with_failure_mode(mode)
}

/// Whether Redis is known to be away: a decision then waits for nothing.
fn is_down(layer: &RedisRateLimitLayer<PerPrincipal>) -> bool {
    send(layer, by("nobody")).now_or_never().is_some()
}

/// What requests get while Redis is away; nobody waits for it once that is known.
async fn expect_away(layer: &RedisRateLimitLayer<PerPrincipal>, mode: FailureMode) {
    until("it is known that Redis is away", async || {
        is_down(layer) || send(layer, by("bob")).await.status() == AWAY && is_down(layer)
    })
    .await;
    let caller = || by("eve");
    let answers: Vec<_> = (0..4)
        .map(|_| send(layer, caller()).now_or_never().expect("it waits for nothing").status())
        .collect();
    match mode {
        FailureMode::Open => assert_eq!(answers, [OK; 4]),
        FailureMode::Closed => assert_eq!(answers, [AWAY; 4]),
        FailureMode::Local => assert_eq!(answers, [OK, OK, LIMITED, LIMITED], "the same limit, in memory"),
        _ => unreachable!("no other mode"),
    }
}

/// Requests all the time, and what became of them.
struct Run {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<(BTreeMap<u16, usize>, Duration)>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Run {
    fn start(layer: &RedisRateLimitLayer<PerPrincipal>) -> Self {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Default::default())));
        let task = |_| {
            let (layer, over, seen) = (layer.clone(), Arc::clone(&over), Arc::clone(&seen));
            tokio::spawn(async move {
                while !over.load(Relaxed) {
                    let began = Instant::now();
                    let status = status(&layer, by("ada")).await;
                    let took = began.elapsed();
                    {
                        let mut seen: std::sync::MutexGuard<'_, (BTreeMap<u16, usize>, Duration)> =
                            seen.lock().unwrap();
                        *seen.0.entry(status.as_u16()).or_default() += 1;
                        seen.1 = seen.1.max(took);
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        };
        let tasks = (0..8).map(task).collect();
        Self { over, seen, tasks }
    }

    async fn end(self) -> BTreeMap<u16, usize> {
        self.over.store(true, Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let (statuses, longest) = self.seen.lock().unwrap().clone();
        assert!(longest <= TIMEOUT + SLACK, "a request waited {longest:?}");
        statuses
    }
}

async fn outage(mode: FailureMode, fail: impl Fn(&mut RedisServer), heal: impl Fn(&mut RedisServer)) {
    let mut server = RedisServer::start();
    let layer = layer(&server.url(), mode);
    until("Redis decides", async || {
        // The first requests of a busy machine may be too slow.
        !is_down(&layer) && passes(&layer, 3, || by("first")).await < 3
    })
    .await;
    let run = Run::start(&layer);
    until("ada is limited", async || status(&layer, by("ada")).await == LIMITED).await;

    fail(&mut server);
    expect_away(&layer, mode).await;
    heal(&mut server);

    until("Redis is asked again", async || !is_down(&layer)).await;
    until("ada is limited again", async || status(&layer, by("ada")).await == LIMITED).await;
    assert!(passes(&layer, 3, || by("carol")).await >= 2, "and others are not");
    let statuses = run.end().await;
    let allowed: &[u16] = match mode {
        FailureMode::Closed => &[200, 429, 503],
        _ => &[200, 429],
    };
    assert!(statuses.keys().all(|status| allowed.contains(status)), "{statuses:?}");
    assert!(statuses.contains_key(&429), "{statuses:?}");
}

fn kill(server: &mut RedisServer) {
    server.kill();
}

fn pause(server: &mut RedisServer) {
    server.pause();
}

#[tokio::test]
async fn rl_13_killed_and_restarted_it_fails_open() {
    outage(FailureMode::Open, kill, RedisServer::restart).await;
}

#[tokio::test]
async fn rl_13_killed_and_restarted_it_fails_closed() {
    outage(FailureMode::Closed, kill, RedisServer::restart).await;
}

#[tokio::test]
async fn rl_13_killed_and_restarted_it_falls_back_to_memory() {
    outage(FailureMode::Local, kill, RedisServer::restart).await;
}

#[tokio::test]
async fn rl_13_paused_and_resumed_it_fails_open() {
    outage(FailureMode::Open, pause, |server| server.resume()).await;
}

#[tokio::test]
async fn rl_13_paused_and_resumed_it_fails_closed() {
    outage(FailureMode::Closed, pause, |server| server.resume()).await;
}

#[tokio::test]
async fn rl_13_paused_and_resumed_it_falls_back_to_memory() {
    outage(FailureMode::Local, pause, |server| server.resume()).await;
}

#[tokio::test]
async fn rl_13_paused_killed_and_restarted_it_recovers() {
    outage(FailureMode::Open, pause, RedisServer::restart).await;
}

#[tokio::test]
async fn rl_13_a_server_that_was_never_there_is_found_when_it_comes() {
    let mut server = RedisServer::start();
    server.kill();
    let layer = layer(&server.url(), FailureMode::Closed);
    let refused = send(&layer, by("ada")).await;
    assert_eq!(refused.status(), AWAY);
    let rejection = refused.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason(), Reason::DependencyUnavailable);
    assert!(refused.body().contains("#temporary-reduced-capacity"), "{}", refused.body());
    assert_eq!(refused.headers()["retry-after"], "1");
    expect_away(&layer, FailureMode::Closed).await;
    server.restart();
    until("it is found", async || status(&layer, by("ada")).await == OK).await;
}

#[tokio::test]
async fn rl_13_a_service_can_wait_for_redis_before_it_starts() {
    let mut server = RedisServer::start();
    assert!(crate::patient(&server).connect().await.is_ok());
    server.kill();
    let error = RedisStore::single(&server.url()).unwrap().connect().await.unwrap_err();
    let address = format!("127.0.0.1:{}", server.port());
    assert_eq!(
        error.to_string(),
        format!(
            "rate limit: Redis at {address} cannot be reached, or refuses: see its address, user and password"
        )
    );
    // A server without memory for one more key answers pings, and is of no use.
    let full = RedisServer::start_with(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let error = crate::patient(&full).connect().await.unwrap_err();
    assert!(error.to_string().ends_with(" takes no writes"), "{error}");
}

/// A server that takes connections and says nothing, and a store that looks for Redis there.
fn silent() -> (TcpListener, RedisStore) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://limits:s3cret@{}", silent.local_addr().unwrap());
    (silent, RedisStore::single(&url).unwrap())
}

#[tokio::test(start_paused = true)]
async fn rl_13_a_service_does_not_wait_for_ever_for_a_server_that_says_nothing() {
    let (silent, store) = silent();
    let address = silent.local_addr().unwrap();
    let node = format!("redis://limits:s3cret@{address}");
    let sentinel = RedisStore::sentinel([&node, &node], "redis://limits:s3cret@main").unwrap();
    let cluster = RedisStore::cluster([&node]).unwrap();
    // What their clients say does not tell of each node.
    for (store, place, longest) in [
        (store, format!("{address} does not answer in time"), 2),
        (sentinel, format!("`main` of the sentinels {address}, {address}"), 4),
        (cluster, address.to_string(), 2),
    ] {
        let began = Instant::now();
        let error = store.connect().await.unwrap_err().to_string();
        assert!(began.elapsed() <= Duration::from_millis(longest * 1_000 + 10), "{:?}", began.elapsed());
        assert!(error.starts_with(&format!("rate limit: Redis at {place}")), "{error}");
    }
}

#[test]
fn rl_13_who_waits_for_a_task_that_ended_with_its_runtime_starts_another() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    for begun in [false, true] {
        let (_silent, store) = silent();
        let short = runtime();
        short.block_on(async {
            assert!(store.connect().now_or_never().is_none(), "a task has been spawned");
            if begun {
                tokio::task::yield_now().await;
            }
        });
        let error = runtime().block_on(async {
            let waits = tokio::spawn(async move { store.connect().await });
            tokio::task::yield_now().await;
            short.shutdown_background();
            tokio::time::timeout(Duration::from_secs(60), waits).await.expect("it ends").unwrap().unwrap_err()
        });
        assert!(error.to_string().ends_with(" does not answer in time"), "{error}");
    }
}

#[tokio::test]
async fn rl_13_callers_that_go_away_do_not_make_redis_look_dead() {
    let server = RedisServer::start();
    let layer = layer(&server.url(), FailureMode::Open);
    until("Redis decides", async || passes(&layer, 3, || by("first")).await < 3).await;
    for _ in 0..100 {
        // Begun, and dropped before the answer can be there.
        assert!(send(&layer, by("eve")).now_or_never().is_none(), "it is asked all the same");
    }
    until("eve's requests have counted", async || status(&layer, by("eve")).await == LIMITED).await;
}

#[tokio::test]
async fn rl_13_a_failure_is_a_fact_of_the_request() {
    let mut server = RedisServer::start();
    server.kill();
    let layer = layer(&server.url(), FailureMode::Open);
    let mut request = by("ada");
    let context = RequestContext::of(&mut request);
    context.event().enable();
    assert_eq!(status(&layer, request).await, OK);
    context.event().read(|facts| {
        let failure = facts.iter().find(|(name, _)| *name == "rate_limit.store_failure");
        assert!(failure.is_some(), "{facts:?}");
    });
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn rl_13_what_redis_did_not_decide_is_counted() {
    use bartizan_rate_limit::Charge;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let mut server = RedisServer::start();
    server.kill();
    for (mode, outcome) in [
        (FailureMode::Open, "failed_open"),
        (FailureMode::Closed, "failed_closed"),
        (FailureMode::Local, "allowed"),
    ] {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let layer = RateLimitLayer::new("1/h burst 20".parse().unwrap())
            .by(PerPrincipal)
            .with_charge(|_| Charge::More(1))
            .with_recorder(recorder)
            .in_redis(&RedisStore::single(&server.url()).unwrap())
            .unwrap()
            .with_failure_mode(mode);
        until("it is known that Redis is away", async || is_down(&layer)).await;
        let _ = snapshotter.snapshot();
        for _ in 0..3 {
            let _ = send(&layer, by("ada")).await;
        }
        let counted: BTreeMap<_, _> = snapshotter
            .snapshot()
            .into_vec()
            .into_iter()
            .filter_map(|(key, _, _, value)| {
                let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
                match value {
                    DebugValue::Counter(count) if count > 0 => {
                        Some((format!("{} {}", key.key().name(), labels.join(" ")), count))
                    }
                    _ => None,
                }
            })
            .collect();
        let expected = [
            (format!("bartizan_rate_limit_decisions_total per-principal {outcome}"), 3),
            ("bartizan_rate_limit_store_failures_total per-principal down".to_owned(), 3),
        ];
        assert_eq!(counted, expected.into());
    }
}

#[tokio::test]
async fn rl_13_a_connection_that_was_closed_while_idle_fails_no_request() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new("1/h burst 2".parse().unwrap())
        .by(PerPrincipal)
        .in_redis(&crate::patient(&server))
        .unwrap()
        .with_failure_mode(FailureMode::Closed);
    for round in 0..5 {
        let caller = format!("ada-{round}");
        assert_eq!(passes(&layer, 3, || by(&caller)).await, 2);
        assert_eq!(server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]), ":1");
    }
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn rl_13_charges_that_do_not_reach_redis_are_counted() {
    use bartizan_rate_limit::Charge;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let mut server = RedisServer::start();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = RateLimitLayer::new("100/h".parse().unwrap())
        .by(PerPrincipal)
        .with_charge(|_| Charge::More(1))
        .with_recorder(recorder)
        .in_redis(&crate::patient(&server))
        .unwrap();
    let inner = tower::service_fn(async |_: http::Request<String>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::from("body")))
    });
    let Ok(response) = tower::ServiceExt::oneshot(tower::Layer::layer(&layer, inner), by("ada")).await;
    // Decided, and Redis is gone before the body has ended.
    server.kill();
    drop(response);
    until("the charge is given up", async || {
        snapshotter.snapshot().into_vec().into_iter().any(|(key, _, _, value)| {
            key.key().name() == "bartizan_rate_limit_charges_lost_total" && value == DebugValue::Counter(1)
        })
    })
    .await;
}

#[tokio::test]
async fn rl_13_a_server_that_forbids_scripts_counts_as_away_and_is_left_in_peace() {
    let server = RedisServer::start();
    let user = ["ACL", "SETUSER", "default", "-eval", "-evalsha"];
    assert_eq!(server.command(&user), "+OK");
    let layer = layer(&server.url(), FailureMode::Closed);
    until("it is known that it does not decide", async || {
        send(&layer, by("ada")).await.status() == AWAY && is_down(&layer)
    })
    .await;
    let connections = || {
        let stats = server.command(&["INFO", "stats"]);
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.and_then(|count| count.parse::<u64>().ok()).unwrap()
    };
    let (before, began) = (connections(), Instant::now());
    for _ in 0..200 {
        let _ = send(&layer, by("ada")).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Ours: two to ask, and those that looked for it, which become ever fewer: 50, 100, 200 ms apart, and so on.
    let tries = connections() - before;
    let most = 2 + 5 + began.elapsed().as_secs();
    assert!(tries <= most, "{tries} connections");
    assert_eq!(server.command(&["ACL", "SETUSER", "default", "+eval", "+evalsha"]), "+OK");
    until("it is found", async || status(&layer, by("ada")).await == OK).await;
}
