//! Tokens for outgoing requests, over real sockets.
#![cfg(feature = "https-client")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use bartizan_auth::{BearerLayer, ClientCredentials, HttpsClient};
use bartizan_core::{Clock, ManualClock};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

/// How often a token was asked for, and from which on tokens are good.
#[derive(Clone, Default)]
struct World {
    granted: Arc<AtomicUsize>,
    good_from: Arc<AtomicUsize>,
}

async fn token(State(world): State<World>, headers: HeaderMap, body: String) -> Response {
    // billing:s3cret
    if headers[header::AUTHORIZATION] != "Basic YmlsbGluZzpzM2NyZXQ="
        || body != "grant_type=client_credentials"
    {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response();
    }
    let count = world.granted.fetch_add(1, Ordering::SeqCst) + 1;
    format!(r#"{{"access_token":"{count}","token_type":"bearer","expires_in":600}}"#).into_response()
}

async fn orders(State(world): State<World>, request: Request) -> Response {
    let value = request.headers().get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
    let count: usize = value.strip_prefix("Bearer ").map_or(0, |token| token.parse().unwrap());
    if count > 0 && count >= world.good_from.load(Ordering::SeqCst) {
        return Response::new(Body::from(value.to_owned()));
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"api\", error=\"invalid_token\"")];
    (StatusCode::UNAUTHORIZED, challenge).into_response()
}

async fn serve(world: World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = Router::new().route("/token", post(token)).route("/orders", any(orders)).with_state(world);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    addr
}

#[tokio::test]
async fn aut_08_a_service_calls_another_with_a_token_of_its_own() {
    let world = World::default();
    let (addr, elsewhere) = (serve(world.clone()).await, serve(world.clone()).await);
    let clock = ManualClock::new();
    let tokens = ClientCredentials::new(format!("http://{addr}/token"), "billing", "s3cret")
        .with_insecure_loopback_http()
        .with_clock(Clock::from(clock.clone()))
        .build()
        .unwrap();
    let http = HttpsClient::new().unwrap().with_insecure_loopback_http();
    let client = BearerLayer::new(tokens, [format!("http://{addr}")]).unwrap().layer(http);
    let send = async |addr: SocketAddr| {
        let request = Request::get(format!("http://{addr}/orders")).body(Full::<Bytes>::default()).unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(send(addr).await, (200, "Bearer 1".into()));
    assert_eq!(send(elsewhere).await.0, 401, "another port is another origin");
    assert_eq!(send(addr).await, (200, "Bearer 1".into()));

    // The server revokes what it gave.
    world.good_from.store(2, Ordering::SeqCst);
    clock.advance(Duration::from_secs(2));
    assert_eq!(send(addr).await, (200, "Bearer 2".into()), "without the caller noticing");
    assert_eq!(world.granted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn aut_08_a_wrong_secret_gives_no_token() {
    let world = World::default();
    let addr = serve(world.clone()).await;
    let tokens = ClientCredentials::new(format!("http://{addr}/token"), "billing", "wrong")
        .with_insecure_loopback_http()
        .build()
        .unwrap();
    let http = HttpsClient::new().unwrap().with_insecure_loopback_http();
    let client = BearerLayer::new(tokens, [format!("http://{addr}")]).unwrap().layer(http);
    let request = Request::get(format!("http://{addr}/orders")).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(client.oneshot(request).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.granted.load(Ordering::SeqCst), 0);
}
