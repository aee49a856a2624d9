//! Remote keys over hours and days, in virtual time.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod idp;
mod mint;
mod support;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bartizan_auth::{
    Algorithm, AnyKeys, JwtLayer, KeyQuery, KeySource, Lookup, RemoteKeys, RemoteKeysBuilder, TokenPolicy,
};
use bartizan_core::{Clock, ManualClock, TimeSource};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::{
    runtime::{Builder, Handle},
    sync::Semaphore,
    task::yield_now,
    time::{Instant, advance, timeout},
};

use self::{
    idp::Named,
    mint::{AUDIENCE, ISSUER, NOW},
    support::{get, send},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Both clocks are tokio's, which stands still.
struct Paused(Instant);

impl TimeSource for Paused {
    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) + self.0.elapsed()
    }
}

fn clock() -> Clock {
    Clock::new(Paused(Instant::now()))
}

/// A provider in memory.
#[derive(Clone)]
struct Provider {
    keys: Arc<Mutex<Result<Vec<Value>, ()>>>,
    cache_control: Arc<Mutex<&'static str>>,
    fetches: Arc<AtomicUsize>,
    /// One permit is taken by each answer.
    answers: Arc<Semaphore>,
}

impl Provider {
    fn new(keys: &[&Named]) -> Self {
        let provider = Self {
            keys: Arc::new(Mutex::new(Err(()))),
            cache_control: Arc::new(Mutex::new("")),
            fetches: Arc::default(),
            answers: Arc::new(Semaphore::new(1_000_000)),
        };
        provider.publish(keys);
        provider
    }

    fn publish(&self, keys: &[&Named]) {
        *self.keys.lock().unwrap() = Ok(keys.iter().map(|key| key.jwk()).collect());
    }

    fn fail(&self) {
        *self.keys.lock().unwrap() = Err(());
    }

    /// Answers nothing until there are permits.
    fn hold(&self) {
        self.answers.forget_permits(usize::MAX);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn build(&self, builder: RemoteKeysBuilder, clock: Clock) -> RemoteKeys {
        let provider = self.clone();
        let client = tower::service_fn(move |request: Request<Full<Bytes>>| {
            let provider = provider.clone();
            async move {
                assert_eq!(request.uri(), "https://id.example/keys");
                provider.fetches.fetch_add(1, Ordering::SeqCst);
                provider.answers.acquire().await.unwrap().forget();
                let keys = provider.keys.lock().unwrap().clone().map_err(|()| io::Error::other("away"))?;
                let response = Response::builder()
                    .header("cache-control", *provider.cache_control.lock().unwrap())
                    .body(json!({"keys": keys}).to_string())
                    .unwrap();
                Ok::<_, io::Error>(response)
            }
        });
        builder.with_clock(clock).build_with(client).unwrap()
    }

    fn keys(&self) -> RemoteKeys {
        self.keys_by(clock())
    }

    fn keys_by(&self, clock: Clock) -> RemoteKeys {
        self.build(RemoteKeys::jwks("https://id.example/keys", Algorithm::Es256), clock)
    }
}

fn layer(keys: &RemoteKeys) -> JwtLayer<RemoteKeys> {
    JwtLayer::new(keys.clone(), TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap()).with_clock(clock())
}

async fn status<K: KeySource>(layer: &JwtLayer<K>, token: &str) -> u16 {
    let request = get("/").header("authorization", format!("Bearer {token}")).body(String::new()).unwrap();
    send(layer, request).await.status()
}

/// Time passes, and the task sees it.
async fn pass(time: Duration) {
    settle().await;
    advance(time).await;
    settle().await;
}

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn jwk_04_keys_are_refreshed_in_the_background_before_they_expire() {
    let key = Named::new("a");
    for (cache_control, fresh) in
        [("", 10 * MINUTE), ("max-age=60", 5 * MINUTE), ("no-store", 5 * MINUTE), ("max-age=3600", HOUR)]
    {
        let provider = Provider::new(&[&key]);
        *provider.cache_control.lock().unwrap() = cache_control;
        let keys = provider.keys();
        assert!(keys.ready().await);
        assert_eq!(provider.fetches(), 1);
        pass(fresh * 74 / 100).await;
        assert_eq!(provider.fetches(), 1, "{cache_control}: not too early");
        pass(fresh * 15 / 100).await;
        assert_eq!(provider.fetches(), 2, "{cache_control}: not too late");
        assert!(keys.is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn jwk_04_the_last_good_keys_stay_for_a_day_without_their_issuer() {
    let key = Named::new("a");
    let provider = Provider::new(&[&key]);
    let keys = provider.keys();
    let layer = layer(&keys);
    let token = |id| key.token(id);
    assert_eq!(status(&layer, &token(0)).await, 200);
    provider.fail();
    for hour in 1..24 {
        for _ in 0..60 {
            pass(MINUTE).await;
        }
        assert_eq!(status(&layer, &token(hour)).await, 200, "hour {hour}");
    }
    let attempts = provider.fetches();
    assert!((180..320).contains(&attempts), "not given up, and not pressed: {attempts} attempts");
    pass(HOUR).await;
    assert!(!keys.is_ready());
    assert_eq!(status(&layer, &token(0)).await, 503, "a token seen before, too");
    provider.publish(&[&key]);
    pass(2 * MINUTE).await;
    assert_eq!(status(&layer, &token(0)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn jwt_17_no_token_outlives_the_last_good_keys_while_a_fetch_hangs() {
    let (key, unknown) = (Named::new("a"), Named::new("b"));
    let provider = Provider::new(&[&key]);
    let manual = ManualClock::new();
    let clock = Clock::from(manual.clone());
    let keys = provider.keys_by(clock.clone());
    let policy = TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap();
    let layer = JwtLayer::new(AnyKeys::new(keys), policy).with_clock(clock);
    let token = key.token(0);
    assert_eq!(status(&layer, &token).await, 200);

    provider.hold();
    let asking = tokio::spawn({
        let (layer, token) = (layer.clone(), unknown.token(0));
        async move { status(&layer, &token).await }
    });
    settle().await;
    assert_eq!(provider.fetches(), 2);
    manual.advance(24 * HOUR - SECOND);
    assert_eq!(status(&layer, &token).await, 200);
    manual.advance(SECOND);
    assert_eq!(status(&layer, &token).await, 503, "nobody has given up the keys yet");
    provider.answers.add_permits(1);
    settle().await;
    assert_eq!(provider.fetches(), 2);
    assert_eq!(status(&layer, &token).await, 200);
    assert_eq!(asking.await.unwrap(), 503);
}

#[tokio::test(start_paused = true)]
async fn jwk_03_known_keys_never_wait_and_unknown_ones_wait_together_for_one_fetch() {
    let (old, new) = (Named::new("old"), Named::new("new"));
    let provider = Provider::new(&[&old]);
    let keys = provider.keys();
    let layer = layer(&keys);
    assert_eq!(status(&layer, &old.token(0)).await, 200);

    provider.publish(&[&old, &new]);
    provider.hold();
    let waiting: Vec<_> = (0..100)
        .map(|id| {
            let (layer, token) = (layer.clone(), new.token(id));
            tokio::spawn(async move { status(&layer, &token).await })
        })
        .collect();
    settle().await;
    assert!(waiting.iter().all(|request| !request.is_finished()));
    let before = Instant::now();
    assert_eq!(status(&layer, &old.token(1)).await, 200);
    assert_eq!(before.elapsed(), Duration::ZERO, "a known key waits for nothing");

    provider.answers.add_permits(1);
    for request in waiting {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn jwk_03_an_unknown_key_waits_a_second_and_in_the_cooldown_not_at_all() {
    let (old, new) = (Named::new("old"), Named::new("new"));
    let provider = Provider::new(&[&old]);
    let layer = layer(&provider.keys());
    assert_eq!(status(&layer, &old.token(0)).await, 200);
    provider.hold();

    let before = Instant::now();
    assert_eq!(status(&layer, &new.token(0)).await, 401);
    assert_eq!(before.elapsed().as_secs(), 1, "and not for the server");
    provider.answers.add_permits(1);
    settle().await;
    let before = Instant::now();
    assert_eq!(status(&layer, &new.token(1)).await, 401);
    assert_eq!(before.elapsed(), Duration::ZERO, "the window is not over");
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn jwk_03_a_key_that_comes_between_two_looks_is_found() {
    let (old, new) = (Named::new("old"), Named::new("new"));
    let provider = Provider::new(&[&old]);
    let keys = provider.keys();
    let layer = layer(&keys);
    assert_eq!(status(&layer, &old.token(0)).await, 200);
    let query = KeyQuery::new(Algorithm::Es256, Some("new"));
    assert!(matches!(keys.lookup(&query), Lookup::Unknown), "one request looks");
    provider.publish(&[&old, &new]);
    assert_eq!(status(&layer, &new.token(0)).await, 200, "another has the keys fetched");
    let wait = keys.refresh(&query).expect("the first looks once more, although the window is not over");
    timeout(SECOND, wait).await.unwrap();
    let stranger = KeyQuery::new(Algorithm::Es256, Some("stranger"));
    assert!(keys.refresh(&stranger).is_none(), "which is for keys that are there alone");
}

#[tokio::test(start_paused = true)]
async fn jwk_03_a_key_without_a_name_stands_in_for_the_named_one_until_it_is_fetched() {
    let (old, new, stranger) = (Named::new("old"), Named::new("new"), Named::new("stranger"));
    let mut unnamed = old.jwk();
    unnamed.as_object_mut().unwrap().remove("kid");
    let provider = Provider::new(&[]);
    *provider.keys.lock().unwrap() = Ok(vec![unnamed.clone()]);
    let layer = layer(&provider.keys());
    assert_eq!(status(&layer, &old.token(0)).await, 200, "it goes by any name");
    *provider.keys.lock().unwrap() = Ok(vec![unnamed, new.jwk()]);
    assert_eq!(status(&layer, &new.token(0)).await, 200, "the first token of a new key");
    assert_eq!(provider.fetches(), 2);
    let before = Instant::now();
    for id in 0..100 {
        assert_eq!(status(&layer, &stranger.token(id)).await, 401);
        assert_eq!(status(&layer, &old.token(id)).await, 200);
    }
    assert_eq!((provider.fetches(), before.elapsed()), (2, Duration::ZERO), "in the window nobody waits");
}

#[tokio::test(start_paused = true)]
async fn jwk_02_a_key_that_makes_another_ambiguous_ends_the_tokens_of_both() {
    let (key, twin, stranger) = (Named::new("a"), Named::new("a"), Named::new("stranger"));
    let provider = Provider::new(&[&key]);
    let layer = layer(&provider.keys());
    let token = key.token(0);
    assert_eq!(status(&layer, &token).await, 200);
    provider.publish(&[&key, &twin]);
    assert_eq!(status(&layer, &stranger.token(0)).await, 401);
    assert_eq!(provider.fetches(), 2);
    assert_eq!(status(&layer, &token).await, 401, "also one that was accepted before");
}

#[tokio::test(start_paused = true)]
async fn jwk_04_the_first_load_is_waited_for_and_retried_with_pauses() {
    let key = Named::new("a");
    let provider = Provider::new(&[&key]);
    provider.hold();
    let layer = layer(&provider.keys());
    let before = Instant::now();
    assert_eq!(status(&layer, &key.token(0)).await, 503);
    assert_eq!(before.elapsed().as_secs(), 1);

    // The server says nothing: five seconds, a pause of one, five seconds, a pause of two.
    pass(4 * SECOND).await;
    for _ in 0..10 {
        pass(SECOND).await;
    }
    assert!((2..=3).contains(&provider.fetches()), "{}", provider.fetches());
    provider.answers.add_permits(100);
    for _ in 0..10 {
        pass(SECOND).await;
    }
    assert_eq!(status(&layer, &key.token(0)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_handle_even_in_the_middle_of_a_fetch() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let key = Named::new("a");
    let provider = Provider::new(&[&key]);
    let keys = provider.keys();
    assert_eq!(tasks(), 0, "nothing runs before it is asked for");
    assert!(keys.ready().await);
    assert_eq!(tasks(), 1);
    let clone = keys.clone();
    drop(keys);
    settle().await;
    assert_eq!(tasks(), 1);
    drop(clone);
    settle().await;
    assert_eq!(tasks(), 0);

    provider.hold();
    let keys = provider.keys();
    let run = tokio::spawn(keys.run());
    settle().await;
    assert_eq!(provider.fetches(), 2, "it goes on");
    drop(keys);
    timeout(SECOND, run).await.expect("it ends").unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_task_runs_at_a_time_and_another_takes_its_place() {
    let key = Named::new("a");
    let provider = Provider::new(&[&key]);
    let keys = provider.keys();
    let (first, second) = (tokio::spawn(keys.run()), tokio::spawn(keys.run()));
    settle().await;
    assert!(keys.is_ready(), "without any request");
    assert_eq!(provider.fetches(), 1);
    first.abort();
    pass(10 * MINUTE).await;
    assert_eq!(provider.fetches(), 2, "the second goes on");
    assert!(!second.is_finished());
}

#[test]
fn keys_outlive_the_runtime_that_fetched_them() {
    let key = Named::new("a");
    let runtime = || Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let provider = Provider::new(&[&key]);
    let first = runtime();
    let keys = first.block_on(async { provider.keys() });
    assert!(first.block_on(keys.ready()));
    drop(first);
    let second = runtime();
    provider.fail();
    second.block_on(async {
        let layer = layer(&keys);
        assert_eq!(status(&layer, &key.token(0)).await, 200);
        settle().await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 1, "the work goes on here");
    });
}

#[test]
fn outside_of_a_runtime_nothing_panics() {
    let key = Named::new("a");
    let provider = Provider::new(&[&key]);
    let client = {
        let provider = provider.clone();
        tower::service_fn(move |_: Request<Full<Bytes>>| {
            provider.fetches.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, io::Error>(Response::new(String::new())))
        })
    };
    let keys = RemoteKeys::jwks("https://id.example/keys", Algorithm::Es256).build_with(client).unwrap();
    let layer = JwtLayer::new(keys, TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap());
    assert_eq!(poll_once(status(&layer, &key.token(0))), Some(503));
    assert_eq!(provider.fetches(), 0);
}

/// Polls once, on no runtime.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn what_can_never_work_is_refused_at_the_start() {
    let client = || {
        tower::service_fn(async |_: Request<Full<Bytes>>| Ok::<_, io::Error>(Response::new(String::new())))
    };
    let good = || RemoteKeys::jwks("https://id.example/keys", Algorithm::Es256);
    assert!(good().build_with(client()).is_ok());
    for (builder, field) in [
        (RemoteKeys::jwks("http://id.example", Algorithm::Es256), "jwks_url"),
        (RemoteKeys::discover("https://id.example?a=b", Algorithm::Es256), "issuer"),
        (RemoteKeys::jwks("https://id.example/keys", []), "algorithms"),
        (RemoteKeys::jwks("https://id.example/keys", [Algorithm::Es256, Algorithm::Hs256]), "algorithms"),
    ] {
        assert_eq!(builder.build_with(client()).unwrap_err().field(), field);
    }
    assert_eq!(good().with_wait(Duration::ZERO).unwrap_err().field(), "wait");
    assert_eq!(good().with_wait(11 * SECOND).unwrap_err().field(), "wait");
    assert_eq!(good().with_timeout(6 * SECOND).unwrap_err().field(), "timeout");
    assert_eq!(good().with_hard_limit(SECOND).unwrap_err().field(), "hard_limit");
    assert_eq!(good().with_hard_limit(8 * 24 * HOUR).unwrap_err().field(), "hard_limit");
    let debug =
        format!("{:?}", RemoteKeys::jwks("https://a:s3cret@id.example/keys?k=s3cret", Algorithm::Es256));
    assert!(!debug.contains("s3cret"), "{debug}");
}
