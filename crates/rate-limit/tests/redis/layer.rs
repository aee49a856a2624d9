//! What the layer does with one server.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{Clock, ManualClock, Principal, Rejection, RequestContext};
use bartizan_rate_limit::{
    Charge, FailureMode, HeaderFields, KeyExtractor, PerHeader, PerMethod, PerPrincipal, PerTenant, Rate,
    RateLimitLayer, RedisRateLimitLayer, RedisStore,
};
use bartizan_testkit::RedisServer;
use http::{HeaderName, Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{by, passes, patient, scripts, send, status, until};

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

/// Looks at a limit by principal, and takes nothing.
fn look(store: &RedisStore, text: &str) -> RedisRateLimitLayer<PerPrincipal> {
    let layer = RateLimitLayer::new(rate(text)).by(PerPrincipal).with_headers(HeaderFields::new());
    layer.with_cost_by(|_| 0).in_redis(store).unwrap()
}

/// What ada has left.
async fn left(look: &RedisRateLimitLayer<PerPrincipal>) -> u32 {
    let response = send(look, by("ada")).await;
    let field = response.headers()["ratelimit"].to_str().unwrap().to_owned();
    let (_, remaining) = field.split_once(";r=").unwrap();
    remaining.split(';').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn rl_12_one_round_trip_decides_all_limits_and_none_is_spent_in_part() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("1/h burst 5"))
        .by(PerPrincipal)
        .and(rate("1/h burst 2"))
        .by(PerTenant)
        .and(rate("100/h"))
        .by(PerMethod)
        .with_sliding_window()
        .unwrap()
        .with_headers(HeaderFields::new())
        .in_redis(&patient(&server))
        .unwrap();
    // The first tells the script; from then on a decision is one command.
    assert_eq!(status(&layer, by("ada")).await, StatusCode::OK);
    let before = scripts(&server);
    let second = send(&layer, by("ada")).await;
    assert_eq!(second.status(), StatusCode::OK);
    let fields = second.headers()["ratelimit"].to_str().unwrap();
    assert!(fields.starts_with("\"per-principal\";r=3;t="), "{fields}");
    assert!(fields.contains("\"per-tenant\";r=0;t="), "{fields}");
    assert!(fields.contains("\"per-method\";r=98"), "{fields}");
    for _ in 0..8 {
        let refused = send(&layer, by("ada")).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.body().contains("\"violated-policies\":[\"per-tenant\"]"), "{}", refused.body());
        let fields = refused.headers()["ratelimit"].to_str().unwrap();
        assert!(fields.starts_with("\"per-principal\";r=3"), "what is refused takes from none: {fields}");
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3_590..=3_600).contains(&wait), "{wait}");
    }
    assert_eq!(scripts(&server) - before, 9);
}

#[tokio::test]
async fn rl_12_a_server_that_has_forgotten_the_script_is_told_it_again() {
    let server = RedisServer::start();
    let layer =
        RateLimitLayer::new(rate("1/h burst 4")).by(PerPrincipal).in_redis(&patient(&server)).unwrap();
    assert_eq!(passes(&layer, 2, || by("ada")).await, 2);
    assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "+OK");
    assert_eq!(passes(&layer, 4, || by("ada")).await, 2, "and what was spent is spent");
}

#[tokio::test]
async fn rl_12_a_key_lives_until_it_is_full_again() {
    let server = RedisServer::start();
    let store = patient(&server);
    let bucket = RateLimitLayer::new(rate("2/s burst 20")).by(PerPrincipal).in_redis(&store).unwrap();
    assert_eq!(passes(&bucket, 10, || by("ada")).await, 10);
    let window = RateLimitLayer::new(rate("10/min")).by(PerTenant).with_sliding_window().unwrap();
    assert_eq!(passes(&window.in_redis(&store).unwrap(), 1, || by("ada")).await, 1);
    let key = |pattern: &str| {
        let script = "return redis.call('KEYS', ARGV[1])[1]";
        server.command(&["EVAL", script, "0", pattern])
    };
    let left = |key: &str| -> i64 { server.command(&["PTTL", key])[1..].parse().unwrap() };
    let (bucket, window) = (key("bartizan:per-principal:b:*"), key("bartizan:per-tenant:w:*"));
    let bucket_left = left(&bucket);
    assert!((1..=5_000).contains(&bucket_left), "ten of two a second: {bucket_left} ms");
    let window_left = left(&window);
    assert!((55_000..=120_000).contains(&window_left), "this window and the next: {window_left} ms");
}

#[tokio::test]
async fn keys_in_redis_tell_nothing() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("1/h"))
        .by(PerHeader(HeaderName::from_static("x-api-key")))
        .in_redis(&patient(&server))
        .unwrap();
    let request = || Request::get("/").header("x-api-key", "s3cret-of-ada").body(String::new()).unwrap();
    assert_eq!(status(&layer, request()).await, StatusCode::OK);
    let all = server.command(&["EVAL", "return table.concat(redis.call('KEYS', '*'), ' ')", "0"]);
    assert!(all.contains("bartizan:per-header:b:") && !all.contains("s3cret"), "{all}");
}

#[tokio::test]
async fn charges_and_refunds_reach_redis_after_the_response() {
    let server = RedisServer::start();
    let store = patient(&server);
    let limit =
        || RateLimitLayer::new(rate("1/h burst 10")).by(PerPrincipal).with_headers(HeaderFields::new());
    let look = look(&store, "1/h burst 10");
    let charged = limit().with_charge(|_| Charge::More(3)).in_redis(&store).unwrap();
    assert_eq!(status(&charged, by("ada")).await, StatusCode::OK);
    until("the charge is made", async || left(&look).await == 6).await;
    let free = limit().with_charge(|_| Charge::Refund(1)).in_redis(&store).unwrap();
    assert_eq!(status(&free, by("ada")).await, StatusCode::OK);
    until("it is given back", async || left(&look).await == 6).await;

    // Guessing costs more, as it does in memory.
    let guarded = limit().with_failed_credential_charge(4).in_redis(&store).unwrap();
    let unknown = service_fn(async |request: Request<String>| {
        let rejection = Rejection::unauthenticated(http::HeaderValue::from_static("Bearer"));
        Ok::<_, Infallible>(
            rejection.with_failed_credential().into_response(&bartizan_core::Face::of(&request)),
        )
    });
    let response: Response<_> = {
        let Ok(response) = guarded.layer(unknown).oneshot(by("ada")).await;
        response.map(|_: bartizan_rate_limit::LimitedBody<bartizan_core::ResponseBody<String>>| ())
    };
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    until("a guess costs four more", async || left(&look).await == 1).await;
}

#[tokio::test]
async fn refusals_that_are_known_cost_no_round_trip() {
    let server = RedisServer::start();
    let time = ManualClock::new();
    let layer = RateLimitLayer::new(rate("1/min burst 2"))
        .by(PerPrincipal)
        .and(rate("100/min"))
        .by(PerTenant)
        .with_headers(HeaderFields::new())
        .with_clock(Clock::from(time.clone()))
        .in_redis(&patient(&server))
        .unwrap()
        .with_local_refusals(100)
        .unwrap();
    assert_eq!(passes(&layer, 3, || by("ada")).await, 2);
    let before = scripts(&server);
    time.advance(Duration::from_secs(10));
    let refused = send(&layer, by("ada")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((48..=50).contains(&wait), "ten seconds less than a minute: {wait}");
    let fields = refused.headers()["ratelimit"].to_str().unwrap();
    assert!(fields.starts_with("\"per-principal\";r=0"), "{fields}");
    assert!(!fields.contains("per-tenant"), "of the other limit nothing is known: {fields}");
    assert_eq!(scripts(&server), before);
    assert_eq!(status(&layer, by("bob")).await, StatusCode::OK, "others are asked for");
    assert_eq!(scripts(&server), before + 1);
    time.advance(Duration::from_secs(51));
    // By this process' clock the time has come, so Redis decides.
    assert_eq!(status(&layer, by("ada")).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(scripts(&server), before + 2);
}

#[tokio::test]
async fn rl_12_what_one_rate_refused_says_nothing_about_another() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("6/min burst 2"))
        .by(PerTenant)
        .with_tier("pro", rate("100/min"))
        .unwrap()
        .in_redis(&patient(&server))
        .unwrap()
        .with_local_refusals(100)
        .unwrap();
    let pro = || {
        let mut request = Request::new(String::new());
        let principal = Principal::user("grace").tenant("acme").tier("pro").build();
        RequestContext::of(&mut request).set_principal(principal);
        request
    };
    assert_eq!(passes(&layer, 3, || by("ada")).await, 2);
    let before = scripts(&server);
    assert_eq!(passes(&layer, 2, || by("ada")).await, 0);
    assert_eq!(scripts(&server), before, "that is known");
    assert_eq!(passes(&layer, 2, pro).await, 2, "of the same tenant, at the better rate");
    assert_eq!(scripts(&server), before + 2);
    assert_eq!(passes(&layer, 1, || by("ada")).await, 0, "still known");
    assert_eq!(scripts(&server), before + 2);
}

#[tokio::test]
async fn refused_requests_that_count_are_told_to_redis() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("1/min burst 2"))
        .by(PerPrincipal)
        .with_refused_counted()
        .in_redis(&patient(&server))
        .unwrap()
        .with_local_refusals(100)
        .unwrap();
    assert_eq!(passes(&layer, 3, || by("ada")).await, 2);
    let before = scripts(&server);
    assert_eq!(passes(&layer, 3, || by("ada")).await, 0);
    assert_eq!(scripts(&server), before + 3);
}

#[tokio::test]
async fn a_rehearsal_in_redis_refuses_nobody_and_exempt_requests_are_not_asked_for() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("1/h"))
        .by(PerPrincipal)
        .with_shadow()
        .with_exempt_paths(["/healthz"])
        .unwrap()
        .in_redis(&patient(&server))
        .unwrap();
    assert_eq!(passes(&layer, 3, || by("ada")).await, 3);
    let (before, mut health) = (scripts(&server), by("ada"));
    *health.uri_mut() = "/healthz".parse().unwrap();
    RequestContext::of(&mut health).event().enable();
    assert_eq!(status(&layer, health).await, StatusCode::OK);
    assert_eq!(scripts(&server), before);
}

#[test]
fn lay_06_what_can_never_work_in_redis_is_refused_at_build() {
    let store = RedisStore::single("redis://127.0.0.1:1").unwrap();
    let twice = RateLimitLayer::new(rate("1/s")).by(PerPrincipal).and(rate("100/h")).by(PerPrincipal);
    assert_eq!(twice.in_redis(&store).unwrap_err().field(), "name");
    let apart = RateLimitLayer::new(rate("1/s")).by(PerPrincipal).and(rate("100/h")).by(PerPrincipal);
    assert!(apart.with_name("hourly").unwrap().in_redis(&store).is_ok());
    let odd = Rate::new(3, Duration::from_nanos(10_500)).unwrap();
    let window = RateLimitLayer::new(odd).by(PerPrincipal.at::<bartizan_core::phase::Load>());
    assert_eq!(window.with_sliding_window().unwrap().in_redis(&store).unwrap_err().field(), "period");

    for prefix in ["", "a b", "{a}", "é", &"a".repeat(65)] {
        assert_eq!(store.clone().with_prefix(prefix).unwrap_err().field(), "prefix", "{prefix}");
    }
    for timeout in [0, 1_001] {
        let error = store.clone().with_timeout(Duration::from_millis(timeout)).unwrap_err();
        assert_eq!(error.field(), "timeout");
    }
    for url in ["", "127.0.0.1:6379", "http://127.0.0.1", "redis://"] {
        assert_eq!(RedisStore::single(url).unwrap_err().field(), "redis", "{url}");
        assert_eq!(RedisStore::cluster([url]).unwrap_err().field(), "redis", "{url}");
        assert_eq!(RedisStore::sentinel([url], "redis://master").unwrap_err().field(), "redis", "{url}");
    }
    assert_eq!(RedisStore::cluster::<&str>([]).unwrap_err().field(), "redis");
    assert_eq!(RedisStore::sentinel::<&str>([], "redis://master").unwrap_err().field(), "redis");
}

#[test]
fn no_password_is_printed() {
    let urls = ["redis://ada:s3cret@127.0.0.1:1", "rediss://:s3cret@[::1/", "redis://:s3cret@h/no-number"];
    for url in urls {
        let texts = match RedisStore::single(url) {
            Ok(store) => {
                let store = store.with_secret("p3pper");
                let layer = RateLimitLayer::new(rate("1/s")).by(PerPrincipal).in_redis(&store).unwrap();
                format!("{store:?} {layer:?} {:?}", layer.layer(()))
            }
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!texts.contains("s3cret") && !texts.contains("p3pper"), "{texts}");
    }
}

/// May be called once after it was polled ready; its clones were not.
#[derive(Default)]
struct Once {
    ready: bool,
}

impl Clone for Once {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<String>> for Once {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "the instance was polled ready");
        ready(Ok(Response::new(request.into_body())))
    }
}

#[tokio::test]
async fn lay_03_the_instance_that_was_polled_ready_waits_with_the_request() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("100/h")).by(PerPrincipal).in_redis(&patient(&server)).unwrap();
    let mut service = layer.layer(Once::default());
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(by("ada")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    // Two at once, each with the instance that was readied for it.
    let first = service.ready().await.unwrap().call(by("ada"));
    let second = service.ready().await.unwrap().call(by("ada"));
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && second.is_ok());
}

#[test]
fn rl_13_a_runtime_that_ends_takes_nothing_with_it() {
    let server = RedisServer::start();
    let store = patient(&server);
    let layer = RateLimitLayer::new(rate("1/h burst 3")).by(PerPrincipal).in_redis(&store).unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(until("Redis decides", async || {
            send(&layer, by("ada")).await.status() == StatusCode::TOO_MANY_REQUESTS
        }));
    }
    let away = RedisStore::single("redis://127.0.0.1:1").unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(away.connect()).is_err(), "and does not wait for ever");
    }
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let server = RedisServer::start();
    let rights = ["+eval", "+evalsha", "+get", "+set", "+del", "+time"];
    let mut user = vec!["ACL", "SETUSER", "limits", "on", ">s3cret", "~bartizan:*"];
    user.extend(rights);
    assert_eq!(server.command(&user), "+OK");
    let url = format!("redis://limits:s3cret@127.0.0.1:{}", server.port());
    let store = RedisStore::single(&url).unwrap().with_timeout(Duration::from_secs(1)).unwrap();
    let layer = RateLimitLayer::new(rate("1/h burst 4")).by(PerPrincipal).with_charge(|_| Charge::More(1));
    let layer = layer.in_redis(&store).unwrap().with_failure_mode(FailureMode::Closed);
    assert_eq!(status(&layer, by("ada")).await, StatusCode::OK);
    let look = look(&store, "1/h burst 4");
    until("the charge is made too", async || left(&look).await == 2).await;
    let elsewhere = store.with_prefix("elsewhere").unwrap();
    assert!(elsewhere.connect().await.is_err(), "and it cannot do more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_body_that_ends_outside_of_the_runtime_is_charged_too() {
    let server = RedisServer::start();
    let layer = RateLimitLayer::new(rate("1/h burst 4"))
        .by(PerPrincipal)
        .with_charge(|_| Charge::More(3))
        .in_redis(&patient(&server))
        .unwrap();
    let inner =
        service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::from("body"))));
    let Ok(response) = layer.layer(inner).oneshot(by("ada")).await;
    std::thread::spawn(move || drop(response)).join().unwrap();
    let look = look(&patient(&server), "1/h burst 4");
    until("the charge is made", async || left(&look).await == 0).await;
}
