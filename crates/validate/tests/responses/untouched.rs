//! What passes as it is.

use std::{
    convert::Infallible,
    pin::pin,
    sync::Mutex,
    task::{Context, Waker},
};

use bartizan_testkit::TestBody;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use tower::{Layer, ServiceExt, service_fn};

use crate::support::{ask, client, get, json, server};

#[tokio::test]
async fn val_08_responses_without_a_whole_document_are_not_checked() {
    for status in [204, 205, 206, 304] {
        let mut response = json("[");
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let layer = client().with_status(StatusCode::NOT_MODIFIED, crate::support::schema());
        assert_eq!(get(&layer, response).await.status(), status);
    }
    let head = || Request::head("/").body(()).unwrap();
    assert_eq!(ask(&server(), head(), json("")).await.status(), 200);
    assert_eq!(ask(&client(), head(), json("")).await.status(), 200);
}

#[tokio::test]
async fn val_08_a_stream_is_not_waited_for() {
    let (sender, body) = TestBody::channel();
    let events = Response::builder().header("content-type", "text/event-stream").body(body).unwrap();
    let events = Mutex::new(Some(events));
    let service = server().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(events.lock().unwrap().take().unwrap())
    }));
    let response = pin!(service.oneshot(Request::get("/").body(()).unwrap()));
    let response = response.poll(&mut Context::from_waker(Waker::noop()));
    assert!(response.is_ready(), "the head goes on at once");
    assert_eq!(sender.polls(), 0);
}

#[tokio::test]
async fn val_08_grpc_is_not_read() {
    let request = || Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
    let response = || {
        let response = Response::builder().header("content-type", "application/grpc");
        response.body(TestBody::full("[")).unwrap()
    };
    assert_eq!(ask(&server(), request(), response()).await.text(), "[");
    // A client's layer, which refuses other types, knows that it asked for this one.
    assert_eq!(ask(&client(), request(), response()).await.text(), "[");
    assert_eq!(get(&client(), response()).await.status(), 502);
}

#[tokio::test]
async fn val_08_a_response_is_what_it_says_and_not_what_its_request_said() {
    let request = Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
    let seen = ask(&server(), request, json("[")).await;
    assert_eq!(seen.text(), "");
    assert_eq!(seen.response.headers()["grpc-status"], "13");
}

#[tokio::test]
async fn val_08_trailers_are_kept() {
    let (sender, body) = TestBody::channel();
    sender.data(r#"{"id""#);
    sender.data(":7}");
    let mut trailers = HeaderMap::new();
    trailers.insert("digest", HeaderValue::from_static("x"));
    sender.trailers(trailers.clone());
    sender.finish();
    let seen = get(&server(), json("").map(|_| body)).await;
    assert_eq!((seen.text(), seen.trailers), (r#"{"id":7}"#.to_owned(), Some(trailers)));
}

#[tokio::test]
async fn val_08_the_head_goes_on_once_the_document_is_good() {
    let (sender, body) = TestBody::channel();
    let layer = server();
    let answer = tokio::spawn(async move { get(&layer, json("").map(|_| body)).await });
    sender.data("{");
    tokio::task::yield_now().await;
    assert!(!answer.is_finished(), "half a document is none");
    sender.data(r#""id":7}"#);
    sender.finish();
    assert_eq!(answer.await.unwrap().status(), 200);
}
