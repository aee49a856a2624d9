//! What a caller with and without a key gets, and what the handler sees.

mod support;

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use bartizan_auth::{ApiKey, ApiKeyLayer, KeyRecord, StaticKeys};
use bartizan_core::{
    ClientAddr, Clock, ManualClock, MatchedRoute, Principal, Rejection, RequestContext, TimeSource,
};
use http::{HeaderName, Request, Response};
use http_body_util::Full;

use self::support::{Seen, get, grpc, send, send_to, with_key};

fn key() -> ApiKey {
    ApiKey::generate("orders").unwrap()
}

fn keys(record: KeyRecord) -> StaticKeys {
    StaticKeys::new([record]).unwrap()
}

fn layer(record: KeyRecord) -> ApiKeyLayer<StaticKeys> {
    ApiKeyLayer::new(keys(record))
}

/// The same id with another secret and a good checksum.
fn forged(key: &ApiKey) -> ApiKey {
    key.record("x").rotate().unwrap()
}

#[tokio::test]
async fn key_04_a_key_is_accepted_from_either_header_and_from_grpc_metadata() {
    let key = key();
    let layer = layer(key.record("billing").with_scopes(["orders:read"]));
    let authorization = format!("apikey {}", key.expose());
    for request in [
        with_key(&key),
        get("/").header("authorization", &authorization).body(String::new()).unwrap(),
        grpc(&[("x-api-key", key.expose())]),
        grpc(&[("authorization", &authorization)]),
    ] {
        let seen = send(&layer, request).await;
        assert_eq!((seen.status(), &*seen.body), (200, &b"ok"[..]));
        let principal = seen.principal().unwrap();
        assert_eq!((principal.subject(), principal.credential_id()), ("billing", Some(key.id())));
        assert!(principal.has_scope("orders:read"));
    }
}

#[tokio::test]
async fn aut_01_a_request_without_a_key_is_challenged() {
    let layer = layer(key().record("billing")).with_realm("orders \"v1\"").unwrap();
    let seen = send(&layer, Request::default()).await;
    assert_eq!(seen.status(), 401);
    assert_eq!(seen.header("www-authenticate"), r#"ApiKey realm="orders \"v1\"""#);
    assert_eq!(seen.header("content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&401.into(), &"unauthenticated".into()));
    assert!(seen.handled.is_none());

    let seen = send(&layer, grpc(&[])).await;
    assert_eq!((seen.status(), seen.header("grpc-status")), (200, "16"));
    assert!(seen.body.is_empty() && !seen.header("www-authenticate").is_empty());
}

#[tokio::test]
async fn aut_07_key_04_every_key_that_is_not_accepted_gets_the_answer_of_none() {
    let (good, stranger) = (key(), key());
    let clock = ManualClock::new();
    let now = clock.wall();
    let (later, earlier) = (now + Duration::from_secs(60), now - Duration::from_secs(60));
    let record = || good.record("billing");
    let layer = |record| layer(record).with_clock(Clock::from(clock.clone()));
    let reference = send(&layer(record()), Request::default()).await.face();

    let mut typo = good.expose().to_owned();
    typo.replace_range(
        typo.len() - 7..typo.len() - 6,
        if typo.as_bytes()[typo.len() - 7] == b'a' { "b" } else { "a" },
    );
    let text = |text: &str| get("/").header("x-api-key", text).body(String::new()).unwrap();
    let elsewhere = "192.0.2.0/24".parse().unwrap();
    for (why, layer, request) in [
        ("unknown", layer(record()), with_key(&stranger)),
        ("wrong secret", layer(record()), with_key(&forged(&good))),
        ("typo", layer(record()), text(&typo)),
        ("empty", layer(record()), text("")),
        ("not a key", layer(record()), text("hello")),
        ("too long", layer(record()), text(&"k".repeat(60_000))),
        ("not ASCII", layer(record()), text("schlüssel")),
        ("revoked", layer(record().with_revoked_at(earlier)), with_key(&good)),
        ("expired", layer(record().with_expires_at(now)), with_key(&good)),
        ("too early", layer(record().with_not_before(later)), with_key(&good)),
        ("other network", layer(record().with_networks([elsewhere])), with_key(&good)),
    ] {
        let seen = send(&layer, request).await;
        assert!(seen.handled.is_none(), "{why}");
        assert_eq!(seen.face(), reference, "{why}");
    }
}

#[tokio::test]
async fn key_05_a_wrong_key_is_marked_for_the_limiter_and_a_missing_one_is_not() {
    let key = key();
    let layer = layer(key.record("billing").with_revoked_at(SystemTime::UNIX_EPOCH));
    let text = |text: &str| get("/").header("x-api-key", text).body(String::new()).unwrap();
    let marked = async |request| {
        let seen = send(&layer, request).await;
        assert_eq!(seen.status(), 401);
        seen.response.extensions().get::<Rejection>().unwrap().is_failed_credential()
    };
    for (why, request) in [
        ("wrong secret", with_key(&forged(&key))),
        ("unknown", with_key(&ApiKey::generate("orders").unwrap())),
        ("revoked", with_key(&key)),
        ("malformed", text("guess")),
    ] {
        assert!(marked(request).await, "{why}");
    }
    assert!(!marked(Request::default()).await, "nothing was tried");
}

#[tokio::test]
async fn key_04_a_credential_sent_two_ways_is_malformed() {
    let key = key();
    let layer = layer(key.record("billing"));
    let bearer = ("authorization", "Bearer x");
    let (own, scheme) = (("x-api-key", key.expose()), format!("ApiKey {}", key.expose()));
    let scheme = ("authorization", &*scheme);
    for headers in [[own, own], [own, scheme], [scheme, scheme], [scheme, bearer], [bearer, bearer]] {
        let mut request = get("/");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let seen = send(&layer, request.body(String::new()).unwrap()).await;
        assert_eq!(seen.status(), 400);
        assert_eq!(seen.header("www-authenticate"), "ApiKey realm=\"api\"");
        assert!(std::str::from_utf8(&seen.body).unwrap().contains("malformed_credentials"));
        assert!(seen.handled.is_none());
        assert_eq!(send(&layer, grpc(&headers)).await.header("grpc-status"), "16");
    }
}

#[tokio::test]
async fn aut_09_the_credential_does_not_reach_the_handler() {
    let key = key();
    let layer = layer(key.record("billing"));
    let scheme = format!("ApiKey {}", key.expose());
    for request in [
        get("/").header("x-api-key", key.expose()).header("authorization", "Bearer unchecked"),
        get("/").header("authorization", &scheme),
    ] {
        let seen = send(&layer, request.header("other", "stays").body(String::new()).unwrap()).await;
        let headers = &seen.handled.as_ref().unwrap().headers;
        assert_eq!(headers.len(), 1, "{headers:?}");
        assert_eq!(headers["other"], "stays");
    }

    let kept = layer.with_credential_kept();
    let seen = send(&kept, with_key(&key)).await;
    let headers = &seen.handled.as_ref().unwrap().headers;
    assert_eq!(headers["x-api-key"], key.expose());
    assert!(headers["x-api-key"].is_sensitive());
    assert!(!format!("{headers:?}").contains(key.expose()));
}

#[tokio::test]
async fn aut_09_an_identity_header_says_what_the_layer_knows_and_nothing_else() {
    let key = key();
    let name = HeaderName::from_static("x-user-id");
    let layer =
        layer(key.record("billing")).with_identity_header(name).unwrap().with_bypass("/open").unwrap();
    let forge = |target: &str| get(target).header("x-user-id", "admin").header("x-user-id", "root");
    let seen = send(&layer, forge("/").header("x-api-key", key.expose()).body(String::new()).unwrap()).await;
    let values: Vec<_> = seen.handled.as_ref().unwrap().headers.get_all("x-user-id").iter().collect();
    assert_eq!(values, ["billing"]);

    let open = send(&layer, forge("/open").body(String::new()).unwrap()).await;
    assert!(!open.handled.unwrap().headers.contains_key("x-user-id"));
    let anonymous = send(&layer.optional(), forge("/").body(String::new()).unwrap()).await;
    assert!(!anonymous.handled.unwrap().headers.contains_key("x-user-id"));
}

#[tokio::test]
async fn aut_06_a_key_in_the_query_is_off_by_default_and_private_when_on() {
    let key = key();
    let target = format!("/orders?page=2&key={}&size=%31", key.expose());
    let request = || get(&target).body(String::new()).unwrap();
    let off = layer(key.record("billing"));
    assert_eq!(send(&off, request()).await.status(), 401);

    let on = off.with_query_parameter("key").unwrap();
    let seen = send(&on, request()).await;
    assert_eq!(seen.handled.as_ref().unwrap().uri, "/orders?page=2&size=%31");
    assert_eq!(seen.header("cache-control"), "no-store");
    assert!(seen.principal().is_some());

    for (given, expected) in [
        ("public, max-age=60", "no-store"),
        ("max-age=5, Private", "max-age=5, Private"),
        ("no-store", "no-store"),
    ] {
        let response = Response::builder().header("cache-control", given).body(Full::from("ok")).unwrap();
        assert_eq!(send_to(&on, request(), response).await.header("cache-control"), expected);
    }
    let by_header = send(&on, with_key(&key)).await;
    assert_eq!(by_header.header("cache-control"), "", "no change where no URL holds the key");
    let twice = get(&target).header("x-api-key", key.expose()).body(String::new()).unwrap();
    assert_eq!(send(&on, twice).await.status(), 400);
}

#[tokio::test]
async fn optional_lets_nobody_pass_as_somebody() {
    let key = key();
    let layer = layer(key.record("billing")).optional();
    let nobody = send(&layer, Request::default()).await;
    assert!(nobody.status() == 200 && nobody.principal().is_none());
    let token = get("/").header("authorization", "Bearer x").body(String::new()).unwrap();
    let token = send(&layer, token).await;
    assert_eq!(token.handled.unwrap().headers["authorization"], "Bearer x", "for a layer further in");
    let somebody = send(&layer, with_key(&key)).await;
    assert_eq!(somebody.principal().unwrap().subject(), "billing");
    assert_eq!(send(&layer, with_key(&forged(&key))).await.status(), 401, "a bad key is not no key");
}

#[tokio::test]
async fn grpc_15_an_open_path_needs_no_key_and_no_other_spelling_is_open() {
    let key = key();
    let layer = layer(key.record("billing"))
        .with_bypass("/health")
        .unwrap()
        .with_bypass("/grpc.health.v1.Health/Check")
        .unwrap();
    for target in ["/health", "/health?verbose", "http://host/health", "/grpc.health.v1.Health/Check"] {
        let seen = send(&layer, get(target).body(String::new()).unwrap()).await;
        assert_eq!(seen.status(), 200, "{target}");
    }
    for target in [
        "/",
        "/health/",
        "/Health",
        "//health",
        "/./health",
        "/orders/../health",
        "/%68ealth",
        "/health%2f",
        "/health;a=b",
        "/healthz",
        "/orders?/health",
        "/grpc.health.v1.Health/check",
    ] {
        let seen = send(&layer, get(target).body(String::new()).unwrap()).await;
        assert_eq!(seen.status(), 401, "{target}");
    }
    let with_key = get("/health").header("x-api-key", key.expose()).body(String::new()).unwrap();
    let seen = send(&layer, with_key).await;
    assert!(seen.principal().is_none(), "credentials are not looked at");
    assert!(seen.handled.unwrap().headers.is_empty(), "and do not pass");
}

#[tokio::test]
async fn key_03_a_key_may_be_limited_to_networks() {
    let key = key();
    let layer = layer(key.record("billing").with_networks(["10.0.0.0/8".parse().unwrap()]));
    let from = |addr: &str| {
        let mut request = with_key(&key);
        RequestContext::of(&mut request).set_client_addr(ClientAddr::new(addr.parse().unwrap()));
        request
    };
    assert_eq!(send(&layer, from("10.9.8.7")).await.status(), 200);
    assert_eq!(send(&layer, from("::ffff:10.9.8.7")).await.status(), 200);
    assert_eq!(send(&layer, from("192.0.2.1")).await.status(), 401);
    assert_eq!(send(&layer, with_key(&key)).await.status(), 401, "an unknown address is in no network");
}

#[tokio::test]
async fn key_03_a_key_may_be_limited_to_routes() {
    let key = key();
    let layer = layer(key.record("billing").with_routes(["/v1/orders/{id}", "pkg.Orders/Create"]));
    let on = |template: &str| {
        let mut request = with_key(&key);
        request.extensions_mut().insert(MatchedRoute::template(template));
        request
    };
    assert_eq!(send(&layer, on("/v1/orders/{id}")).await.status(), 200);
    for request in [on("/v1/orders"), with_key(&key)] {
        let seen = send(&layer, request).await;
        assert_eq!(seen.status(), 403, "the key is good, the route is not");
        assert!(seen.handled.is_none());
    }
    let call = send(&layer, grpc(&[("x-api-key", key.expose())])).await;
    assert_eq!(call.header("grpc-status"), "");
    assert!(call.handled.is_some());
}

#[tokio::test]
async fn key_03_a_revocation_and_the_last_use_are_seen_at_once() {
    let (clock, key) = (ManualClock::new(), key());
    let keys = keys(key.record("billing"));
    let layer = ApiKeyLayer::new(keys.clone()).with_clock(Clock::from(clock.clone()));
    assert_eq!(send(&layer, with_key(&forged(&key))).await.status(), 401);
    assert_eq!(keys.last_used(key.id()), None, "a refused key is not used");
    clock.advance(Duration::from_secs(3 * 60 + 59));
    assert_eq!(send(&layer, with_key(&key)).await.status(), 200);
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    assert_eq!(keys.last_used(key.id()), Some(start + Duration::from_secs(180)));
    keys.replace([]).unwrap();
    assert_eq!(send(&layer, with_key(&key)).await.status(), 401);
}

#[tokio::test]
async fn two_callers_in_one_request_are_ambiguous() {
    let key = key();
    let layer = layer(key.record("billing"));
    let authenticated = |principal: Principal| {
        let mut request = with_key(&key);
        RequestContext::of(&mut request).set_principal(principal);
        request
    };
    let other: Seen = send(&layer, authenticated(Principal::user("alice").build())).await;
    assert!(other.status() == 400 && other.handled.is_none());
    let same = Principal::service("billing").credential_id(key.id()).build();
    assert_eq!(send(&layer, authenticated(same)).await.status(), 200);
}

#[tokio::test]
async fn a_clone_made_before_a_setting_keeps_its_own() {
    let before = layer(key().record("billing"));
    let after = before.clone().with_realm("after").unwrap();
    assert_eq!(send(&before, Request::default()).await.header("www-authenticate"), "ApiKey realm=\"api\"");
    assert_eq!(send(&after, Request::default()).await.header("www-authenticate"), "ApiKey realm=\"after\"");
}

#[test]
fn aut_07_whatever_a_caller_sends_the_answer_is_one_of_two() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let layer = layer(key().record("billing")).with_query_parameter("key").unwrap();
    let answer = AssertUnwindSafe(|request| runtime.block_on(send(&layer, request)));
    let refused = (*answer)(Request::default()).face();
    let malformed = (*answer)(get("/?key&key").body(String::new()).unwrap());
    assert_eq!(malformed.status(), 400);
    let malformed = malformed.face();
    bolero::check!().with_type::<Vec<(bool, Vec<u8>)>>().for_each(|lines| {
        let mut request = Request::new(String::new());
        for (own, bytes) in lines {
            let name = if *own { "x-api-key" } else { "authorization" };
            let bytes = if *own { bytes.clone() } else { [b"apikey ", &**bytes].concat() };
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                request.headers_mut().append(name, value);
            }
        }
        let face = (*answer)(request).face();
        assert!(face == refused || face == malformed, "{face}");
    });
}
