//! How many requests may be under way at once.

mod support;

use std::convert::Infallible;

use bartizan_core::{Principal, Problem, ServerLayer, phase::Phase};
use bartizan_rate_limit::{ConcurrencyLimitLayer, Global, PerClientAddr, PerPrincipal};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use support::{SECOND, by};
use tower::{Layer, ServiceExt, service_fn};

fn ada() -> Request<String> {
    by(Principal::user("ada").build())
}

#[tokio::test]
async fn rl_09_a_place_is_free_again_when_the_body_has_ended() {
    let layer = ConcurrencyLimitLayer::new(2).unwrap().by(PerPrincipal);
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::from("body")))
    }));
    let send = async |request| service.clone().oneshot(request).await.unwrap();
    let (read, dropped) = (send(ada()).await, send(ada()).await);
    assert_eq!(layer.in_flight(), 2);
    let refused = send(ada()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(send(by(Principal::user("bob").build())).await.status(), StatusCode::OK);
    assert_eq!(read.collect().await.unwrap().to_bytes(), "body");
    assert_eq!(send(ada()).await.status(), StatusCode::OK);
    drop(dropped);
    assert_eq!(send(ada()).await.status(), StatusCode::OK);
    assert_eq!(layer.in_flight(), 0, "all answers were dropped");
}

#[tokio::test]
async fn lay_01_a_request_that_is_given_up_frees_its_place() {
    let layer = ConcurrencyLimitLayer::new(1).unwrap().by(Global);
    let service = layer.layer(service_fn(async |_: Request<String>| {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let task = tokio::spawn(service.oneshot(Request::new(String::new())));
    tokio::task::yield_now().await;
    assert_eq!(layer.in_flight(), 1);
    task.abort();
    let _ = task.await;
    assert_eq!(layer.in_flight(), 0);
}

#[tokio::test]
async fn rl_06_a_service_that_is_full_sheds_with_503() {
    let layer = ConcurrencyLimitLayer::new(1)
        .unwrap()
        .by(Global)
        .with_name("all")
        .unwrap()
        .with_retry_after(9 * SECOND);
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::from("body")))
    }));
    let first = service.clone().oneshot(Request::new(String::new())).await;
    let refused = service.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"9".parse().unwrap())
    );
    let problem = Problem::from_slice(&refused.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(
        problem.problem_type(),
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    );
    assert_eq!(problem.extensions["violated-policies"], serde_json::json!(["all"]));
    drop(first);
}

#[tokio::test]
async fn grpc_15_a_health_check_passes_when_all_places_are_taken() {
    let layer = ConcurrencyLimitLayer::new(1)
        .unwrap()
        .by(Global)
        .with_exempt_paths(["/grpc.health.v1.Health/Check", "/health/*"])
        .unwrap()
        .with_exempt_methods([Method::HEAD]);
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::from("body")))
    }));
    let send = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(String::new()).unwrap();
        service.clone().oneshot(request).await.unwrap()
    };
    let first = send("GET", "/orders").await;
    assert_eq!(layer.in_flight(), 1);
    for (method, path, expected) in [
        ("POST", "/grpc.health.v1.Health/Check", 200),
        ("GET", "/health/live", 200),
        ("HEAD", "/orders", 200),
        ("POST", "/grpc.health.v1.Health/Watch", 503),
        ("GET", "/health/%6cive", 503),
        ("GET", "/orders", 503),
    ] {
        let response = send(method, path).await;
        assert_eq!((response.status().as_u16(), layer.in_flight()), (expected, 1), "{method} {path}");
        drop(response);
        assert_eq!(layer.in_flight(), 1, "nothing is given back that was not taken: {method} {path}");
    }
    drop(first);
    assert_eq!(layer.in_flight(), 0);
}

#[tokio::test]
async fn the_place_in_a_stack_is_that_of_the_key_and_settings_are_checked() {
    fn phase<L: ServerLayer>(_: &L) -> &'static str {
        L::Phase::NAME
    }
    let layer = || ConcurrencyLimitLayer::new(1).unwrap();
    assert_eq!(phase(&layer().by(PerClientAddr)), "address_limit");
    assert_eq!(phase(&layer().by(PerPrincipal)), "principal_limit");
    assert_eq!(ConcurrencyLimitLayer::new(0).unwrap_err().field(), "max");
    assert_eq!(layer().with_max_keys(0).unwrap_err().field(), "max_keys");
    assert_eq!(layer().with_exempt_paths(["healthz"]).unwrap_err().field(), "exempt_paths");
    assert_eq!(layer().with_name("a b").unwrap_err().field(), "name");
}
