//! The layer on real servers.
#![cfg(any(feature = "axum", feature = "tonic"))]

use axum::{Router, body::Body, extract::Request, routing::any};
use bartizan_client_addr::{ClientAddrLayer, ForwardedHeader, MissingAddr, TrustedProxies};
use bartizan_core::RequestContext;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;

fn router() -> Router {
    Router::new().fallback(any(async |request: Request| {
        let context = RequestContext::get(request.extensions()).expect("the layer inserts one");
        context.client_addr().map_or_else(|| "unknown".to_owned(), |addr| addr.to_string())
    }))
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

async fn get(url: &str, http2: bool) -> (StatusCode, String) {
    send(http::Request::get(url).body(Body::empty()).unwrap(), http2).await
}

async fn send(request: Request, http2: bool) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Body>();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn cli_01_an_axum_server_tells_the_peer() {
    use std::net::SocketAddr;

    let (listener, url) = listen().await;
    let app = router().layer(ClientAddrLayer::peer().with_missing(MissingAddr::Refuse));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());
    assert_eq!(get(&url, false).await, (StatusCode::OK, "127.0.0.1".to_owned()));
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn an_axum_server_without_connect_info_serves_all_the_same() {
    let (listener, url) = listen().await;
    tokio::spawn(axum::serve(listener, router().layer(ClientAddrLayer::peer())).into_future());
    assert_eq!(get(&url, false).await, (StatusCode::OK, "unknown".to_owned()));
}

#[cfg(feature = "tonic")]
#[tokio::test]
async fn cli_01_a_tonic_server_tells_the_peer() {
    let (listener, url) = listen().await;
    let server = tonic::transport::Server::builder()
        .layer(ClientAddrLayer::peer().with_missing(MissingAddr::Refuse))
        .add_routes(tonic::service::Routes::from(router()))
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    tokio::spawn(server);
    assert_eq!(get(&url, true).await, (StatusCode::OK, "127.0.0.1".to_owned()));
}

/// A request as it comes from a proxy on this machine, which appended a line to what the caller had written.
fn forwarded(url: &str) -> Request {
    http::Request::get(url)
        .header("x-forwarded-for", "198.51.100.1, \"")
        .header("x-forwarded-for", "203.0.113.9")
        .body(Body::empty())
        .unwrap()
}

fn behind(proxies: &str) -> ClientAddrLayer {
    ClientAddrLayer::behind(TrustedProxies::networks([proxies]).unwrap(), ForwardedHeader::XForwardedFor)
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn cli_02_an_axum_server_behind_a_proxy_tells_the_caller() {
    use std::net::SocketAddr;

    for (proxies, expected) in [("127.0.0.0/8", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")] {
        let (listener, url) = listen().await;
        let app = router().layer(behind(proxies)).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, app).into_future());
        assert_eq!(send(forwarded(&url), false).await, (StatusCode::OK, expected.to_owned()));
    }
}

#[cfg(feature = "tonic")]
#[tokio::test]
async fn cli_02_a_tonic_server_behind_a_proxy_tells_the_caller() {
    let (listener, url) = listen().await;
    let server = tonic::transport::Server::builder()
        .layer(behind("127.0.0.1"))
        .add_routes(tonic::service::Routes::from(router()))
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    tokio::spawn(server);
    assert_eq!(send(forwarded(&url), true).await, (StatusCode::OK, "203.0.113.9".to_owned()));
}
