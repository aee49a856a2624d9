//! Keys from a store that must be asked.

mod support;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan_auth::{ApiKey, ApiKeyLayer, AsyncKeyStore, CachedKeys, KeyRecord};
use bartizan_core::{Clock, ManualClock, Rejection};
use http::{HeaderName, Request};
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::support::{Seen, get, send, with_key};

fn key() -> ApiKey {
    ApiKey::generate("orders").unwrap()
}

/// A store of records that can be slow, broken or stopped.
#[derive(Clone, Default)]
struct Database {
    records: Arc<Mutex<HashMap<String, KeyRecord>>>,
    fetched: Arc<AtomicUsize>,
    is_down: Arc<Mutex<bool>>,
    /// Each fetch waits for a permit, if there is one to wait for.
    gate: Option<Arc<Semaphore>>,
}

impl AsyncKeyStore for Database {
    type Error = io::Error;

    async fn fetch(&self, id: &str) -> io::Result<Option<KeyRecord>> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("it is never closed").forget();
        }
        if *self.is_down.lock().unwrap() {
            return Err(io::Error::other("no route to host"));
        }
        Ok(self.records.lock().unwrap().get(id).cloned())
    }
}

impl Database {
    fn with(record: KeyRecord) -> Self {
        let database = Self::default();
        database.set(record);
        database
    }

    fn set(&self, record: KeyRecord) {
        self.records.lock().unwrap().insert(record.id().to_owned(), record);
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    fn goes(&self, down: bool) {
        *self.is_down.lock().unwrap() = down;
    }
}

type Cached = ApiKeyLayer<CachedKeys<Database>>;

fn cached(database: &Database, clock: &ManualClock) -> Cached {
    ApiKeyLayer::new(CachedKeys::new(database.clone()).with_clock(Clock::from(clock.clone())))
}

/// Sends a request with this key, by a task of its own that may be aborted.
fn spawn<A: AsyncKeyStore>(layer: &ApiKeyLayer<CachedKeys<A>>, key: &ApiKey) -> JoinHandle<u16> {
    let (layer, request) = (layer.clone(), with_key(key));
    tokio::spawn(async move { send(&layer, request).await.status() })
}

#[tokio::test]
async fn key_03_a_revocation_is_seen_within_30_seconds() {
    let (key, clock) = (key(), ManualClock::new());
    let database = Database::with(key.record("billing").with_scopes(["a"]));
    let layer = cached(&database, &clock);
    for _ in 0..10 {
        let seen = send(&layer, with_key(&key)).await;
        assert_eq!(seen.principal().unwrap().subject(), "billing");
        assert!(seen.handled.unwrap().headers.is_empty(), "the credential does not reach the handler");
    }
    assert_eq!(database.fetched(), 1);
    database.records.lock().unwrap().clear();
    clock.advance(Duration::from_millis(29_999));
    assert_eq!(send(&layer, with_key(&key)).await.status(), 200);
    clock.advance(Duration::from_millis(1));
    assert_eq!(send(&layer, with_key(&key)).await.status(), 401);
    assert_eq!(database.fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn key_03_a_slow_store_does_not_make_a_revocation_take_longer() {
    let (known, missing, clock) = (key(), key(), ManualClock::new());
    let gate = Arc::new(Semaphore::new(0));
    let database = Database { gate: Some(Arc::clone(&gate)), ..Database::with(known.record("billing")) };
    let layer = cached(&database, &clock);
    let ask = |key: &ApiKey| spawn(&layer, key);
    let asked = [ask(&known), ask(&missing)];
    sleep(Duration::from_millis(10)).await;
    clock.advance(Duration::from_secs(10));
    gate.add_permits(4);
    for (asked, status) in asked.into_iter().zip([200, 401]) {
        assert_eq!(asked.await.unwrap(), status);
    }
    database.records.lock().unwrap().clear();
    database.set(missing.record("shipping"));
    clock.advance(Duration::from_secs(20));
    assert_eq!(send(&layer, with_key(&known)).await.status(), 401, "30 seconds after it was asked for");
    assert_eq!(send(&layer, with_key(&missing)).await.status(), 200);
}

#[tokio::test]
async fn key_03_keys_that_do_not_exist_are_asked_for_once() {
    let (key, clock) = (key(), ManualClock::new());
    let database = Database::default();
    let layer = cached(&database, &clock);
    let reference = send(&layer, Request::default()).await.face();
    for _ in 0..10 {
        assert_eq!(send(&layer, with_key(&key)).await.face(), reference, "aut_07: as no key at all");
    }
    assert_eq!(database.fetched(), 1);
    database.set(key.record("billing"));
    assert_eq!(send(&layer, with_key(&key)).await.status(), 401);
    clock.advance(Duration::from_secs(30));
    assert_eq!(send(&layer, with_key(&key)).await.status(), 200);
    assert_eq!(database.fetched(), 2);
}

#[tokio::test]
async fn key_03_inventing_keys_does_not_make_the_good_ones_forgotten() {
    let (good, clock) = (key(), ManualClock::new());
    let database = Database::with(good.record("billing"));
    let keys =
        CachedKeys::new(database.clone()).with_clock(Clock::from(clock)).with_capacity(10, 10).unwrap();
    let layer = ApiKeyLayer::new(keys.clone());
    assert_eq!(send(&layer, with_key(&good)).await.status(), 200);
    for _ in 0..1_000 {
        assert_eq!(send(&layer, with_key(&key())).await.status(), 401);
    }
    let asked = database.fetched();
    assert_eq!(send(&layer, with_key(&good)).await.status(), 200);
    assert_eq!(database.fetched(), asked);
    let shown = format!("{keys:?}");
    let count = |field: &str| -> usize {
        let rest = shown.split_once(&format!("{field}: ")).unwrap().1;
        rest[..rest.find(|it: char| !it.is_ascii_digit()).unwrap()].parse().unwrap()
    };
    assert!(count("found") == 1 && count("missing") <= 32, "{shown}");
}

#[tokio::test(start_paused = true)]
async fn key_03_many_requests_with_one_key_ask_once() {
    let key = key();
    let gate = Arc::new(Semaphore::new(0));
    let database = Database { gate: Some(Arc::clone(&gate)), ..Database::with(key.record("billing")) };
    let layer = cached(&database, &ManualClock::new());
    let ask = || spawn(&layer, &key);
    let all: Vec<_> = (0..50).map(|_| ask()).collect();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(database.fetched(), 1);
    all[0].abort();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(database.fetched(), 2, "when the one who asks leaves, the next asks");
    gate.add_permits(1);
    for (index, request) in all.into_iter().enumerate().skip(1) {
        assert_eq!(request.await.unwrap(), 200, "{index}");
    }
    assert_eq!(database.fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn key_03_a_store_that_is_down_refuses_with_503_and_remembered_keys_go_on() {
    let (known, other, clock) = (key(), key(), ManualClock::new());
    let database = Database::with(known.record("billing"));
    database.set(other.record("shipping"));
    let layer = cached(&database, &clock);
    assert_eq!(send(&layer, with_key(&known)).await.status(), 200);
    database.goes(true);
    assert_eq!(send(&layer, with_key(&known)).await.status(), 200);
    let seen = send(&layer, with_key(&other)).await;
    assert_eq!((seen.status(), seen.header("retry-after")), (503, "1"));
    assert!(seen.handled.is_none() && !std::str::from_utf8(&seen.body).unwrap().contains("route to host"));
    let call = support::grpc(&[("x-api-key", other.expose())]);
    assert_eq!(send(&layer, call).await.header("grpc-status"), "14");
    assert_eq!(database.fetched(), 2, "a failure is remembered for a second");
    clock.advance(Duration::from_secs(1));
    assert_eq!(send(&layer, with_key(&other)).await.status(), 503);
    assert_eq!(database.fetched(), 3);
    clock.advance(Duration::from_secs(29));
    assert_eq!(send(&layer, with_key(&known)).await.status(), 503, "its time is over");
    database.goes(false);
    clock.advance(Duration::from_secs(1));
    assert_eq!(send(&layer, with_key(&known)).await.status(), 200);
    assert_eq!(send(&layer, with_key(&other)).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn key_03_the_wait_for_a_store_is_bounded_for_all_who_wait() {
    let key = key();
    let database =
        Database { gate: Some(Arc::new(Semaphore::new(0))), ..Database::with(key.record("billing")) };
    let layer = cached(&database, &ManualClock::new());
    let start = Instant::now();
    let all: Vec<_> = (0..20).map(|_| spawn(&layer, &key)).collect();
    for request in all {
        assert_eq!(request.await.unwrap(), 503);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(database.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn key_03_a_store_is_asked_for_a_bounded_number_of_keys_at_once() {
    let database = Database { gate: Some(Arc::new(Semaphore::new(0))), ..Database::default() };
    let layer = cached(&database, &ManualClock::new());
    let all: Vec<_> = (0..100).map(|_| spawn(&layer, &key())).collect();
    for request in all {
        assert_eq!(request.await.unwrap(), 503);
    }
    assert_eq!(database.fetched(), 64);
}

#[tokio::test(start_paused = true)]
async fn key_03_invented_keys_do_not_take_the_turn_of_a_known_one() {
    let (known, clock) = (key(), ManualClock::new());
    let gate = Arc::new(Semaphore::new(1));
    let database = Database { gate: Some(Arc::clone(&gate)), ..Database::with(known.record("billing")) };
    let layer = cached(&database, &clock);
    let ask = |key: &ApiKey| spawn(&layer, key);
    assert_eq!(ask(&known).await.unwrap(), 200);
    clock.advance(Duration::from_secs(30));

    let invented: Vec<_> = (0..64).map(|_| ask(&key())).collect();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(ask(&key()).await.unwrap(), 503, "one too many");
    let renewed = ask(&known);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(database.fetched(), 1 + 64 + 1);
    gate.add_permits(65);
    assert_eq!(renewed.await.unwrap(), 200);
    for request in invented {
        assert_eq!(request.await.unwrap(), 401);
    }
}

#[tokio::test(start_paused = true)]
async fn key_03_a_key_whose_renewal_fails_or_is_given_up_is_renewed_before_invented_ones() {
    for fails in [true, false] {
        let (known, clock) = (key(), ManualClock::new());
        let gate = Arc::new(Semaphore::new(1));
        let database = Database { gate: Some(Arc::clone(&gate)), ..Database::with(known.record("billing")) };
        let layer = cached(&database, &clock);
        let ask = |key: &ApiKey| spawn(&layer, key);
        assert_eq!(ask(&known).await.unwrap(), 200);
        clock.advance(Duration::from_secs(30));
        if fails {
            database.goes(true);
            gate.add_permits(1);
            assert_eq!(ask(&known).await.unwrap(), 503);
            database.goes(false);
            clock.advance(Duration::from_secs(1));
        } else {
            let given_up = ask(&known);
            sleep(Duration::from_millis(10)).await;
            given_up.abort();
            assert!(given_up.await.unwrap_err().is_cancelled());
        }
        assert_eq!(database.fetched(), 2);

        let invented: Vec<_> = (0..64).map(|_| ask(&key())).collect();
        sleep(Duration::from_millis(10)).await;
        let renewed = ask(&known);
        sleep(Duration::from_millis(10)).await;
        assert_eq!(database.fetched(), 2 + 64 + 1, "fails: {fails}");
        gate.add_permits(65);
        assert_eq!(renewed.await.unwrap(), 200);
        for request in invented {
            assert_eq!(request.await.unwrap(), 401);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn key_03_a_key_that_is_gone_is_not_put_back() {
    let (key, clock) = (key(), ManualClock::new());
    let database = Database::with(key.record("billing"));
    let keys = CachedKeys::new(database.clone()).with_clock(Clock::from(clock.clone()));
    let layer = ApiKeyLayer::new(keys.clone());
    assert_eq!(send(&layer, with_key(&key)).await.status(), 200);
    clock.advance(Duration::from_secs(30));
    database.goes(true);
    assert_eq!(send(&layer, with_key(&key)).await.status(), 503);
    assert!(format!("{keys:?}").contains("found: 1"), "{keys:?}");
    database.goes(false);
    database.records.lock().unwrap().clear();
    clock.advance(Duration::from_secs(1));
    assert_eq!(send(&layer, with_key(&key)).await.status(), 401);
    assert!(format!("{keys:?}").contains("found: 0"), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn key_03_a_store_that_hangs_is_found_out_also_by_who_asks_in_the_place_of_another() {
    let key = key();
    let database =
        Database { gate: Some(Arc::new(Semaphore::new(0))), ..Database::with(key.record("billing")) };
    let layer = cached(&database, &ManualClock::new());
    let ask = || spawn(&layer, &key);
    let first = ask();
    sleep(Duration::from_millis(100)).await;
    let (start, second) = (Instant::now(), ask());
    sleep(Duration::from_millis(400)).await;
    first.abort();
    assert_eq!(second.await.unwrap(), 503);
    assert_eq!(start.elapsed(), Duration::from_secs(1), "a request waits no longer than that");
    assert_eq!(database.fetched(), 2);
    assert_eq!(ask().await.unwrap(), 503);
    assert_eq!(
        (database.fetched(), start.elapsed()),
        (2, Duration::from_secs(1)),
        "the failure is remembered"
    );
}

/// Answers, but takes its time.
#[derive(Clone)]
struct Slow(KeyRecord, Duration);

impl AsyncKeyStore for Slow {
    type Error = io::Error;

    async fn fetch(&self, _: &str) -> io::Result<Option<KeyRecord>> {
        sleep(self.1).await;
        Ok(Some(self.0.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn key_03_who_asks_in_the_place_of_another_and_has_too_little_time_says_nothing_of_the_store() {
    let (key, clock, ms) = (key(), ManualClock::new(), Duration::from_millis);
    let store = CachedKeys::new(Slow(key.record("billing"), ms(400)));
    let layer = ApiKeyLayer::new(store.with_clock(Clock::from(clock.clone())));
    let ask = || spawn(&layer, &key);
    assert_eq!(ask().await.unwrap(), 200);
    clock.advance(Duration::from_secs(30));
    // Two that go away with the turn to ask, and one that has it at last, 370 ms before its own end.
    let first = ask();
    sleep(ms(5)).await;
    let second = ask();
    sleep(ms(5)).await;
    let third = ask();
    sleep(ms(290)).await;
    first.abort();
    sleep(ms(340)).await;
    second.abort();
    assert_eq!(third.await.unwrap(), 503);
    assert_eq!(ask().await.unwrap(), 200, "the store is well");
}

#[tokio::test]
async fn a_record_that_can_never_work_or_is_not_the_one_asked_for_is_a_failure_of_the_store() {
    let (key, other) = (key(), key());
    let database = Database::with(key.record(""));
    let layer = cached(&database, &ManualClock::new());
    assert_eq!(send(&layer, with_key(&key)).await.status(), 503);
    database.records.lock().unwrap().insert(other.id().to_owned(), key.record("billing"));
    assert_eq!(send(&layer, with_key(&other)).await.status(), 503);
}

#[tokio::test]
async fn key_04_an_awaited_key_is_held_to_everything_that_a_known_one_is() {
    let key = key();
    let forged = key.record("x").rotate().unwrap();
    let name = HeaderName::from_static("x-user-id");
    let record = key.record("billing").with_routes(["pkg.Orders/Create"]);
    let open = Database::with(key.record("billing"));
    let clock = ManualClock::new();
    for round in ["asked", "remembered"] {
        let limited = cached(&Database::with(record.clone()), &clock);
        if round == "remembered" {
            send(&limited, with_key(&key)).await;
        }
        assert_eq!(send(&limited, with_key(&key)).await.status(), 403, "{round}: another route");
        let call = send(&limited, support::grpc(&[("x-api-key", key.expose())])).await;
        assert!(call.handled.is_some(), "{round}");

        let layer = cached(&open, &clock)
            .with_identity_header(name.clone())
            .unwrap()
            .with_query_parameter("key")
            .unwrap();
        if round == "asked" {
            assert_eq!(send(&layer, with_key(&forged)).await.status(), 401);
        }
        let target = format!("/orders?key={}&page=2", key.expose());
        let seen: Seen =
            send(&layer, get(&target).header("x-user-id", "root").body(String::new()).unwrap()).await;
        assert_eq!(seen.header("cache-control"), "no-store", "aut_06, {round}");
        let handled = seen.handled.unwrap();
        assert_eq!(
            (handled.uri.to_string(), &handled.headers["x-user-id"]),
            ("/orders?page=2".to_owned(), &"billing".parse().unwrap())
        );
        let twice = get(&target).header("x-api-key", key.expose()).body(String::new()).unwrap();
        assert_eq!(send(&layer, twice).await.status(), 400);
        let optional = layer.optional();
        assert_eq!(send(&optional, Request::default()).await.status(), 200);
        assert_eq!(send(&optional, with_key(&forged)).await.status(), 401);
    }
}

#[tokio::test]
async fn key_05_a_failed_attempt_is_told_from_a_missing_key() {
    let key = key();
    let database = Database::with(key.record("billing"));
    let layer = cached(&database, &ManualClock::new());
    let is_failed =
        |seen: &Seen| seen.response.extensions().get::<Rejection>().unwrap().is_failed_credential();
    assert!(is_failed(&send(&layer, with_key(&key.record("x").rotate().unwrap())).await));
    assert!(!is_failed(&send(&layer, Request::default()).await));
    database.goes(true);
    assert!(!is_failed(&send(&layer, with_key(&ApiKey::generate("a").unwrap())).await), "nobody knows");
}

#[test]
fn settings_that_can_never_work_are_refused_by_name() {
    let keys = || CachedKeys::new(Database::default());
    let zero = Duration::ZERO;
    for (field, result) in [
        ("ttl", keys().with_ttl(zero)),
        ("ttl", keys().with_ttl(Duration::from_secs(3601))),
        ("negative_ttl", keys().with_negative_ttl(zero)),
        ("capacity", keys().with_capacity(0, 1)),
        ("negative_capacity", keys().with_capacity(1, 0)),
        ("timeout", keys().with_timeout(zero)),
    ] {
        assert_eq!(result.unwrap_err().field(), field);
    }
}
