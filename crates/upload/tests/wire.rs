//! What only a real server and a client of raw bytes show.

use std::net::SocketAddr;

use axum::{Router, body::Body, extract::Request, response::IntoResponse, routing::post};
use bartizan_core::Rejection;
use bartizan_testkit::{RawClient, serve_router};
use bartizan_upload::{AllowList, FileType, Upload, UploadLayer, UploadLimits};

async fn read(request: Request<Body>) -> Result<String, Rejection> {
    let mut upload = Upload::of(request)?;
    let mut told = Vec::new();
    while let Some(part) = upload.next_part().await? {
        let name = part.file_name().map_or("-", |name| name.as_str()).to_owned();
        told.push(format!("{name} {}", part.bytes().await?.len()));
    }
    Ok(told.join(", "))
}

async fn serve() -> SocketAddr {
    let limits = UploadLimits::new().with_max_total(1 << 20).unwrap();
    let layer = UploadLayer::new(AllowList::new([FileType::PNG]).unwrap()).with_limits(limits);
    let app = Router::new()
        .route("/", post(async |request: Request<Body>| read(request).await.into_response()))
        .layer(layer);
    serve_router(app).await
}

#[tokio::test]
async fn err_11_a_client_that_withholds_its_form_is_refused_without_a_100() {
    let address = serve().await;
    for (fields, status) in [
        ("content-type: multipart/form-data\r\ncontent-length: 5", "400"),
        ("content-type: multipart/form-data; boundary=XX\r\ncontent-length: 1048577", "413"),
    ] {
        let mut client = RawClient::connect(address).await;
        client.expect_continue(fields).await;
        let answer = client.read_to("\"code\"").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn upl_01_a_chunked_form_is_read_as_it_comes_and_the_connection_serves_the_next() {
    let mut client = RawClient::connect(serve().await).await;
    let fields = "content-type: multipart/form-data; boundary=XX\r\ntransfer-encoding: chunked";
    let png: &[u8] = b"\x89PNG\r\n\x1a\n";
    for (bytes, status) in [(png, "200"), (png, "200"), (b"no picture", "415")] {
        client.expect_continue(fields).await;
        client.read_to("HTTP/1.1 100 Continue\r\n\r\n").await;
        let form = [
            b"--XX\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n",
            bytes,
            b"\r\n--XX--\r\n",
        ]
        .concat();
        for piece in form.chunks(11) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            client.write(chunk).await;
        }
        client.write(b"0\r\n\r\n").await;
        let end = if status == "200" { "a.png 8" } else { "\"file_content\"" };
        let answer = client.read_to(end).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
