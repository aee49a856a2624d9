//! What a policy decides, and what is remembered of it.

mod support;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan_auth::{
    AccessPolicy, AsyncPolicy, AuthorizeLayer, PolicyDecision, PolicyQuery, Require, RequireLayer,
};
use bartizan_core::{ClientAddr, Clock, ManualClock, MatchedRoute, Principal, RequestContext, TimeSource};
use http::Request;
use tokio::time::{Instant, sleep};

use self::support::{Seen, send};

/// Answers as it is told, and keeps what it was asked.
#[derive(Clone, Default)]
struct Engine {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<PolicyQuery>>>,
    running: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default)]
enum Answer {
    #[default]
    Allow,
    Deny,
    Hide,
    Fail,
    /// Allows, after a while.
    Slow(Duration),
}

impl AsyncPolicy for Engine {
    type Error = io::Error;

    async fn decide(&self, query: &PolicyQuery) -> io::Result<PolicyDecision> {
        self.asked.lock().unwrap().push(query.clone());
        let answer = *self.answer.lock().unwrap();
        let _running = Running::new(&self.running);
        match answer {
            Answer::Allow => Ok(PolicyDecision::Allow),
            Answer::Deny => Ok(PolicyDecision::Deny),
            Answer::Hide => Ok(PolicyDecision::Hide),
            Answer::Fail => Err(io::Error::other("the engine is on fire")),
            Answer::Slow(time) => {
                sleep(time).await;
                Ok(PolicyDecision::Allow)
            }
        }
    }
}

struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Engine {
    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn alice() -> Principal {
    Principal::user("alice").scopes(["orders:read"]).tenant("acme").build()
}

fn get_by(principal: Principal, target: &str) -> Request<String> {
    let mut request = Request::get(target).body(String::new()).unwrap();
    RequestContext::of(&mut request).set_principal(principal);
    request.extensions_mut().insert(MatchedRoute::template("/t/{tenant}/orders/{id}"));
    request
}

fn request() -> Request<String> {
    get_by(alice(), "/t/acme/orders/7")
}

fn layer(policy: AccessPolicy) -> AuthorizeLayer<AccessPolicy> {
    RequireLayer::scope("orders:read").with_policy(policy)
}

fn outcome(seen: &Seen) -> (u16, bool) {
    (seen.status(), seen.handled.is_some())
}

#[tokio::test(start_paused = true)]
async fn azn_01_a_policy_decides_and_its_failure_is_503() {
    let engine = Engine::default();
    let layer = layer(AccessPolicy::new(engine.clone()));
    for (answer, expected, code) in [
        (Answer::Allow, (200, true), ""),
        (Answer::Deny, (403, false), "permission_denied"),
        (Answer::Hide, (404, false), "not_found"),
        (Answer::Fail, (503, false), "dependency_unavailable"),
        (Answer::Slow(Duration::from_millis(499)), (200, true), ""),
        (Answer::Slow(Duration::from_millis(501)), (503, false), "dependency_unavailable"),
    ] {
        engine.answers(answer);
        let seen = send(&layer, request()).await;
        assert_eq!(outcome(&seen), expected, "{code}");
        assert!(std::str::from_utf8(&seen.body).unwrap().contains(code));
        assert!(!std::str::from_utf8(&seen.body).unwrap().contains("fire"), "the cause is for logs");
        assert_eq!(seen.header("retry-after"), if expected.0 == 503 { "1" } else { "" });
    }
    assert_eq!(engine.running.load(Ordering::SeqCst), 0, "who waits too long is not left behind");
    engine.answers(Answer::Fail);
    let mut fresh =
        Request::post("/pkg.Svc/Do").header("content-type", "application/grpc").body(String::new()).unwrap();
    RequestContext::of(&mut fresh).set_principal(alice());
    assert_eq!(send(&layer, fresh).await.header("grpc-status"), "14");
}

#[tokio::test(start_paused = true)]
async fn azn_01_the_time_of_a_policy_is_bounded_and_settable() {
    let engine = Engine::default();
    engine.answers(Answer::Slow(Duration::from_secs(3600)));
    let start = Instant::now();
    let policy = AccessPolicy::new(engine.clone()).with_timeout(Duration::from_millis(50)).unwrap();
    assert_eq!(send(&layer(policy), request()).await.status(), 503);
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    for (field, error) in [
        ("timeout", AccessPolicy::new(Engine::default()).with_timeout(Duration::ZERO)),
        ("timeout", AccessPolicy::new(Engine::default()).with_timeout(Duration::from_secs(61))),
        ("capacity", AccessPolicy::new(Engine::default()).with_cache(0, Duration::from_secs(1))),
        ("ttl", AccessPolicy::new(Engine::default()).with_cache(1, Duration::ZERO)),
    ] {
        assert_eq!(error.unwrap_err().field(), field);
    }
}

#[tokio::test]
async fn azn_03_a_policy_sees_principal_action_resource_and_context() {
    let engine = Engine::default();
    let policy = AccessPolicy::new(engine.clone()).with_attribute("device", |access| {
        access.headers().get("x-device").and_then(|value| value.to_str().ok()).map(str::to_owned)
    });
    let mut request = get_by(alice(), "/t/acme/orders/a%20b?x=1");
    *request.method_mut() = http::Method::HEAD;
    request.headers_mut().insert("x-device", "phone".parse().unwrap());
    let addr = ClientAddr::new("192.0.2.1".parse().unwrap());
    RequestContext::of(&mut request).set_client_addr(addr);
    assert_eq!(send(&layer(policy), request).await.status(), 200);

    let asked = engine.asked.lock().unwrap();
    let query = &asked[0];
    assert_eq!((query.principal(), query.method()), (&alice(), &http::Method::GET), "HEAD reads like GET");
    assert_eq!((query.route(), query.path()), ("/t/{tenant}/orders/{id}", "/t/acme/orders/a%20b"));
    assert_eq!(
        (query.param("tenant"), query.param("id"), query.param("x")),
        (Some("acme"), Some("a b"), None)
    );
    assert_eq!((query.attribute("device"), query.attribute("other")), (Some("phone"), None));
    assert_eq!(query.client_addr(), Some(addr.ip()));
    assert!(!format!("{query:?}").contains("phone"), "attributes may be secrets");
}

#[tokio::test]
async fn azn_03_a_policy_is_asked_after_the_rules_and_not_on_public_routes() {
    let engine = Engine::default();
    let table = AuthorizeLayer::table()
        .public("GET", "/health")
        .route("GET", "/orders", Require::scope("orders:write"))
        .route("GET", "/t/{tenant}/orders/{id}", Require::authenticated())
        .build()
        .unwrap()
        .with_policy(AccessPolicy::new(engine.clone()));
    let plain = |target: &str| Request::get(target).body(String::new()).unwrap();
    assert_eq!(send(&table, plain("/health")).await.status(), 200);
    assert_eq!(send(&table, plain("/orders")).await.status(), 401);
    assert_eq!(send(&table, plain("/other")).await.status(), 403);
    assert_eq!(engine.count(), 0);
    let mut request = plain("/t/acme/orders/7");
    RequestContext::of(&mut request).set_principal(alice());
    assert_eq!(send(&table, request).await.status(), 200);
    let asked = engine.asked.lock().unwrap();
    assert_eq!(
        (asked[0].route(), asked[0].param("id")),
        ("/t/{tenant}/orders/{id}", Some("7")),
        "of the table"
    );
}

#[tokio::test]
async fn azn_03_remembered_decisions_are_keyed_on_all_that_was_seen() {
    let engine = Engine::default();
    let policy = || {
        AccessPolicy::new(engine.clone())
            .with_cache(100, Duration::from_secs(60))
            .unwrap()
            .with_attribute("device", |access| {
                access.headers().get("x-device").and_then(|it| it.to_str().ok()).map(str::to_owned)
            })
    };
    let layer = layer(policy());
    let base = || Principal::user("alice").scopes(["orders:read"]).tenant("acme");
    let mut seen = 0;
    let mut at_addr = request();
    RequestContext::of(&mut at_addr).set_client_addr(ClientAddr::new("192.0.2.1".parse().unwrap()));
    let mut with_device = request();
    with_device.headers_mut().insert("x-device", "phone".parse().unwrap());
    let mut posted = request();
    *posted.method_mut() = http::Method::POST;
    let mut elsewhere = request();
    elsewhere.extensions_mut().insert(MatchedRoute::template("/t/{tenant}/{kind}/{id}"));
    for (what, request) in [
        ("first", request()),
        ("roles", get_by(base().roles(["admin"]).build(), "/t/acme/orders/7")),
        ("scopes", get_by(base().scopes(["orders:read", "x"]).build(), "/t/acme/orders/7")),
        ("tenant", get_by(base().tenant("other").build(), "/t/acme/orders/7")),
        (
            "kind",
            get_by(
                Principal::service("alice").scopes(["orders:read"]).tenant("acme").build(),
                "/t/acme/orders/7",
            ),
        ),
        ("issuer", get_by(base().issuer("idp").build(), "/t/acme/orders/7")),
        ("credential", get_by(base().credential_id("k2").build(), "/t/acme/orders/7")),
        ("resource", get_by(alice(), "/t/acme/orders/8")),
        ("route", elsewhere),
        ("action", posted),
        ("address", at_addr),
        ("attribute", with_device),
    ] {
        assert_eq!(send(&layer, request).await.status(), 200);
        seen += 1;
        assert_eq!(engine.count(), seen, "{what} is another question");
    }
    engine.answers(Answer::Deny);
    assert_eq!(send(&layer, request()).await.status(), 200, "the first decision stands");
    assert_eq!(send(&layer.clone(), request()).await.status(), 200);
    assert_eq!(engine.count(), seen);
    assert_eq!(send(&layer, get_by(alice(), "/t/acme/orders/9")).await.status(), 403);
    engine.answers(Answer::Allow);
    assert_eq!(
        send(&layer, get_by(alice(), "/t/acme/orders/9")).await.status(),
        403,
        "a denial is remembered too"
    );
}

#[tokio::test]
async fn azn_03_remembered_decisions_end_with_their_time_and_with_the_credential() {
    let clock = ManualClock::new();
    let engine = Engine::default();
    let policy = AccessPolicy::new(engine.clone())
        .with_cache(100, Duration::from_secs(60))
        .unwrap()
        .with_clock(Clock::from(clock.clone()));
    let layer = layer(policy);
    let expiring = Principal::user("bob")
        .scopes(["orders:read"])
        .expires_at(clock.wall() + Duration::from_secs(30))
        .build();
    let bob = || get_by(expiring.clone(), "/t/acme/orders/7");
    for request in [request(), request(), bob(), bob()] {
        send(&layer, request).await;
    }
    assert_eq!(engine.count(), 2);
    clock.advance(Duration::from_secs(30));
    engine.answers(Answer::Deny);
    assert_eq!(send(&layer, bob()).await.status(), 403, "the token has expired");
    assert_eq!(send(&layer, bob()).await.status(), 403);
    assert_eq!(engine.count(), 4, "and what is said of it now is not remembered");
    assert_eq!(send(&layer, request()).await.status(), 200);
    clock.advance(Duration::from_secs(30));
    assert_eq!(send(&layer, request()).await.status(), 403);
    assert_eq!(engine.count(), 5);

    engine.answers(Answer::Fail);
    for count in [6, 7] {
        assert_eq!(send(&layer, get_by(alice(), "/t/acme/orders/10")).await.status(), 503);
        assert_eq!(engine.count(), count, "a failure is not a decision");
    }
}

#[tokio::test]
async fn azn_03_what_is_remembered_is_bounded() {
    let engine = Engine::default();
    let policy = AccessPolicy::new(engine.clone()).with_cache(10, Duration::from_secs(60)).unwrap();
    let layer = layer(policy);
    let all = || async {
        for id in 0..1_000 {
            send(&layer, get_by(alice(), &format!("/t/acme/orders/{id}"))).await;
        }
    };
    all().await;
    assert_eq!(engine.count(), 1_000);
    all().await;
    assert!(engine.count() > 1_900, "at most a few of 1000 are still known: {}", engine.count());
}

#[tokio::test]
async fn azn_03_a_question_of_any_length_is_answered_and_a_long_one_not_remembered() {
    let engine = Engine::default();
    let policy = AccessPolicy::new(engine.clone()).with_cache(10, Duration::from_secs(60)).unwrap();
    let layer = layer(policy);
    let mut expected = 0;
    // The path holds the parameter once more.
    for (length, is_remembered) in [(900, true), (1_000, true), (1_024, false), (60_000, false)] {
        let target = format!("/t/acme/orders/{}", "7".repeat(length));
        for asked in [1, if is_remembered { 0 } else { 1 }] {
            expected += asked;
            assert_eq!(send(&layer, get_by(alice(), &target)).await.status(), 200);
            assert_eq!(engine.count(), expected, "{length}");
        }
    }
}

#[tokio::test]
async fn an_attribute_without_a_bound_fails_closed() {
    let engine = Engine::default();
    let policy = AccessPolicy::new(engine.clone()).with_attribute("body", |_| Some("x".repeat(1025)));
    assert_eq!(send(&layer(policy), request()).await.status(), 503);
    assert_eq!(engine.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_the_policy_and_lets_pass() {
    let engine = Engine::default();
    let layer = layer(AccessPolicy::new(engine.clone())).with_dry_run();
    for answer in [Answer::Deny, Answer::Fail, Answer::Slow(Duration::from_secs(9))] {
        engine.answers(answer);
        assert_eq!(outcome(&send(&layer, request()).await), (200, true));
    }
    assert_eq!(engine.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_takes_the_question_along() {
    let engine = Engine::default();
    engine.answers(Answer::Slow(Duration::from_millis(400)));
    let layer = layer(AccessPolicy::new(engine.clone()));
    {
        let mut asked = std::pin::pin!(send(&layer, request()));
        tokio::select! {
            biased;
            _ = &mut asked => panic!("it is slow"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(engine.running.load(Ordering::SeqCst), 1);
    }
    assert_eq!(engine.running.load(Ordering::SeqCst), 0);
}
