//! What only a real server and a client of raw bytes show.

use std::net::SocketAddr;

use axum::{Router, body::Bytes, routing::post};
use bartizan_testkit::{RawClient, serve_router};
use bartizan_validate::JsonLayer;

async fn serve() -> SocketAddr {
    serve_router(Router::new().route("/", post(async |body: Bytes| body)).layer(JsonLayer::new())).await
}

#[tokio::test]
async fn err_11_a_client_that_withholds_its_body_is_refused_without_a_100() {
    let address = serve().await;
    for (fields, status) in [
        ("content-type: application/json\r\ncontent-length: 5000000", "413"),
        ("content-length: 2", "415"),
        ("content-type: application/json\r\ncontent-encoding: zip\r\ncontent-length: 2", "415"),
    ] {
        let mut client = RawClient::connect(address).await;
        client.expect_continue(fields).await;
        let answer = client.read_to("\"code\"").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn err_11_a_client_whose_head_is_good_is_told_to_go_on() {
    let mut client = RawClient::connect(serve().await).await;
    let fields = "content-type: application/json\r\ntransfer-encoding: chunked";
    client.expect_continue(fields).await;
    client.read_to("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write(b"4\r\n[1, \r\n2\r\n2]\r\n0\r\n\r\n").await;
    let answer = client.read_to("[1, 2]").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[cfg(feature = "schema")]
#[tokio::test]
async fn val_08_a_broken_response_is_replaced_and_the_connection_serves_the_next() {
    use axum::{extract::Path, http::header, routing::get};
    use bartizan_validate::{JsonSchema, ResponseSchemaLayer};

    let schema = JsonSchema::new(&serde_json::json!({ "required": ["id"] })).unwrap();
    let answer = async |Path(body): Path<String>| ([(header::CONTENT_TYPE, "application/json")], body);
    let app = Router::new().route("/{body}", get(answer)).layer(ResponseSchemaLayer::new(schema));
    let mut client = RawClient::connect(serve_router(app).await).await;
    for (target, status, length, end) in [
        ("/%7B%22id%22:7%7D", "200 OK", "content-length: 8\r\n", "{\"id\":7}"),
        (
            "/%7B%22s3cret%22:7%7D",
            "500 Internal Server Error",
            "content-type: application/problem+json",
            "\"code\"",
        ),
        ("/%7B%22id%22:8%7D", "200 OK", "content-length: 8\r\n", "{\"id\":8}"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        client.write(head).await;
        let answer = client.read_to(end).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.contains(length), "{answer}");
        assert!(!answer.contains("s3cret"), "{answer}");
    }
}
