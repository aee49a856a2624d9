//! Panics and foreign errors become refusals, and nothing else is touched.

mod support;

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bartizan_core::{
    Face, NormalizeLayer, Protocol, Reason, Rejection, RequestContext, RequestId, ResponseBody,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use support::{Step, Steps, json, request};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, Service, ServiceExt};

const SECRET: &str = "panicked at src/secret.rs: password=hunter2";

fn identified(method: &str) -> Request<String> {
    let mut request = request(method, "/orders");
    RequestContext::of(&mut request).set_request_id(RequestId::new("req-1").unwrap());
    request
}

fn call() -> Request<String> {
    let mut request = request("POST", "/pkg.Orders/Create");
    request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
    RequestContext::of(&mut request).set_request_id(RequestId::new("req-1").unwrap());
    request
}

/// What the client sees of `response`, given to `request`.
async fn normalized<B>(request: Request<String>, response: Response<B>) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes>,
{
    let mut response = Some(response);
    let inner = tower::service_fn(move |_: Request<String>| {
        let response = response.take().expect("called once");
        async { Ok::<_, Infallible>(response) }
    });
    NormalizeLayer::new().layer(inner).oneshot(request).await.unwrap()
}

fn refusal<B>(response: &Response<B>) -> &Rejection {
    response.extensions().get().expect("a refusal")
}

fn status(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).expect("Trailers-Only")
}

/// A service that panics, in `call` or when its future is polled.
#[derive(Clone, Copy)]
enum Panics {
    InCall,
    InPoll,
}

impl Service<Request<String>> for Panics {
    type Response = Response<Steps>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        match self {
            Self::InCall => panic!("{SECRET}"),
            Self::InPoll => Box::pin(async {
                tokio::task::yield_now().await;
                panic!("{SECRET}")
            }),
        }
    }
}

#[tokio::test]
async fn err_05_a_panic_in_call_or_poll_tells_its_text_to_the_log_alone() {
    for panics in [Panics::InCall, Panics::InPoll] {
        let request = identified("GET");
        let context = RequestContext::get(request.extensions()).unwrap().clone();
        context.event().enable();
        let response = NormalizeLayer::new().layer(panics).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(refusal(&response).is_panic());
        assert_eq!(refusal(&response).cause(), Some(SECRET));
        context.event().read(|facts| assert_eq!(facts, [("panic", SECRET.to_owned().into())]));
        let text = String::from_utf8(response.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("secret.rs"), "{text}");
        assert!(text.contains("\"request_id\":\"req-1\""), "{text}");
    }
}

/// A body that cannot even be asked whether it has ended.
struct Rude;

impl Body for Rude {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        panic!("{SECRET}")
    }
}

#[tokio::test]
async fn err_05_a_panic_while_an_answer_is_replaced_is_a_refusal_too() {
    let page = Response::builder().status(404).body(Rude).unwrap();
    let response = normalized(identified("GET"), page).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(refusal(&response).is_panic());
}

#[tokio::test]
async fn grpc_02_a_panic_is_an_internal_status_for_a_call() {
    for panics in [Panics::InCall, Panics::InPoll] {
        let response = NormalizeLayer::new().layer(panics).oneshot(call()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.body().is_end_stream());
        let status = status(response.headers());
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("hunter2"));
        let details = status.get_error_details();
        assert_eq!(details.request_info().unwrap().request_id, "req-1");
    }
}

#[tokio::test]
async fn a_refusal_that_a_handler_returned_gets_the_id_and_the_face_of_its_request() {
    let returned = || {
        Rejection::new(Reason::IdempotencyKeyInUse)
            .with_detail("The first order is still being written.")
            .with_header(header::VARY, "authorization".parse().unwrap())
            .into_response::<Steps>(&Face::default())
    };
    let response = normalized(identified("POST"), returned()).await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(
        response.headers().get_all(header::VARY).iter().count(),
        1,
        "not once more for each rendering"
    );
    let problem = json(response).await;
    assert_eq!(problem["request_id"], "req-1");
    assert_eq!(problem["detail"], "The first order is still being written.");

    let response = normalized(call(), returned()).await;
    assert_eq!(status(response.headers()).code(), Code::Aborted);
    assert!(response.body().is_end_stream());
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn err_02_a_status_that_a_handler_put_beside_its_refusal_counts() {
    use axum::response::IntoResponse;

    let returned = (StatusCode::GONE, Rejection::new(Reason::RouteNotFound)).into_response();
    let response = normalized(identified("GET"), returned).await;
    assert_eq!(response.status(), StatusCode::GONE);
    let problem = json(response).await;
    assert_eq!((&problem["status"], &problem["code"]), (&410.into(), &"gone".into()));
    assert_eq!(problem["request_id"], "req-1");
}

#[tokio::test]
async fn foreign_errors_become_problems_of_the_same_status() {
    let plain = |status: u16, text: &'static str| {
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "Text/Plain; charset=utf-8")
            .header(header::CONTENT_LENGTH, text.len())
            .body(Steps::data([text]).known())
            .unwrap()
    };
    let empty = |status: u16| Response::builder().status(status).body(Steps::default().known()).unwrap();
    for (foreign, status, code) in [
        (empty(404), 404, "not_found"),
        (plain(413, "length limit exceeded"), 413, "content_too_large"),
        (plain(422, "missing field `email` at line 1"), 422, "schema_violation"),
        (plain(500, SECRET), 500, "internal"),
        (empty(409), 409, "conflict"),
        (empty(507), 507, "insufficient_storage"),
        (plain(418, "short and stout"), 418, "client_error"),
    ] {
        let response = normalized(identified("POST"), foreign).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH), "of the body that is gone");
        assert_eq!(refusal(&response).reason().status(), status);
        let problem = json(response).await;
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()));
        assert_eq!(problem["request_id"], "req-1");
        assert!(!problem.to_string().contains("email") && !problem.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_foreign_405_keeps_its_allow_and_a_head_gets_no_body() {
    let foreign = || {
        Response::builder()
            .status(405)
            .header(header::ALLOW, "GET,HEAD")
            .body(Steps::default().known())
            .unwrap()
    };
    let response = normalized(identified("DELETE"), foreign()).await;
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    assert_eq!(json(response).await["code"], "method_not_allowed");
    let response = normalized(identified(Method::HEAD.as_str()), foreign()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn a_foreign_retry_after_is_kept_in_seconds_and_as_a_date() {
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    for value in ["7", date] {
        let foreign =
            Response::builder().status(503).header(header::RETRY_AFTER, value).body(Steps::default().known());
        let response = normalized(identified("GET"), foreign.unwrap()).await;
        let kept: Vec<_> = response.headers().get_all(header::RETRY_AFTER).iter().collect();
        assert_eq!(kept, [value]);
    }
    let foreign =
        Response::builder().status(429).header(header::RETRY_AFTER, "7").body(Steps::default().known());
    let response = normalized(call(), foreign.unwrap()).await;
    let delay = status(response.headers()).get_details_retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(delay.as_secs(), 7);
}

#[tokio::test]
async fn rl_01_who_may_come_again_is_told_when_whoever_refused() {
    for code in [429, 503] {
        let foreign = || Response::builder().status(code).body(Steps::default().known()).unwrap();
        let response = normalized(identified("GET"), foreign()).await;
        assert_eq!(response.status(), code);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let delay = status(normalized(call(), foreign()).await.headers())
            .get_details_retry_info()
            .unwrap()
            .retry_delay;
        assert_eq!(delay, Some(std::time::Duration::from_secs(1)));
    }
    let foreign = Response::builder().status(500).body(Steps::default().known()).unwrap();
    let response = normalized(identified("GET"), foreign).await;
    assert!(!response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn headers_stay_but_for_those_of_the_body_that_is_gone() {
    let foreign = Response::builder()
        .status(416)
        .header(header::CONTENT_TYPE, "text/plain")
        .header(header::CONTENT_RANGE, "bytes */47")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONNECTION, "close")
        .header(header::SET_COOKIE, "a=1")
        .header(header::SET_COOKIE, "b=2")
        .header(header::ETAG, "\"of-the-text\"")
        .header(header::CONTENT_LANGUAGE, "de")
        .header(header::CONTENT_DISPOSITION, "attachment")
        .header("content-digest", "sha-256=:AA==:")
        .header(header::CACHE_CONTROL, "max-age=600")
        .body(Steps::data(["no such range"]).known());
    let response = normalized(identified("GET"), foreign.unwrap()).await;
    let headers = response.headers();
    // A 416 tells the length of the resource there (RFC 9110 section 15.5.17).
    assert_eq!(headers[header::CONTENT_RANGE], "bytes */47");
    assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
    assert_eq!(headers[header::CONNECTION], "close");
    assert_eq!(headers.get_all(header::SET_COOKIE).iter().count(), 2);
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    for gone in ["etag", "content-language", "content-disposition", "content-digest"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn errors_that_are_an_apis_own_a_page_a_problem_or_a_stream_are_left_alone() {
    let stream = Steps::data(["data: broken\n\n"]).then(Step::Data(Bytes::from_static(b"data: more\n\n")));
    for (status, content_type, body) in [
        (400, "application/json", Steps::data([r#"{"error":"mine"}"#]).known()),
        (409, "application/problem+json; charset=utf-8", Steps::data([r#"{"title":"mine"}"#]).known()),
        (422, "application/problem+xml", Steps::data(["<problem/>"]).known()),
        (404, "text/html", Steps::data(["<h1>mine</h1>"]).known()),
        (500, "text/event-stream", stream.clone()),
        (500, "text/plain", stream.clone()),
        (503, "application/octet-stream", Steps::default().known()),
    ] {
        let expected = body.clone().collect().await.unwrap().to_bytes();
        let own = Response::builder().status(status).header(header::CONTENT_TYPE, content_type).body(body);
        let response = normalized(identified("GET"), own.unwrap()).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
        assert_eq!(response.headers().len(), 1, "{content_type}");
        assert!(response.extensions().get::<Rejection>().is_none(), "{content_type}");
        assert_eq!(response.collect().await.unwrap().to_bytes(), expected, "{content_type}");
    }
    // Without a content type and of unknown length: a stream too.
    let own = Response::builder().status(500).body(stream).unwrap();
    let response = normalized(identified("GET"), own).await;
    assert!(response.extensions().get::<Rejection>().is_none());
}

#[tokio::test]
async fn what_is_no_error_is_left_alone() {
    for status in [101, 200, 201, 204, 206, 301, 304, 307] {
        for request in [identified("GET"), call()] {
            let body = Steps::data(["text"]).known();
            let fine =
                Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain").body(body);
            let response = normalized(request, fine.unwrap()).await;
            assert_eq!(response.status(), status);
            assert_eq!(response.body().size_hint().exact(), Some(4));
            assert_eq!(response.collect().await.unwrap().to_bytes(), "text");
        }
    }
}

#[tokio::test]
async fn grpc_02_a_call_answered_by_an_http_error_gets_a_status() {
    for (status_code, content_type, code) in [
        (404, None, Code::Unimplemented),
        (413, Some("text/plain"), Code::ResourceExhausted),
        (502, Some("text/html"), Code::Unavailable),
        (400, Some("application/json"), Code::InvalidArgument),
        (401, Some("application/problem+json"), Code::Unauthenticated),
    ] {
        let mut foreign = Response::builder().status(status_code);
        if let Some(content_type) = content_type {
            foreign = foreign.header(header::CONTENT_TYPE, content_type);
        }
        // Not even known to end.
        let foreign = foreign.body(Steps::new([Step::Hang])).unwrap();
        let response = normalized(call(), foreign).await;
        assert_eq!(response.status(), StatusCode::OK, "{status_code}");
        assert_eq!(Protocol::from_headers(response.headers()), Protocol::Grpc);
        assert_eq!(status(response.headers()).code(), code, "{status_code}");
        assert!(response.body().is_end_stream());
        assert!(!response.headers().contains_key(header::CACHE_CONTROL));
    }
    // A gRPC service's own answer is its own affair, whatever its status.
    let own = Response::builder()
        .header(header::CONTENT_TYPE, "application/grpc+proto")
        .header("grpc-status", "5")
        .body(Steps::default().known());
    let response = normalized(call(), own.unwrap()).await;
    assert!(response.extensions().get::<Rejection>().is_none());
    assert_eq!(status(response.headers()).code(), Code::NotFound);
}

#[tokio::test]
async fn extensions_of_foreign_layers_survive() {
    #[derive(Clone, Debug, PartialEq)]
    struct Note(&'static str);

    let mut foreign = Response::builder().status(404).body(Steps::default().known()).unwrap();
    foreign.extensions_mut().insert(Note("from a router"));
    let response = normalized(identified("GET"), foreign).await;
    assert_eq!(response.extensions().get(), Some(&Note("from a router")));
    assert_eq!(refusal(&response).reason(), Reason::RouteNotFound);
}

#[tokio::test]
async fn lay_03_readiness_and_errors_are_the_inner_services() {
    let failing = tower::service_fn(async |_: Request<String>| Err::<Response<Steps>, _>("away"));
    let outcome = NormalizeLayer::new().layer(failing).oneshot(identified("GET")).await;
    assert_eq!(outcome.unwrap_err(), "away");

    struct Busy;
    impl Service<Request<String>> for Busy {
        type Response = Response<Steps>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Response<Steps>, &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("busy"))
        }
        fn call(&mut self, _: Request<String>) -> Self::Future {
            unreachable!("never ready")
        }
    }
    assert_eq!(NormalizeLayer::new().layer(Busy).ready().await.err(), Some("busy"));
}
