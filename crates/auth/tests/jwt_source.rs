//! Sources of keys that must be waited for.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod mint;
mod support;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bartizan_auth::{Algorithm, AnyKeys, JwtLayer, KeyQuery, KeySet, KeySource, Lookup, SharedKeys};
use bartizan_core::{Clock, ManualClock, Rejection, RequestContext};
use http::Request;
use serde_json::json;
use tokio::sync::Semaphore;
use tower::{Service, ServiceBuilder, service_fn};

use self::{
    mint::{Signer, bearer, policy},
    support::{grpc, send},
};

/// A source that fetches: what comes with the next permit.
#[derive(Clone)]
struct Fetching {
    keys: SharedKeys,
    next: Arc<KeySet>,
    loaded: bool,
    asked: Arc<AtomicUsize>,
    arrival: Arc<Semaphore>,
}

impl Fetching {
    fn new(now: KeySet, next: KeySet) -> Self {
        Self {
            keys: SharedKeys::new(now),
            next: Arc::new(next),
            loaded: true,
            asked: Arc::default(),
            arrival: Arc::new(Semaphore::new(0)),
        }
    }
}

impl KeySource for Fetching {
    type Refresh = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        if self.loaded {
            self.keys.lookup(query)
        } else {
            Lookup::NotLoaded { retry_after: Duration::from_millis(1_500) }
        }
    }

    fn generation(&self) -> u64 {
        self.keys.generation()
    }

    fn refresh(&self, query: &KeyQuery<'_>) -> Option<Self::Refresh> {
        assert!(query.kid.is_some());
        self.asked.fetch_add(1, Ordering::SeqCst);
        let this = self.clone();
        Some(Box::pin(async move {
            this.arrival.acquire().await.unwrap().forget();
            this.keys.replace(KeySet::clone(&this.next));
        }))
    }
}

fn named(kid: &str) -> (Signer, KeySet, String) {
    let signer = Signer::for_algorithm(Algorithm::Es256);
    let keys = KeySet::from(signer.key(Algorithm::Es256).with_kid(kid).unwrap());
    let token =
        signer.token(Algorithm::Es256, &json!({"alg": "ES256", "kid": kid}), &mint::claims(&json!({})));
    (signer, keys, token)
}

/// A service that says who called.
fn who()
-> impl Service<Request<String>, Response = http::Response<String>, Error = std::convert::Infallible, Future: Send>
+ Clone {
    service_fn(async |request: Request<String>| {
        let principal = RequestContext::get(request.extensions()).and_then(RequestContext::principal);
        let subject = principal.map(|principal| principal.subject().to_owned());
        assert!(!request.headers().contains_key("authorization"));
        Ok(http::Response::new(subject.unwrap_or_default()))
    })
}

#[tokio::test]
async fn jwk_03_a_request_with_an_unknown_key_waits_and_one_with_a_known_key_does_not() {
    let ((_, old, known), (_, new, unknown)) = (named("old"), named("new"));
    let source = Fetching::new(old, new);
    let layer = JwtLayer::new(source.clone(), policy()).with_clock(Clock::from(ManualClock::new()));
    assert_eq!(send(&layer, bearer(&known)).await.status(), 200);
    assert_eq!(source.asked.load(Ordering::SeqCst), 0);

    let mut waiting = Box::pin(send(&layer, bearer(&unknown)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert_eq!(send(&layer, bearer(&known)).await.status(), 200, "meanwhile");
    source.arrival.add_permits(1);
    let seen = waiting.await;
    assert_eq!((seen.status(), seen.principal().unwrap().subject()), (200, "alice"));
    assert!(seen.handled.unwrap().headers.is_empty());
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn jwk_03_a_key_that_no_refresh_brings_is_refused_after_one_wait() {
    let ((_, old, _), (_, _, stranger)) = (named("old"), named("stranger"));
    let source = Fetching::new(old.clone(), old);
    source.arrival.add_permits(9);
    let layer = JwtLayer::new(source.clone(), policy()).with_clock(Clock::from(ManualClock::new()));
    let seen = send(&layer, bearer(&stranger)).await;
    assert_eq!((seen.status(), source.asked.load(Ordering::SeqCst)), (401, 1));
    let cause = seen.response.extensions().get::<Rejection>().unwrap().cause().map(str::to_owned);
    assert_eq!(cause.as_deref(), Some("unknown_key"));
    let (signer, ..) = named("old");
    let header = json!({"alg": "ES256", "kid": "old"});
    let forged = signer.token(Algorithm::Es256, &header, &mint::claims(&json!({})));
    assert_eq!(send(&layer, bearer(&forged)).await.status(), 401);
    assert_eq!(source.asked.load(Ordering::SeqCst), 1, "a bad signature asks for nothing");
}

#[tokio::test]
async fn jwk_03_a_key_without_a_name_that_does_not_verify_is_not_the_one_that_was_named() {
    let (signer, _, token) = named("any");
    let (new, _, unknown) = named("new");
    let unnamed = || signer.key(Algorithm::Es256);
    let newer = || KeySet::new([unnamed(), new.key(Algorithm::Es256).with_kid("new").unwrap()]);
    let source = Fetching::new(KeySet::from(unnamed()), newer());
    let layer = JwtLayer::new(source.clone(), policy()).with_clock(Clock::from(ManualClock::new()));
    assert_eq!(send(&layer, bearer(&token)).await.status(), 200, "it goes by any name");
    assert_eq!(source.asked.load(Ordering::SeqCst), 0);
    source.arrival.add_permits(9);
    assert_eq!(send(&layer, bearer(&unknown)).await.status(), 200, "newer keys had it");
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    let seen = send(&layer, bearer(&named("stranger").2)).await;
    assert_eq!((seen.status(), source.asked.load(Ordering::SeqCst)), (401, 2), "one wait, and no more");

    // Two without a name: neither is tried, and the named one may come.
    let ambiguous = KeySet::new([unnamed(), Signer::for_algorithm(Algorithm::Es256).key(Algorithm::Es256)]);
    let source = Fetching::new(ambiguous, newer());
    source.arrival.add_permits(9);
    let layer = JwtLayer::new(source.clone(), policy()).with_clock(Clock::from(ManualClock::new()));
    assert_eq!(send(&layer, bearer(&unknown)).await.status(), 200);
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn jwt_17_a_key_that_makes_another_ambiguous_or_hides_it_is_seen_by_tokens_that_were_accepted() {
    let ((signer, _, token), (other, ..)) = (named("a"), named("a"));
    let unnamed = || signer.key(Algorithm::Es256);
    let old = || unnamed().with_kid("a").unwrap();
    let twin = || other.key(Algorithm::Es256).with_kid("a").unwrap();
    for (what, before, after, status) in [
        ("ambiguous", KeySet::from(old()), KeySet::new([old(), twin()]), 401),
        ("hidden", KeySet::from(unnamed()), KeySet::new([unnamed(), twin()]), 401),
        ("twice", KeySet::from(old()), KeySet::new([old(), old()]), 401),
        ("the same", KeySet::new([old(), unnamed()]), KeySet::new([unnamed(), old()]), 200),
    ] {
        let keys = SharedKeys::new(before);
        let layer = JwtLayer::new(keys.clone(), policy()).with_clock(Clock::from(ManualClock::new()));
        assert_eq!(send(&layer, bearer(&token)).await.status(), 200, "{what}");
        let generation = keys.generation();
        keys.replace(after);
        assert_eq!(keys.generation() == generation, status == 200, "{what}");
        assert_eq!(send(&layer, bearer(&token)).await.status(), status, "{what}");
    }
}

#[tokio::test]
async fn jwk_04_before_the_keys_are_there_the_answer_is_503_and_never_401() {
    let (_, keys, token) = named("a");
    let source = Fetching { loaded: false, ..Fetching::new(keys.clone(), keys) };
    source.arrival.add_permits(9);
    // Through a source of any kind, which answers the same.
    let layer = JwtLayer::new(AnyKeys::new(source), policy()).with_clock(Clock::from(ManualClock::new()));
    let seen = send(&layer, bearer(&token)).await;
    assert_eq!((seen.status(), seen.header("retry-after"), seen.header("www-authenticate")), (503, "2", ""));
    let seen = send(&layer, grpc(&[("authorization", &format!("Bearer {token}"))])).await;
    assert_eq!(seen.header("grpc-status"), "14");
    assert_eq!(send(&layer, Request::default()).await.status(), 401, "nothing to verify");
}

#[tokio::test]
async fn a_wait_holds_the_service_that_was_polled_ready_and_ends_with_the_request() {
    let ((_, old, _), (_, new, unknown)) = (named("old"), named("new"));
    let source = Fetching::new(old, new);
    let layer = JwtLayer::new(source.clone(), policy()).with_clock(Clock::from(ManualClock::new()));
    let mut service = ServiceBuilder::new().layer(layer).concurrency_limit(1).service(who());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    let mut waiting = Box::pin(service.call(bearer(&unknown)));
    assert!(format!("{waiting:?}").contains("is_waiting: true"));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert!(service.poll_ready(&mut cx).is_pending(), "the one permit is taken");
    drop(waiting);
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    let answer = service.call(bearer(&unknown));
    source.arrival.add_permits(1);
    assert!(answer.await.unwrap().status().is_success());
}
