//! RT-01, RT-02, RT-03, RT-04, RT-07, RT-10 over HTTP/1.1, by hyper-util's client and by reqwest's.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, routing::any};
use bartizan::{
    HttpReqwest, Stack,
    correlation_id::{LogicalCallLayer, PropagateLayer},
    retry::{Attempt, AttemptOutcome, Policy, StandardPolicy},
};
use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, ServiceExt};

use super::*;

fn hyper() -> Hyper<HttpConnector, bartizan::retry::ReplayBody<BoxBody<Bytes, Infallible>>> {
    Hyper::builder(TokioExecutor::new()).build_http()
}

/// What a server does on a connection, once it has read the head of a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Reset,
    /// Writes this, and closes.
    Write(&'static str),
}

const OK: Act = Act::Write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");

/// Does one after the other, and the last for ever; one request for each connection.
async fn serve(acts: &'static [Act]) -> (SocketAddr, Count) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let count = Count::default();
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let act = acts[counted.next().min(acts.len()) - 1];
            tokio::spawn(answer(stream, act));
        }
    });
    (addr, count)
}

async fn answer(mut stream: TcpStream, act: Act) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    match act {
        Act::Reset => stream.set_zero_linger().unwrap(),
        Act::Write(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
            // Closed with something unread, it would be reset.
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut head)).await;
        }
    }
}

#[tokio::test]
async fn rt_01_a_connection_that_is_reset_is_retried_where_that_is_safe() {
    for (method, expected) in [("GET", 3), ("PUT", 3), ("POST", 1), ("PATCH", 1)] {
        let (addr, count) = serve(&[Act::Reset]).await;
        let sent = quick().layer(hyper()).oneshot(request(method, format!("http://{addr}/"), "x")).await;
        assert!(sent.is_err());
        assert_eq!(count.get(), expected, "{method}");
    }
    let (addr, count) = serve(&[Act::Reset, OK]).await;
    let response =
        quick().layer(hyper()).oneshot(request("GET", format!("http://{addr}/"), "")).await.unwrap();
    assert_eq!((response.status(), attempts(&response), count.get()), (StatusCode::OK, 2, 2));
}

#[tokio::test]
async fn rt_01_half_a_head_is_no_answer_and_half_a_body_is_the_caller_s_to_see() {
    const HALF_A_HEAD: Act = Act::Write("HTTP/1.1 200 OK\r\ncontent-le");
    const HALF_A_BODY: Act = Act::Write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    for (method, act, expected) in [("GET", HALF_A_HEAD, 3), ("POST", HALF_A_HEAD, 1)] {
        let acts: &'static [Act] = Box::leak(Box::new([act]));
        let (addr, count) = serve(acts).await;
        let sent = quick().layer(hyper()).oneshot(request(method, format!("http://{addr}/"), "")).await;
        assert!(sent.is_err());
        assert_eq!(count.get(), expected);
    }
    let (addr, count) = serve(&[HALF_A_BODY]).await;
    let response =
        quick().layer(hyper()).oneshot(request("GET", format!("http://{addr}/"), "")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(count.get(), 1, "the caller has the head already");
}

#[tokio::test]
async fn rt_03_and_rt_04_a_503_is_retried_when_it_says_and_not_at_all_when_that_is_too_long() {
    const NOW: Act = Act::Write(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlater",
    );
    const IN_AN_HOUR: Act = Act::Write(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let (addr, count) = serve(&[NOW, OK]).await;
    let client = quick().layer(hyper());
    let response = client.clone().oneshot(request("GET", format!("http://{addr}/"), "")).await.unwrap();
    assert_eq!((response.status(), count.get()), (StatusCode::OK, 2));
    let (addr, count) = serve(&[IN_AN_HOUR]).await;
    let response = client.clone().oneshot(request("GET", format!("http://{addr}/"), "")).await.unwrap();
    assert_eq!((response.status(), count.get()), (StatusCode::SERVICE_UNAVAILABLE, 1));
    assert_eq!(response.headers()["retry-after"], "3600");
    let (addr, count) = serve(&[NOW]).await;
    let response = client.oneshot(request("POST", format!("http://{addr}/"), "")).await.unwrap();
    assert_eq!((response.status(), count.get()), (StatusCode::SERVICE_UNAVAILABLE, 1));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "later");
}

#[tokio::test]
async fn rt_07_an_upstream_that_resets_everything_gets_a_fifth_more_and_the_floor() {
    let (addr, count) = serve(&[Act::Reset]).await;
    let client = quick().layer(hyper());
    for _ in 0..1_000 {
        let sent = client.clone().oneshot(request("GET", format!("http://{addr}/"), "")).await;
        assert!(sent.is_err());
    }
    // The floor is ten per second, also of those that this took.
    let got = count.get();
    assert!((1_300..=1_400).contains(&got), "{got}");
}

/// Looks at each outcome, and decides as usual.
fn watched(seen: Count, expect: fn(&Attempt<'_>) -> bool) -> impl Policy {
    let standard = StandardPolicy::new();
    move |attempt: &Attempt<'_>| {
        assert!(expect(attempt), "{attempt:?}");
        seen.next();
        standard.decide(attempt)
    }
}

#[tokio::test]
async fn rt_02_a_refused_connection_is_known_whatever_the_client() {
    // Nobody listens there any more.
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let is_connect = |attempt: &Attempt<'_>| matches!(attempt.outcome(), AttemptOutcome::Failed(failure) if failure.is_connect());
    let order = || request("POST", format!("http://{addr}/orders"), "order");
    let seen = Count::default();
    let client = quick().with_policy(watched(seen.clone(), is_connect)).layer(hyper());
    assert!(client.oneshot(order()).await.unwrap_err().is_connect());
    assert_eq!(seen.get(), 3);

    let seen = Count::default();
    let client = quick()
        .with_policy(watched(seen.clone(), is_connect))
        .layer(HttpReqwest::new(reqwest::Client::new()));
    assert!(client.oneshot(order()).await.unwrap_err().is_connect());
    assert_eq!(seen.get(), 3);
}

/// Answers 503 to the first `failures` requests, the rest with their own body. It reads no body that it refuses.
async fn flaky(failures: usize) -> (SocketAddr, Count) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let count = Count::default();
    let counted = count.clone();
    let echo = move |body: Body| {
        let fails = counted.next() <= failures;
        async move {
            if fails { (StatusCode::SERVICE_UNAVAILABLE, Body::from("busy")) } else { (StatusCode::OK, body) }
        }
    };
    tokio::spawn(axum::serve(listener, Router::new().route("/", any(echo))).into_future());
    (addr, count)
}

#[tokio::test]
async fn rt_10_a_body_is_sent_whole_in_each_attempt_although_the_first_answer_was_early() {
    for size in [0, 1, 60_000] {
        let (addr, count) = flaky(2).await;
        let body: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        let pieces: Vec<_> =
            body.chunks(997).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let stream = BoxBody::new(StreamBody::new(futures_util::stream::iter(pieces)));
        let mut put = request("PUT", format!("http://{addr}/"), "");
        *put.body_mut() = stream;
        let response = quick().layer(hyper()).oneshot(put).await.unwrap();
        assert_eq!((response.status(), attempts(&response), count.get()), (StatusCode::OK, 3, 3), "{size}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    }
}

#[tokio::test]
async fn rt_10_a_stack_over_reqwest_retries_and_tells_the_attempts_by_their_spans() {
    let (addr, count) = flaky(1).await;
    let stack = Stack::client().push(LogicalCallLayer::new()).push(quick()).push(PropagateLayer::new());
    assert_eq!(
        stack.describe().to_string(),
        "1. rpc_span  logical_call\n2. retry     retry\n3. attempt   propagate\n"
    );
    let client = stack.build().layer(HttpReqwest::new(reqwest::Client::new()));
    let response = client.oneshot(request("PUT", format!("http://{addr}/"), "an order")).await.unwrap();
    assert_eq!((response.status(), attempts(&response), count.get()), (StatusCode::OK, 2, 2));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "an order");
}
