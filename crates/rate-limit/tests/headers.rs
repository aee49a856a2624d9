//! The fields that tell callers what is left.

mod support;

use bartizan_core::{Clock, Principal, phase};
use bartizan_rate_limit::{
    Charge, HeaderFields, KeyExtractor, Keys, PerClientAddr, PerPrincipal, PerTenant, RateLimitLayer, Reset,
};
use http::{HeaderMap, Request, Response, StatusCode};
use sfv::{List, ListEntry, Parser};
use support::{SECOND, by, clock, from, rate, send, send_to};
use tower::{Layer, ServiceExt, service_fn};

fn ada() -> Request<String> {
    by(Principal::user("ada").tenant("acme").build())
}

async fn head<K: Keys>(layer: &RateLimitLayer<K>) -> (StatusCode, HeaderMap) {
    let answer = send(layer, ada()).await;
    (answer.status(), answer.headers().clone())
}

fn layer(text: &str, clock: Clock) -> RateLimitLayer<PerPrincipal> {
    RateLimitLayer::new(rate(text)).by(PerPrincipal).with_headers(HeaderFields::new()).with_clock(clock)
}

#[tokio::test]
async fn rl_02_rl_03_the_fields_are_lists_of_strings() {
    let (time, clock) = clock();
    let layer = layer("30/min burst 2", clock);
    let (_, headers) = head(&layer).await;
    assert_eq!(headers["ratelimit-policy"], r#""per-principal";q=2;w=4"#);
    assert_eq!(headers["ratelimit"], r#""per-principal";r=1;t=2"#);
    for name in ["ratelimit-policy", "ratelimit"] {
        let list: List = Parser::new(&headers[name]).parse().unwrap();
        assert!(
            matches!(&list[0], ListEntry::Item(item) if item.bare_item.as_string().is_some()),
            "a string"
        );
    }
    time.advance(SECOND / 2);
    let (_, headers) = head(&layer).await;
    assert_eq!(headers["ratelimit"], r#""per-principal";r=0;t=2"#, "1.5 seconds, rounded up");
}

#[tokio::test]
async fn rl_03_retry_after_is_not_earlier_than_t() {
    let (time, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/2s"))
        .by(PerPrincipal)
        .and(rate("2/h"))
        .by(PerTenant)
        .with_headers(HeaderFields::new())
        .with_clock(clock);
    let (_, headers) = head(&layer).await;
    assert_eq!(headers["ratelimit"], r#""per-principal";r=0;t=2, "per-tenant";r=1;t=1800"#);
    assert_eq!(headers["ratelimit-policy"], r#""per-principal";q=1;w=2, "per-tenant";q=2;w=3600"#);
    let (status, headers) = head(&layer).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "2");
    assert_eq!(headers["ratelimit"], r#""per-principal";r=0;t=2, "per-tenant";r=1"#);
    time.advance(2 * SECOND);
    head(&layer).await;
    time.advance(2 * SECOND);
    let (_, headers) = head(&layer).await;
    assert_eq!(headers["retry-after"], "1796", "of the limit that refuses");
    assert_eq!(headers["ratelimit"], r#""per-principal";r=1, "per-tenant";r=0;t=1796"#);
}

#[tokio::test]
async fn rl_03_no_later_t_is_told_beside_the_retry_after_of_what_is_further_in() {
    let (_, clock) = clock();
    let outer = || layer("1/h", clock.clone()).with_name("outer").unwrap();
    let inner = layer("1/2s", clock.clone()).with_name("inner").unwrap();
    send(&inner, ada()).await;
    let grpc = || {
        let mut request = ada();
        *request.method_mut() = http::Method::POST;
        request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        request
    };
    for request in [ada(), grpc()] {
        let service = outer().layer(inner.layer(service_fn(async |_: Request<String>| {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        })));
        let answer = service.oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["retry-after"], "2");
        let lines: Vec<_> = answer.headers().get_all("ratelimit").iter().collect();
        assert_eq!(lines, [r#""inner";r=0;t=2"#, r#""outer";r=0"#]);
    }
    // The wall clock of the test starts with 2026.
    for (status, retry_after, expected) in [
        (503, "3599", r#""outer";r=0"#),
        (503, "3600", r#""outer";r=0;t=3600"#),
        (202, "2", r#""outer";r=0"#),
        (503, "Thu, 01 Jan 2026 00:00:10 GMT", r#""outer";r=0"#),
        (503, "Thu, 01 Jan 2026 02:00:00 GMT", r#""outer";r=0;t=3600"#),
        (503, "soon", r#""outer";r=0;t=3600"#),
    ] {
        let answer = || Response::builder().status(status).header("retry-after", retry_after);
        for charged in [false, true] {
            let layer = outer();
            let layer = if charged { layer.with_charge(|_| Charge::Refund(0)) } else { layer };
            let answer = send_to(&layer, ada(), |_| answer().body(String::new()).unwrap()).await;
            assert_eq!(answer.headers()["ratelimit"], expected, "{status} and {retry_after}");
        }
    }
}

#[tokio::test]
async fn rl_04_several_layers_append_to_one_list() {
    let (_, clock) = clock();
    let outer = layer("9/min", clock.clone()).with_name("outer").unwrap();
    let inner = layer("5/min", clock).with_name("inner").unwrap();
    let service = outer.layer(inner.layer(service_fn(async |_: Request<String>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    })));
    let answer = service.oneshot(ada()).await.unwrap();
    let lines: Vec<_> = answer.headers().get_all("ratelimit").iter().collect();
    assert_eq!(lines, [r#""inner";r=4;t=12"#, r#""outer";r=8;t=7"#]);
    assert_eq!(answer.headers().get_all("ratelimit-policy").iter().count(), 2);
}

#[tokio::test]
async fn rl_04_nothing_is_told_unless_asked_and_never_before_authentication() {
    let (_, clock) = clock();
    let quiet = RateLimitLayer::new(rate("1/h")).by(PerClientAddr).with_clock(clock.clone());
    for _ in 0..2 {
        let headers = send(&quiet, from("192.0.2.1")).await.headers().clone();
        assert!(!headers.contains_key("ratelimit") && !headers.contains_key("ratelimit-policy"));
    }
    // That `with_headers` is refused here is shown in its documentation: it does not compile.
    let open = RateLimitLayer::new(rate("1/h"))
        .by(PerClientAddr.at::<phase::PrincipalLimit>())
        .with_headers(HeaderFields::new())
        .with_clock(clock);
    let answer = send(&open, from("192.0.2.1")).await;
    assert_eq!(answer.headers()["ratelimit"], r#""per-address";r=0;t=3600"#);
}

#[tokio::test]
async fn rl_04_a_shadow_is_not_told_of() {
    let (_, clock) = clock();
    let layer = layer("9/min", clock).with_shadow();
    let (status, headers) = head(&layer).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!headers.contains_key("ratelimit"));
}

#[tokio::test]
async fn rl_05_legacy_fields_are_those_of_the_tightest() {
    let (_, clock) = clock();
    let fields = |reset| HeaderFields::new().with_legacy(reset);
    let delta = layer("2/min", clock.clone()).with_headers(fields(Reset::Delta));
    let (_, headers) = head(&delta).await;
    let legacy = |headers: &HeaderMap| {
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
            .map(|name| headers[name].to_str().unwrap().to_owned())
    };
    assert_eq!(legacy(&headers), ["2", "1", "30"]);
    let epoch = layer("2/min", clock.clone()).with_headers(fields(Reset::Epoch));
    // The wall clock of the test starts with 2026.
    assert_eq!(legacy(&head(&epoch).await.1), ["2", "1", "1767225630"]);
    let looser = layer("9/min", clock).with_headers(fields(Reset::Delta));
    let answer = send_to(&looser, ada(), |_| {
        Response::builder().header("x-ratelimit-remaining", "3").body(String::new()).unwrap()
    });
    assert_eq!(answer.await.headers()["x-ratelimit-remaining"], "3", "a tighter one further in stays");
}
