//! What only a real server and a client of raw bytes show.

use std::net::SocketAddr;

use axum::{Router, body::Bytes, routing::post};
use bartizan_validate::JsonLayer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", post(async |body: Bytes| body)).layer(JsonLayer::new());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Reads until what came contains `end`.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(end) {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8(seen).unwrap()
}

fn head(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n{fields}\r\n\r\n")
}

#[tokio::test]
async fn err_11_a_client_that_withholds_its_body_is_refused_without_a_100() {
    let address = serve().await;
    for (fields, status) in [
        ("content-type: application/json\r\ncontent-length: 5000000", "413"),
        ("content-length: 2", "415"),
        ("content-type: application/json\r\ncontent-encoding: zip\r\ncontent-length: 2", "415"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(fields).as_bytes()).await.unwrap();
        let answer = read_to(&mut stream, "\"code\"").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn err_11_a_client_whose_head_is_good_is_told_to_go_on() {
    let mut stream = TcpStream::connect(serve().await).await.unwrap();
    let fields = "content-type: application/json\r\ntransfer-encoding: chunked";
    stream.write_all(head(fields).as_bytes()).await.unwrap();
    read_to(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"4\r\n[1, \r\n2\r\n2]\r\n0\r\n\r\n").await.unwrap();
    let answer = read_to(&mut stream, "[1, 2]").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
