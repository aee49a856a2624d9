//! The layer on a real server, with a real client.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::Request, routing::get};
use bartizan_core::{NormalizeLayer, Reason, Rejection, RequestContext};
use bartizan_correlation_id::CorrelationIdLayer;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::service_fn;

async fn serve() -> String {
    let refuse = service_fn(async |request: Request| {
        Ok::<_, Infallible>(
            Rejection::new(Reason::PermissionDenied).answer::<_, Body>(&request).map(Body::new),
        )
    });
    let router = Router::new()
        .route(
            "/id",
            get(async |request: Request| {
                RequestContext::get(request.extensions()).unwrap().request_id().unwrap().to_string()
            }),
        )
        .route("/panic", get(async || -> String { panic!("the handler fails") }))
        .route_service("/refuse", refuse)
        .layer(NormalizeLayer::new())
        .layer(CorrelationIdLayer::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

async fn call(http2: bool, request: http::Request<Body>) -> Response<bytes::Bytes> {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Body>();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn cid_04_every_answer_of_a_server_carries_the_id() {
    let base = serve().await;
    for http2 in [false, true] {
        for (method, path, status) in [
            (Method::GET, "/id", StatusCode::OK),
            (Method::HEAD, "/id", StatusCode::OK),
            (Method::POST, "/id", StatusCode::METHOD_NOT_ALLOWED),
            (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
            (Method::GET, "/panic", StatusCode::INTERNAL_SERVER_ERROR),
            (Method::GET, "/refuse", StatusCode::FORBIDDEN),
        ] {
            let sent = http::Request::builder().method(&method).uri(format!("{base}{path}"));
            let response = call(http2, sent.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status(), status, "{method} {path}");
            let id = response.headers()["x-request-id"].to_str().unwrap();
            assert_eq!(id.len(), 36, "{method} {path}");
            assert_eq!(response.headers()["x-correlation-id"], id);
            if status.is_success() && method == Method::GET {
                assert_eq!(response.body(), id);
            } else if !status.is_success() {
                let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
                assert_eq!(problem["request_id"], id, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn cid_04_a_grpc_caller_reads_the_id_from_the_metadata_of_errors() {
    let base = serve().await;
    for (path, status) in [("/refuse", "7"), ("/panic", "13"), ("/nowhere", "12")] {
        let method = if path == "/panic" { Method::GET } else { Method::POST };
        let sent = http::Request::builder().method(method).uri(format!("{base}{path}"));
        let sent = sent.header("content-type", "application/grpc").header("x-correlation-id", "w-1");
        let response = call(true, sent.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], status, "{path}");
        assert_eq!(response.headers()["x-request-id"].len(), 36);
        assert_eq!(response.headers()["x-correlation-id"], "w-1");
    }
}
