//! RT-09 and RT-10: hedged uploads, whose bodies the tasks of connections read.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, routing::put};
use bartizan::{
    circuit_breaker::{BreakerPolicy, CircuitBreakerLayer},
    retry::{Budget, HedgeLayer},
};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedReceiver},
};
use tokio_stream::wrappers::ReceiverStream;
use tower::{ServiceBuilder, ServiceExt};

use super::*;

/// Answers an upload with its size once it is there; tells of each that has begun, and of each that has come to an end.
async fn serve() -> (SocketAddr, UnboundedReceiver<()>, UnboundedReceiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let ((begun, begins), (ended, ends)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let upload = async move |mut body: Body| {
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else {
                ended.send(false).unwrap();
                return (StatusCode::BAD_REQUEST, String::new());
            };
            if size == 0 {
                begun.send(()).unwrap();
            }
            size += data.len();
        }
        ended.send(true).unwrap();
        (StatusCode::OK, size.to_string())
    };
    tokio::spawn(axum::serve(listener, Router::new().route("/", put(upload))).into_future());
    (addr, begins, ends)
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_10_a_hedged_upload_over_the_cap_counts_against_nobody_over_http_1_and_2() {
    for http2 in [false, true] {
        let (addr, mut begins, mut ends) = serve().await;
        // One failure opens the breaker, and stops the throttle; a success gives next to nothing.
        let breaker = CircuitBreakerLayer::new(BreakerPolicy::consecutive(1).unwrap());
        let breakers = breaker.handle();
        let hedge = HedgeLayer::after(Duration::from_millis(1))
            .unwrap()
            .with_replay_cap(1_000)
            .with_budget(Budget::grpc_throttle(2, 0.001).unwrap());
        let client = ServiceBuilder::new()
            .layer(hedge)
            .layer(breaker)
            .service(Hyper::builder(TokioExecutor::new()).http2_only(http2).build(connector()));
        for number in 0..50 {
            let (sender, receiver) = mpsc::channel(1);
            let piece = || Ok(Frame::data(Bytes::from_static(&[b'x'; 600])));
            let mut upload = request("PUT", format!("http://{addr}/"), "");
            *upload.body_mut() = BoxBody::new(StreamBody::new(ReceiverStream::new(receiver)));
            let sent = tokio::spawn(client.clone().oneshot(upload));
            sender.send(piece()).await.unwrap();
            // Both copies have their part of what is kept.
            for _ in 0..2 {
                begins.recv().await.unwrap();
            }
            for _ in 0..20 {
                sender.send(piece()).await.unwrap();
            }
            drop(sender);
            let response = sent.await.unwrap().unwrap();
            assert_eq!((response.status(), attempts(&response)), (StatusCode::OK, 2), "{http2} {number}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "12600");
            assert!(breakers.is_all_well(), "{http2} {number}");
            // The one that lost is told to the server too, and does not linger.
            let mut both = [ends.recv().await.unwrap(), ends.recv().await.unwrap()];
            both.sort_unstable();
            assert_eq!(both, [false, true]);
        }
    }
}
