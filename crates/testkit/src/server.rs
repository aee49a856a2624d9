//! Real servers around what is under test.

use std::net::SocketAddr;

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::{TestBody, TestService, prepare::Prepare};

/// A listener on a free port of this machine.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    (listener, addr)
}

/// Serves `router` over HTTP/1.1 on a free port of this machine until the runtime ends.
///
/// # Panics
///
/// When there is no free port.
pub async fn serve_router(router: axum::Router) -> SocketAddr {
    let (listener, addr) = listen().await;
    tokio::spawn(axum::serve(listener, router).into_future());
    addr
}

/// Serves `service` over HTTP/1.1 and HTTP/2 until the runtime ends. Requests are prepared when they arrive.
pub(crate) async fn serve(service: TestService, prepare: &Prepare) -> SocketAddr {
    let (listener, addr) = listen().await;
    let prepare = prepare.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (service, prepare) = (service.clone(), prepare.clone());
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let request = prepare.apply(request.map(TestBody::new));
                service.clone().oneshot(request)
            });
            tokio::spawn(async move {
                // A connection that breaks is for the client to see.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    addr
}
