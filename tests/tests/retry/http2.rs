//! RT-02 over HTTP/2: what the server says it did not process.

use std::net::SocketAddr;

use http::StatusCode;
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

/// What the server does with a stream.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer,
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY that covers nothing, and the connection is closed.
    GoAwayBefore,
    /// GOAWAY that covers the stream, and the connection is closed without an answer.
    GoAwayAfter,
}

/// A server of frames written by hand (RFC 9113 section 4.1): no proper one goes away like this.
async fn serve(acts: &'static [Act]) -> (SocketAddr, Count) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let count = Count::default();
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream, acts, counted.clone()));
        }
    });
    (addr, count)
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn connection(mut io: TcpStream, acts: &'static [Act], count: Count) -> Option<()> {
    let mut preface = [0; 24];
    io.read_exact(&mut preface).await.ok()?;
    io.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        io.read_exact(&mut payload).await.ok()?;
        match kind {
            SETTINGS if flags & ACK == 0 => io.write_all(&frame(SETTINGS, ACK, 0, &[])).await.ok()?,
            HEADERS => match acts[count.next().min(acts.len()) - 1] {
                // `:status: 200` is number 8 of the static table (RFC 7541 appendix A).
                Act::Answer => {
                    io.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88])).await.ok()?;
                }
                Act::Reset(code) => {
                    io.write_all(&frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await.ok()?;
                }
                act @ (Act::GoAwayBefore | Act::GoAwayAfter) => {
                    let last = if matches!(act, Act::GoAwayAfter) { stream } else { 0 };
                    let payload = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
                    io.write_all(&frame(GOAWAY, 0, 0, &payload)).await.ok()?;
                    io.shutdown().await.ok()?;
                    // Closed with something unread, it would be reset.
                    let _ = io.read_to_end(&mut Vec::new()).await;
                    return None;
                }
            },
            DATA => {}
            _ => {}
        }
    }
}

fn hyper() -> Hyper<HttpConnector, bartizan::retry::ReplayBody<BoxBody<Bytes, Infallible>>> {
    Hyper::builder(TokioExecutor::new()).http2_only(true).build_http()
}

const CANCEL: u32 = 8;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

async fn send(method: &str, acts: &'static [Act]) -> (Option<StatusCode>, usize) {
    let (addr, count) = serve(acts).await;
    let sent = quick().layer(hyper()).oneshot(request(method, format!("http://{addr}/"), "order")).await;
    (sent.ok().map(|response| response.status()), count.get())
}

#[tokio::test]
async fn rt_02_a_refused_stream_is_repeated_whatever_the_method() {
    assert_eq!(send("POST", &[Act::Reset(REFUSED_STREAM), Act::Answer]).await, (Some(StatusCode::OK), 2));
    assert_eq!(send("POST", &[Act::Reset(REFUSED_STREAM)]).await, (None, 3));
}

#[tokio::test]
async fn rt_02_a_goaway_that_does_not_cover_the_request_is_repeated_whatever_the_method() {
    assert_eq!(send("POST", &[Act::GoAwayBefore, Act::Answer]).await, (Some(StatusCode::OK), 2));
    assert_eq!(send("POST", &[Act::GoAwayBefore]).await, (None, 3));
}

#[tokio::test]
async fn rt_01_what_may_have_been_processed_is_repeated_only_where_that_is_safe() {
    const AFTER: &[Act] = &[Act::GoAwayAfter, Act::Answer];
    const CANCELLED: &[Act] = &[Act::Reset(CANCEL), Act::Answer];
    const FAILED: &[Act] = &[Act::Reset(INTERNAL_ERROR), Act::Answer];
    for acts in [AFTER, CANCELLED, FAILED] {
        assert_eq!(send("POST", acts).await, (None, 1), "{acts:?}");
        assert_eq!(send("PUT", acts).await, (Some(StatusCode::OK), 2), "{acts:?}");
    }
}

#[tokio::test]
async fn rt_08_a_transparent_retry_of_a_grpc_call_is_not_one_of_its_attempts() {
    let call = async |acts| {
        let (addr, count) = serve(acts).await;
        let mut call = request("POST", format!("http://{addr}/stock.v1.Stock/Reserve"), "message");
        call.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        let sent = quick().with_max_attempts(2).unwrap().layer(hyper()).oneshot(call).await;
        (sent.is_ok(), count.get())
    };
    assert_eq!(call(&[Act::Reset(REFUSED_STREAM)]).await, (false, 1 + 2), "the first of them is transparent");
    assert_eq!(call(&[Act::GoAwayBefore, Act::Reset(REFUSED_STREAM), Act::Answer]).await, (true, 3));
    // GRPC-11: of the other resets none is UNAVAILABLE.
    assert_eq!(call(&[Act::Reset(INTERNAL_ERROR), Act::Answer]).await, (false, 1));
    assert_eq!(call(&[Act::Reset(CANCEL), Act::Answer]).await, (false, 1));
}
