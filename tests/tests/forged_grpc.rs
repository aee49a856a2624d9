//! Requests that are called gRPC by their type alone, which any caller can write: they get what plain HTTP gets.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    auth::{ApiKeyLayer, KeyRecord, StaticKeys},
    correlation_id::CorrelationIdLayer,
    deadline::TimeoutLayer,
    rate_limit::{Global, PerRoute, Rate, RateLimitLayer},
};
use http::{Method, Request, Response};
use tower::{Layer, ServiceExt};

/// A request of any method that says that it is gRPC.
fn forged(method: Method, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/grpc");
    request.header("grpc-timeout", "0n").body(Body::empty()).unwrap()
}

async fn answer(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.unwrap()
}

/// What no cache may keep, and every reader of HTTP takes for what it is.
fn assert_problem(response: &Response<Body>, status: u16) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("grpc-status"));
}

fn hourly(burst: u32) -> RateLimitLayer {
    RateLimitLayer::new(format!("1/h burst {burst}").parse::<Rate>().unwrap())
}

#[tokio::test]
async fn err_09_a_get_that_is_called_grpc_is_refused_as_what_it_is() {
    let outer = || {
        Stack::server().push(ProblemLayer::new()).push(CorrelationIdLayer::new()).push(NormalizeLayer::new())
    };
    let open = Router::new().route("/catalog", get(async || "all we have"));
    let timed = open.clone().layer(outer().push(TimeoutLayer::new(Duration::from_secs(9)).unwrap()).build());
    // A deadline of gRPC is none of a GET.
    assert_eq!(answer(&timed, forged(Method::GET, "/catalog")).await.status(), 200);
    assert_problem(&answer(&timed, forged(Method::GET, "/nothing")).await, 404);

    let keys = StaticKeys::new(Vec::<KeyRecord>::new()).unwrap();
    let locked = open.clone().layer(outer().push(ApiKeyLayer::new(keys)).build());
    assert_problem(&answer(&locked, forged(Method::GET, "/catalog")).await, 401);

    let limited = open.layer(outer().push(hourly(1).by(Global)).build());
    assert_eq!(answer(&limited, forged(Method::GET, "/catalog")).await.status(), 200);
    assert_problem(&answer(&limited, forged(Method::GET, "/catalog")).await, 429);
}

#[tokio::test]
async fn obs_01_a_path_is_no_route_however_the_request_is_called() {
    // A layer around the router sees the request before it has a route.
    for (method, is_around) in [(Method::GET, false), (Method::POST, false), (Method::POST, true)] {
        let orders = get(async || "an order").post(async |body: Bytes| body);
        let router = Router::new().route("/orders/{id}", orders).layer(hourly(2).by(PerRoute));
        let router = if is_around {
            let log = AccessLogLayer::json(std::io::sink());
            Router::new().fallback_service(
                Stack::server().push(CorrelationIdLayer::new()).push(log).build().layer(router),
            )
        } else {
            router
        };
        let mut statuses = Vec::new();
        for id in 0..4 {
            let response = answer(&router, forged(method.clone(), &format!("/orders/{id}"))).await;
            let in_grpc = response.headers().get("grpc-status").is_some_and(|status| status == "8");
            statuses.push(in_grpc || response.status() == 429);
        }
        assert_eq!(statuses, [false, false, true, true], "{method} {is_around}: all orders are one route");
    }
    // As tonic's routes are, whose methods have limits of their own.
    let calls = Router::new().route("/shop.Orders/{*rest}", post(async || "")).layer(hourly(1).by(PerRoute));
    for (path, passes) in
        [("/shop.Orders/Get", true), ("/shop.Orders/Put", true), ("/shop.Orders/Get", false)]
    {
        let response = answer(&calls, forged(Method::POST, path)).await;
        assert_eq!(!response.headers().contains_key("grpc-status"), passes, "{path}");
    }
}
