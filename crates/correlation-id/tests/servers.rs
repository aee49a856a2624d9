//! The layer on a real server, with a real client.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{any, get},
};
use bartizan_core::{NormalizeLayer, Reason, Rejection, RequestContext};
use bartizan_correlation_id::{CorrelationIdLayer, TraceContextLayer};
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
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
        .route("/panic", any(async || -> String { panic!("the handler fails") }))
        .route(
            "/trace",
            get(async |request: Request| {
                let context = RequestContext::get(request.extensions()).unwrap();
                let trace = context.trace().unwrap();
                let state = trace.state().map_or("", |state| state.to_str().unwrap());
                let baggage = context.baggage().map_or("", |baggage| baggage.as_str());
                format!("{} {:02x} [{state}] [{baggage}]", trace.trace_id(), trace.flags())
            }),
        )
        .route_service("/refuse", refuse)
        .layer(NormalizeLayer::new())
        .layer(TraceContextLayer::new())
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
        let sent = http::Request::post(format!("{base}{path}"));
        let sent = sent.header("content-type", "application/grpc").header("x-correlation-id", "w-1");
        let response = call(true, sent.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], status, "{path}");
        assert_eq!(response.headers()["x-request-id"].len(), 36);
        assert_eq!(response.headers()["x-correlation-id"], "w-1");
    }
}

/// Sends header lines as they are, over HTTP/1.1; returns the body of the answer.
async fn trace_of(base: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!("GET /trace HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn trc_01_names_of_any_case_and_white_space_are_read_from_the_wire() {
    const TRACE: &str = "12345678901234567890123456789012";
    let base = serve().await;
    let lines = format!(
        "TraceParent: \t 00-{TRACE}-1234567890123456-03 \t\r\nTRACESTATE: foo=1 \t , bar=2\r\n\
         tracestate:\r\nTraceState:\tbaz=3 \r\nBaggage: tenant=acme\r\nbaggage: no member\r\n"
    );
    assert_eq!(trace_of(&base, &lines).await, format!("{TRACE} 03 [foo=1,bar=2,baz=3] [tenant=acme]"));

    let twice = format!("traceparent: 00-{TRACE}-1234567890123456-01\r\n").repeat(2);
    for lines in [twice, format!("trace-parent: 00-{TRACE}-1234567890123456-01\r\n")] {
        let answer = trace_of(&base, &format!("{lines}tracestate: foo=1\r\n")).await;
        assert!(!answer.contains(TRACE) && answer.ends_with(" 03 [] []"), "{answer}");
    }
}

#[tokio::test]
async fn trc_01_a_trace_goes_on_over_http2() {
    let base = serve().await;
    let sent = http::Request::get(format!("{base}/trace"))
        .header("traceparent", "00-12345678901234567890123456789012-1234567890123456-01")
        .header("tracestate", "foo=1")
        .header("tracestate", "bar=2");
    let response = call(true, sent.body(Body::empty()).unwrap()).await;
    assert_eq!(response.body(), "12345678901234567890123456789012 01 [foo=1,bar=2] []");
    assert!(!response.headers().contains_key("traceparent"));
}
