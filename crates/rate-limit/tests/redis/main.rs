//! Limits in Redis, against real servers.
#![cfg(feature = "redis")]

mod cluster;
mod layer;
mod outages;
mod sentinel;
mod shared;
#[cfg(feature = "redis-tls")]
mod tls;

use std::{convert::Infallible, future::Future, time::Duration};

use bartizan_core::{Principal, RequestContext};
use bartizan_rate_limit::{Keys, RedisRateLimitLayer, RedisStore};
use bartizan_testkit::RedisServer;
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};

/// The answer of `layer`, whose limits let through what gets 200.
async fn send<K: Keys>(layer: &RedisRateLimitLayer<K>, request: Request<String>) -> Response<String> {
    let inner = service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new())));
    let Ok(response) = layer.layer(inner).oneshot(request).await;
    let (parts, body) = response.into_parts();
    // Charges are made when the body has ended.
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.into()).unwrap())
}

async fn status<K: Keys>(layer: &RedisRateLimitLayer<K>, request: Request<String>) -> StatusCode {
    send(layer, request).await.status()
}

/// How many of so many requests are let through.
async fn passes<K: Keys>(
    layer: &RedisRateLimitLayer<K>,
    count: usize,
    request: impl Fn() -> Request<String>,
) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        passed += usize::from(status(layer, request()).await == StatusCode::OK);
    }
    passed
}

fn by(caller: &str) -> Request<String> {
    let mut request = Request::new(String::new());
    RequestContext::of(&mut request).set_principal(Principal::user(caller).tenant("acme").build());
    request
}

/// A store that waits long enough for a busy machine.
fn patient(server: &RedisServer) -> RedisStore {
    RedisStore::single(&server.url()).unwrap().with_timeout(Duration::from_secs(1)).unwrap()
}

/// Waits until something outside of this process has come about.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// How often scripts were run on a server.
fn scripts(server: &RedisServer) -> usize {
    let stats = server.command(&["INFO", "commandstats"]);
    let calls = |line: &str| {
        let calls =
            line.strip_prefix("cmdstat_evalsha:calls=").or(line.strip_prefix("cmdstat_eval:calls="))?;
        calls.split(',').next()?.parse::<usize>().ok()
    };
    stats.lines().filter_map(calls).sum()
}
