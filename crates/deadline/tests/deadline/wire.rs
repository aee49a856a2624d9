//! What only real servers and clients show. They talk over pipes in memory, so that time may be paused.

use std::{convert::Infallible, error::Error, future::pending};

use axum::{Router, body::Body, routing::post};
use bartizan_core::GrpcCode;
use bartizan_deadline::{OutboundTimeoutLayer, RequestBodyTimeoutLayer, TimeoutLayer};
use bartizan_testkit::TestBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::sleep,
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{clock, grpc_status, secs, timed};

const PIPE: usize = 64 * 1024;

/// Serves one connection, over HTTP/1.1 or HTTP/2.
fn serve<S, B>(service: S) -> DuplexStream
where
    S: Service<Request<hyper::body::Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (client, server) = duplex(PIPE);
    let service = TowerToHyperService::new(service);
    tokio::spawn(async move {
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(server), service).await;
    });
    client
}

type BoxError = Box<dyn Error + Send + Sync>;
type SendRequest = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

async fn http2(stream: DuplexStream) -> SendRequest {
    let connect = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (client, connection) = connect.await.unwrap();
    tokio::spawn(connection);
    client
}

fn call() -> Request<Empty<Bytes>> {
    Request::post("http://stock.invalid/pkg.Stock/Reserve")
        .header("content-type", "application/grpc")
        .body(Empty::new())
        .unwrap()
}

fn layer(total: u64) -> TimeoutLayer {
    TimeoutLayer::new(secs(total)).unwrap().with_clock(clock())
}

#[tokio::test(start_paused = true)]
async fn grpc_10_a_stream_over_http2_ends_with_deadline_exceeded() {
    let streaming = service_fn(async |_: Request<hyper::body::Incoming>| {
        let (sender, body) = TestBody::channel();
        tokio::spawn(async move {
            for _ in 0..3 {
                sender.data("message");
                sleep(secs(1)).await;
            }
            // It never ends by itself.
            pending::<()>().await;
            drop(sender);
        });
        let response = Response::builder().header("content-type", "application/grpc");
        Ok::<_, Infallible>(response.body(body).unwrap())
    });
    let mut client = http2(serve(layer(60).layer(streaming))).await;
    let mut request = call();
    request.headers_mut().insert("grpc-timeout", "10S".parse().unwrap());
    let response = client.send_request(request).await.unwrap();
    let (body, elapsed) = timed(response.into_body().collect()).await;
    let body = body.expect("the stream ends as gRPC's do");
    assert_eq!(body.trailers().unwrap()["grpc-status"], "4");
    assert_eq!((body.to_bytes(), elapsed), (Bytes::from_static(b"messagemessagemessage"), secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_body_over_http1_that_takes_too_long_is_seen_to_be_broken_off() {
    let resting = service_fn(async |_: Request<hyper::body::Incoming>| {
        let (sender, body) = TestBody::channel();
        sender.data("half");
        tokio::spawn(async move {
            pending::<()>().await;
            drop(sender);
        });
        Ok::<_, Infallible>(Response::new(body))
    });
    let mut stream = serve(layer(5).layer(resting));
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a.invalid\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("4\r\nhalf\r\n"),
        "no last chunk: {answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_over_http1_gets_408_and_the_connection_is_closed() {
    let upload = post(async |body: Bytes| body.len().to_string());
    let layer = RequestBodyTimeoutLayer::new().with_idle(secs(5)).unwrap().with_clock(clock());
    let router = Router::new().route("/upload", upload).layer(layer);
    let mut stream =
        serve(router.map_request(|request: Request<hyper::body::Incoming>| request.map(Body::new)));
    let head = "POST /upload HTTP/1.1\r\nhost: a.invalid\r\ncontent-length: 10\r\n\r\nhalf";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let (read, elapsed) = timed(stream.read_to_end(&mut answer)).await;
    read.expect("the server closes the connection");
    let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 408") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"request_timeout""#));
    assert_eq!(elapsed, secs(5));
}

/// A server that resets each stream with `reason` after so many seconds.
fn resetting(reason: h2::Reason, after: u64) -> DuplexStream {
    let (client, server) = duplex(PIPE);
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(server).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                sleep(secs(after)).await;
                respond.send_reset(reason);
            });
        }
    });
    client
}

#[tokio::test(start_paused = true)]
async fn grpc_11_the_resets_of_a_real_connection_are_mapped() {
    use h2::Reason;
    for (reason, expected) in [
        (Reason::REFUSED_STREAM, GrpcCode::Unavailable),
        (Reason::CANCEL, GrpcCode::Cancelled),
        (Reason::ENHANCE_YOUR_CALM, GrpcCode::ResourceExhausted),
        (Reason::INADEQUATE_SECURITY, GrpcCode::PermissionDenied),
        (Reason::PROTOCOL_ERROR, GrpcCode::Internal),
        (Reason::INTERNAL_ERROR, GrpcCode::Internal),
        (Reason::FLOW_CONTROL_ERROR, GrpcCode::Internal),
        (Reason::STREAM_CLOSED, GrpcCode::Internal),
    ] {
        let error = http2(resetting(reason, 0)).await.send_request(call()).await.unwrap_err();
        assert_eq!(GrpcCode::from_reset_error(&error), Some(expected), "{reason:?}: {error:?}");
    }
    let (client, server) = duplex(PIPE);
    let mut client = http2(client).await;
    drop(server);
    let error = client.send_request(call()).await.unwrap_err();
    assert_eq!(GrpcCode::from_reset_error(&error), None, "a broken connection is no reset: {error:?}");
}

#[tokio::test(start_paused = true)]
async fn grpc_10_a_server_that_cancels_at_the_deadline_is_reported_as_deadline_exceeded() {
    for (after, expected) in [(4, Err(Some(GrpcCode::Cancelled))), (5, Ok("4")), (6, Ok("4"))] {
        let mut client = http2(resetting(h2::Reason::CANCEL, after)).await;
        let client = service_fn(move |request| client.send_request(request));
        let layer = OutboundTimeoutLayer::total(secs(5)).unwrap().with_clock(clock());
        let (answer, elapsed) = timed(layer.layer(client).oneshot(call())).await;
        let seen = match answer {
            Ok(response) => Ok(grpc_status(&response).to_owned()),
            Err(error) => Err(GrpcCode::from_reset_error(&error)),
        };
        assert_eq!(seen, expected.map(str::to_owned), "after {after} s");
        assert_eq!(elapsed, secs(after.min(5)));
    }
}
