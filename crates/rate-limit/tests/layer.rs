//! The layer, from request to response.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use bartizan_core::{
    ClientAddr, Clock, Fact, ManualClock, Principal, Problem, Rejection, RequestContext, ServerLayer,
    TimeSource, fact, phase,
};
use bartizan_rate_limit::{
    Global, Key, KeyFn, Keys, LimitedBody, MissingKey, PerClientAddr, PerPrincipal, Rate, RateLimitLayer,
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Response<LimitedBody<String>>;

fn service<K: Keys>(
    layer: &RateLimitLayer<K>,
) -> impl Service<Request<String>, Response = Answer, Error = Infallible> + use<K> {
    layer.layer(service_fn(async |request: Request<String>| Ok(Response::new(request.into_body()))))
}

async fn send<K: Keys>(layer: &RateLimitLayer<K>, request: Request<String>) -> Answer {
    match service(layer).oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

fn request() -> Request<String> {
    Request::new(String::new())
}

fn from(addr: &str) -> Request<String> {
    let mut request = request();
    RequestContext::of(&mut request).set_client_addr(ClientAddr::new(addr.parse().unwrap()));
    request
}

fn by(principal: Principal) -> Request<String> {
    let mut request = request();
    RequestContext::of(&mut request).set_principal(principal);
    request
}

/// One request at once, and one every 90 seconds.
fn slow() -> Rate {
    Rate::new(1, Duration::from_secs(90)).unwrap()
}

fn limited(answer: &Answer) -> bool {
    match answer.status() {
        StatusCode::OK => false,
        StatusCode::TOO_MANY_REQUESTS => true,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn rl_01_retry_after_is_there_and_rounded_up() {
    let time = ManualClock::new();
    let layer = RateLimitLayer::new(slow()).by(PerClientAddr).with_clock(Clock::from(time.clone()));
    assert!(!limited(&send(&layer, from("192.0.2.1")).await));
    for (millis, seconds) in [(0, "90"), (1, "90"), (999, "89"), (88_999, "1")] {
        time.advance(Duration::from_millis(millis));
        let refused = send(&layer, from("192.0.2.1")).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], seconds);
        assert_eq!(refused.headers()["cache-control"], "no-store");
    }
    time.advance(Duration::from_millis(1));
    assert!(!limited(&send(&layer, from("192.0.2.1")).await), "not later than was said");
}

#[tokio::test]
async fn rl_06_the_problem_has_the_registered_type_and_names_the_policy() {
    let layer =
        RateLimitLayer::new("1/90s burst 2".parse().unwrap()).by(PerClientAddr).with_name("slow").unwrap();
    for _ in 0..2 {
        assert!(!limited(&send(&layer, from("192.0.2.1")).await));
    }
    let refused = send(&layer, from("192.0.2.1")).await;
    let rejection = refused.extensions().get::<Rejection>().unwrap().clone();
    assert_eq!(rejection.layer(), Some("rate_limit"));
    let problem = Problem::from_slice(&refused.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(problem.problem_type(), "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem.extensions["violated-policies"], serde_json::json!(["slow"]));
    assert_eq!(problem.extensions["code"], "rate_limited");
    assert_eq!(rejection.quotas()[0].subject, "slow");
    assert_eq!(rejection.quotas()[0].description, "The limit is 1/90s burst 2.");
}

#[tokio::test]
async fn grpc_06_a_grpc_caller_sees_resource_exhausted_with_its_details() {
    let time = ManualClock::new();
    let layer = RateLimitLayer::new(slow()).by(Global).with_clock(Clock::from(time));
    let call =
        || Request::post("/a.B/C").header("content-type", "application/grpc").body(String::new()).unwrap();
    assert!(!limited(&send(&layer, call()).await));
    let refused = send(&layer, call()).await;
    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(refused.headers()["grpc-status"], "8");
    assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "90000");
    let details = STANDARD_NO_PAD.decode(&refused.headers()["grpc-status-details-bin"]).unwrap();
    let details = String::from_utf8_lossy(&details);
    for expected in
        ["ErrorInfo", "RATE_LIMITED", "RetryInfo", "QuotaFailure", "global", "The limit is 1/90s."]
    {
        assert!(details.contains(expected), "{expected} is not in {details}");
    }
    assert!(!refused.headers().contains_key("retry-after"), "of HTTP alone");
}

#[tokio::test]
async fn addresses_and_principals_are_counted_apart() {
    let layer = RateLimitLayer::new(slow()).by(PerClientAddr);
    assert!(!limited(&send(&layer, from("192.0.2.1")).await));
    assert!(limited(&send(&layer, from("::ffff:192.0.2.1")).await), "the same, spelt otherwise");
    assert!(!limited(&send(&layer, from("192.0.2.2")).await));
    assert!(!limited(&send(&layer, from("2001:db8::1")).await));
    assert!(limited(&send(&layer, from("2001:db8::2")).await), "one customer's network");

    let layer = RateLimitLayer::new(slow()).by(PerPrincipal);
    assert!(!limited(&send(&layer, by(Principal::user("ada").build())).await));
    assert!(limited(&send(&layer, by(Principal::user("ada").credential_id("2").build())).await));
    assert!(!limited(&send(&layer, by(Principal::service("ada").build())).await));
    assert!(!limited(&send(&layer, by(Principal::user("ada").issuer("idp").build())).await));
}

#[tokio::test]
async fn rl_11_requests_without_a_key_share_a_bucket() {
    let layer = RateLimitLayer::new(slow()).by(PerClientAddr);
    assert!(!limited(&send(&layer, request()).await));
    assert!(limited(&send(&layer, request()).await), "without a context");
    assert!(
        limited(&send(&layer, by(Principal::user("ada").build())).await),
        "with one that lacks the address"
    );
    assert!(!limited(&send(&layer, from("0.0.0.0")).await), "an address is another key");
}

#[tokio::test]
async fn rl_11_requests_without_a_key_are_refused_on_demand() {
    let layer = RateLimitLayer::new(slow()).by(PerPrincipal).with_missing_key(MissingKey::Refuse);
    for _ in 0..2 {
        let refused = send(&layer, request()).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.extensions().get::<Rejection>().unwrap().layer(), Some("rate_limit"));
    }
    assert!(!limited(&send(&layer, by(Principal::user("ada").build())).await));
}

#[tokio::test]
async fn a_closure_makes_keys_of_what_the_head_says() {
    let by_header = KeyFn::<phase::AddressLimit, _>::new(|head| {
        head.headers().get("x-device").map(|value| Key::bytes(value.as_bytes()))
    });
    let layer = RateLimitLayer::new(slow()).by(by_header.clone());
    let device = |id: &str| Request::get("/").header("x-device", id).body(String::new()).unwrap();
    let long = "d".repeat(4_000);
    for id in ["a", "b", &long] {
        assert!(!limited(&send(&layer, device(id)).await));
        assert!(limited(&send(&layer, device(id)).await));
    }
    let by_method = KeyFn::<phase::Load, _>::new(|head| {
        assert_eq!((head.uri().path(), head.version()), ("/", http::Version::HTTP_11));
        assert!(head.context().is_none() && head.extensions().is_empty());
        Some(Key::text(head.method().as_str()))
    });
    let layer = RateLimitLayer::new(slow()).by(by_method);
    assert!(!limited(&send(&layer, request()).await));
    assert!(!limited(&send(&layer, Request::post("/").body(String::new()).unwrap()).await));
    assert!(limited(&send(&layer, request()).await));
}

#[tokio::test]
async fn a_request_is_asked_for_its_key_once_and_the_clock_for_the_time() {
    #[derive(Default)]
    struct Counted {
        time: ManualClock,
        readings: Arc<AtomicUsize>,
    }
    impl TimeSource for Counted {
        fn now(&self) -> Instant {
            self.readings.fetch_add(1, Relaxed);
            self.time.now()
        }
        fn wall(&self) -> SystemTime {
            self.time.wall()
        }
    }
    let (counted, keys) = (Counted::default(), Arc::new(AtomicUsize::new(0)));
    let (time, readings) = (counted.time.clone(), Arc::clone(&counted.readings));
    let asked = Arc::clone(&keys);
    let by_device = KeyFn::<phase::Load, _>::new(move |head| {
        asked.fetch_add(1, Relaxed);
        head.headers().get("x-device").map(|value| Key::bytes(value.as_bytes()))
    });
    let layer = RateLimitLayer::new(slow()).by(by_device).with_clock(Clock::new(counted));
    let device = || Request::get("/").header("x-device", "a").body(String::new()).unwrap();
    for (request, wait, is_limited) in [
        (device(), 0, false),
        (device(), 0, true),
        (device(), 90, false),
        (request(), 0, false),
        (request(), 0, true),
        (Request::options("/").body(String::new()).unwrap(), 90, false),
    ] {
        time.advance(Duration::from_secs(wait));
        keys.store(0, Relaxed);
        readings.store(0, Relaxed);
        assert_eq!(limited(&send(&layer, request).await), is_limited);
        assert_eq!((keys.load(Relaxed), readings.load(Relaxed)), (1, 1));
    }
}

#[tokio::test]
async fn settings_may_come_before_or_after_the_key() {
    let time = ManualClock::new();
    let clock = Clock::from(time.clone());
    let before = RateLimitLayer::new(slow()).with_name("n").unwrap().with_clock(clock.clone()).by(Global);
    let after = RateLimitLayer::new(slow()).by(Global).with_clock(clock).with_name("n").unwrap();
    for layer in [before, after] {
        assert!(!limited(&send(&layer, request()).await));
        let refused = send(&layer, request()).await;
        assert_eq!(refused.extensions().get::<Rejection>().unwrap().quotas()[0].subject, "n");
        time.advance(Duration::from_secs(90));
        assert!(!limited(&send(&layer, request()).await));
    }
}

#[tokio::test]
async fn a_setting_starts_with_empty_state_and_a_clone_shares_it() {
    let layer = RateLimitLayer::new(slow()).by(Global);
    assert!(!limited(&send(&layer, request()).await));
    assert!(limited(&send(&layer.clone(), request()).await));
    let renamed = layer.clone().with_name("other").unwrap();
    assert!(!limited(&send(&renamed, request()).await));
    assert!(limited(&send(&layer, request()).await));
}

#[tokio::test]
async fn the_wide_event_tells_policy_and_remaining() {
    let facts = async |name: Option<String>| {
        let time = ManualClock::new();
        let mut layer =
            RateLimitLayer::new("2/min".parse().unwrap()).by(Global).with_clock(Clock::from(time));
        if let Some(name) = name {
            layer = layer.with_name(name).unwrap();
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut request = request();
            let context = RequestContext::of(&mut request);
            context.event().enable();
            let _ = send(&layer, request).await;
            seen.push(context.event().read(<[_]>::to_vec));
        }
        seen
    };
    let unnamed = facts(None).await;
    assert_eq!(
        unnamed[0],
        [("rate_limit.policy", Fact::from("global")), ("rate_limit.remaining", Fact::from(1_u64))]
    );
    assert_eq!(unnamed[1][1].1, Fact::from(0_u64));
    assert_eq!(unnamed[2][2], ("rate_limit.retry_after_seconds", Fact::from(30.0)));
    assert_eq!(facts(Some("own".into())).await[0][0].1, Fact::from("own"));
}

#[tokio::test]
async fn a_refusal_for_lack_of_a_key_tells_its_policy_too() {
    let layer = RateLimitLayer::new(slow()).by(PerPrincipal).with_missing_key(MissingKey::Refuse);
    for name in ["per-principal", "renamed"] {
        let layer = if name == "renamed" { layer.clone().with_name(name).unwrap() } else { layer.clone() };
        let mut request = request();
        let context = RequestContext::of(&mut request);
        context.event().enable();
        assert_eq!(send(&layer, request).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(context.event().read(<[_]>::to_vec), [("rate_limit.policy", Fact::from(name))]);
    }
}

#[test]
fn the_key_tells_the_place_in_a_stack() {
    fn place<L>(_: &L) -> (&'static str, &'static str)
    where
        L: ServerLayer,
        L::Phase: phase::Phase,
    {
        (<L::Phase as phase::Phase>::NAME, std::any::type_name::<L::Needs>().rsplit("::").next().unwrap())
    }
    let layer = || RateLimitLayer::new(slow());
    assert_eq!(place(&layer().by(PerClientAddr)), ("address_limit", "ClientAddr"));
    assert_eq!(place(&layer().by(PerPrincipal)), ("principal_limit", "Principal"));
    assert_eq!(place(&layer().by(Global)), ("load", "()"));
    let closure = KeyFn::<phase::PrincipalBulkhead, _>::new(|_| None).needing::<fact::Principal>();
    assert_eq!(place(&layer().by(closure)), ("principal_bulkhead", "Principal"));
    assert_eq!(ServerLayer::name(&layer().by(Global)), "rate_limit");
}

#[test]
fn debug_shows_the_limit_and_no_key() {
    let secret = String::from("hunter2");
    let layer = RateLimitLayer::new(slow())
        .by(KeyFn::<phase::Load, _>::new(move |_| Some(Key::text(secret.clone()))));
    let text = format!("{layer:?} {:?}", layer.layer(()));
    assert!(text.contains("1/90s") && text.contains("custom"), "{text}");
    assert!(!format!("{text} {:?}", Key::text("hunter2")).contains("hunter2"));
}
