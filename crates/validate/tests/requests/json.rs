//! What `JsonLayer` does with requests.

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
};

use crate::support::{endless, post, send, send_to, withheld};
use bartizan_core::{Reason, Rejection};
use bartizan_testkit::{TestBody, TestError};
use bartizan_validate::{JsonLayer, JsonLimits, OtherMedia, RequestBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn val_03_the_very_bytes_that_were_checked_go_on() {
    let text = "{ \"a\" :\t[1.0e+0, \"\\u00e9\"] }\n";
    assert_eq!(send(&JsonLayer::new(), post(text)).await.seen.unwrap(), text);

    let (sender, request) = withheld(Request::post("/").header("content-type", "application/json"));
    for piece in ["{\"a", "\":\"", "\\u00", "e9\"}"] {
        sender.data(piece);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    sender.trailers(trailers);
    sender.finish();
    assert_eq!(send(&JsonLayer::new(), request).await.seen.unwrap(), "{\"a\":\"\\u00e9\"}");
}

#[tokio::test]
async fn val_03_a_malformed_body_is_a_400_with_its_place() {
    for (body, error) in [
        ("{\"a\":1,\"a\":2}", "#/a duplicate_key"),
        ("\u{feff}{}", "# json_encoding"),
        ("{\"a\":[1,NaN]}", "#/a/1 json_syntax"),
        ("{} {}", "# json_syntax"),
        ("{\"a\":\"\\udead\"}", "#/a json_encoding"),
    ] {
        let answer = send(&JsonLayer::new(), post(body)).await;
        assert_eq!((answer.status(), answer.seen.is_some()), (400, false), "{body}");
        assert_eq!(answer.errors(), [error], "{body}");
        assert_eq!(answer.problem()["code"], "malformed_request");
    }
}

#[tokio::test]
async fn val_03_json_under_another_name_does_not_pass_unread() {
    for (method, kind) in [
        (Method::POST, "application/x+json"),
        (Method::POST, "application/json; charset=latin1"),
        // Which axum's extractor takes for JSON too.
        (Method::PUT, "application/grpc+json"),
    ] {
        let mut request = post("{\"a\":1,\"a\":2}");
        *request.method_mut() = method;
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        let answer = send(&JsonLayer::new(), request).await;
        assert_eq!((answer.status(), answer.seen.is_some()), (415, false), "{kind}");
        assert_eq!(answer.response.headers()["accept"], "application/json");
    }
}

#[tokio::test]
async fn val_02_a_layer_further_in_keeps_its_own_limits_and_reads_what_others_put_in_place() {
    let narrow = JsonLimits::new().with_max_depth(1).unwrap();
    for (limits, put, status) in [
        (JsonLimits::new(), None, 200),
        (narrow, None, 400),
        (JsonLimits::new(), Some("[[2]]"), 200),
        (JsonLimits::new(), Some("[[2]"), 400),
    ] {
        let handler = service_fn(async |_: Request<RequestBody<TestBody>>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let inner = JsonLayer::new().with_limits(limits).layer(handler);
        // What stands between them hands on what it got, or something else of the same length.
        let between = service_fn(move |request: Request<RequestBody<TestBody>>| {
            let inner = inner.clone();
            async move {
                let (head, body) = request.into_parts();
                let read = body.collect().await.unwrap().to_bytes();
                let body = TestBody::full(put.map_or(read, |put| Bytes::from_static(put.as_bytes())));
                inner.oneshot(Request::from_parts(head, body)).await
            }
        });
        let response = JsonLayer::new().layer(between).oneshot(post("[[1]]")).await.unwrap();
        assert_eq!(response.status(), status, "{put:?}");
    }
}

#[tokio::test]
async fn val_01_the_order_of_the_checks() {
    let head = |length: &str, media: Option<&str>, coding: Option<&str>| {
        let mut request = Request::post("/").header("content-length", length);
        for (name, value) in [("content-type", media), ("content-encoding", coding)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request
    };
    let huge = 2 * MIB;
    for (builder, size, status) in [
        (head("2097152", Some("text/plain"), Some("zip")), huge, 413),
        (head("2", Some("text/plain"), Some("zip")), 2, 415),
        (head("2", None, None), 2, 415),
        (head("2", Some("application/json"), Some("zip")), 2, 415),
        (head("2", Some("application/json"), Some("gzip, gzip")), 2, 415),
        (head("2", Some("application/json"), None), 2, 400),
    ] {
        let layer = JsonLayer::new().with_other_media(OtherMedia::Refuse);
        let request = builder.body(TestBody::full(vec![b'x'; size])).unwrap();
        let answer = send(&layer, request).await;
        assert_eq!(answer.status(), status, "{answer:?}");
        assert!(answer.seen.is_none());
    }
}

#[tokio::test]
async fn val_01_a_415_says_what_would_be_accepted() {
    let layer = JsonLayer::new()
        .with_media_type("application/merge-patch+json")
        .unwrap()
        .with_other_media(OtherMedia::Refuse);
    let answer = |method: Method, media: &'static str, coding: &'static str| {
        let request = Request::builder().method(method).header("content-type", media);
        let request = request.header("content-encoding", coding).body(TestBody::full("{}")).unwrap();
        let layer = layer.clone();
        async move { send(&layer, request).await }
    };
    let refused = answer(Method::PATCH, "text/plain", "identity").await;
    assert_eq!(refused.response.headers()["accept-patch"], "application/json, application/merge-patch+json");
    let refused = answer(Method::POST, "text/plain", "identity").await;
    assert_eq!(refused.response.headers()["accept"], "application/json, application/merge-patch+json");
    assert!(!refused.response.headers().contains_key("accept-patch"));
    let refused = answer(Method::POST, "application/json", "zip").await;
    let expected = if cfg!(feature = "decompress") { "gzip, deflate, br" } else { "identity" };
    assert_eq!(refused.response.headers()["accept-encoding"], expected);
    assert_eq!(refused.problem()["code"], "unsupported_content_encoding");
    assert_eq!(answer(Method::PATCH, "Application/Merge-Patch+JSON", "identity").await.status(), 200);
}

#[test]
fn err_11_what_the_head_decides_is_decided_before_the_body_is_polled() {
    let json = || Request::post("/").header("content-type", "application/json");
    let hint = http_body::SizeHint::with_exact(5_000_000);
    for (builder, announced, reason) in [
        (json(), Some(hint), Reason::ContentTooLarge),
        (Request::post("/"), None, Reason::UnsupportedMediaType),
        (Request::post("/").header("content-type", "a/b, c/d"), None, Reason::UnsupportedMediaType),
        (json().header("content-encoding", "zip"), None, Reason::UnsupportedContentEncoding),
    ] {
        let (sender, body) = match announced {
            Some(hint) => TestBody::channel_with_hint(hint),
            None => TestBody::channel(),
        };
        let layer = JsonLayer::new();
        let mut future = pin!(send(&layer, builder.body(body).unwrap()));
        let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("{reason:?} waits for the body")
        };
        assert_eq!(answer.response.extensions().get::<Rejection>().unwrap().reason(), reason);
        assert_eq!(sender.polls(), 0, "{reason:?}");
        assert!(sender.is_dropped());
    }
}

#[tokio::test]
async fn val_02_a_body_that_hides_its_length_is_read_to_the_limit_and_no_further() {
    let (read, body) = endless(1 << 30, &[b' '; 16 * 1024]);
    let request = Request::post("/").header("content-type", "application/json");
    // The announced length is a lie.
    let request = request.header("content-length", "2").body(body).unwrap();
    let answer = send(&JsonLayer::new(), request).await;
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.problem()["limit_bytes"], MIB);
    assert!(read.load(Ordering::Relaxed) <= MIB + 16 * 1024);
}

#[tokio::test]
async fn val_02_the_limit_of_bytes_is_exact() {
    let layer = JsonLayer::new().with_limits(JsonLimits::new().with_max_body(10).unwrap());
    assert_eq!(send(&layer, post("[1,2,3,45]")).await.status(), 200);
    assert_eq!(send(&layer, post("[1,2,3,456]")).await.status(), 413);
}

#[tokio::test]
async fn val_02_shape_limits_are_a_400() {
    let deep = "[".repeat(65) + &"]".repeat(65);
    let answer = send(&JsonLayer::new(), post(deep)).await;
    assert_eq!(answer.status(), 400);
    assert!(answer.errors()[0].ends_with(" json_limit"), "{:?}", answer.errors());
}

#[test]
fn val_02_a_drip_costs_the_bytes_it_brings() {
    // One byte at a time, up to the limit.
    let layer = JsonLayer::new().with_limits(JsonLimits::new().with_max_body(64 * 1024).unwrap());
    let (read, body) = endless(1 << 20, b" ");
    let request = Request::post("/").header("content-type", "application/json").body(body).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let info = allocation_counter::measure(|| {
        assert_eq!(runtime.block_on(send(&layer, request)).status(), 413);
    });
    assert_eq!(read.load(Ordering::Relaxed), 64 * 1024 + 1);
    assert!(info.bytes_max < 512 * 1024, "{info:?}");
}

#[tokio::test]
async fn val_07_no_body_and_no_type_pass_and_a_body_that_is_due_is_missed() {
    let empty = |method: Method| Request::builder().method(method).body(TestBody::empty()).unwrap();
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        assert_eq!(send(&JsonLayer::new(), empty(method)).await.status(), 200);
    }
    let (sender, late) = withheld(Request::put("/").header("content-type", "application/json"));
    sender.finish();
    for request in [empty(Method::POST), empty(Method::PATCH), post(""), late] {
        let answer = send(&JsonLayer::new(), request).await;
        assert_eq!((answer.status(), answer.errors()), (400, vec!["# required".to_owned()]));
    }
    assert_eq!(send(&JsonLayer::new().with_optional_body(), empty(Method::POST)).await.status(), 200);
    // A GET that has a body all the same is no way around the checks.
    let smuggled = Request::get("/").body(TestBody::full("{")).unwrap();
    assert_eq!(send(&JsonLayer::new(), smuggled).await.status(), 415);
}

#[tokio::test]
async fn val_01_other_types_pass_unread_whatever_their_size() {
    let (read, body) = endless(3 * MIB, &[b'x'; 64 * 1024]);
    let request = Request::post("/").header("content-type", "image/png").body(body).unwrap();
    let answer = send(&JsonLayer::new(), request).await;
    assert_eq!(answer.seen.unwrap().len(), 3 * MIB);
    assert_eq!(read.load(Ordering::Relaxed), 3 * MIB);

    for media in ["application/grpc", "application/grpc+proto"] {
        let request = Request::post("/s/M").header("content-type", media).body(TestBody::full("{")).unwrap();
        assert_eq!(send(&JsonLayer::new(), request).await.seen.unwrap(), "{");
    }
    let request = Request::post("/s/M").header("content-type", "application/grpc+json");
    let answer = send(&JsonLayer::new(), request.body(TestBody::full("{")).unwrap()).await;
    assert_eq!((answer.seen, &answer.response.headers()["grpc-status"]), (None, &"12".parse().unwrap()));
    // A stream that ends before its first message.
    let request = Request::post("/s/M").header("content-type", "application/grpc").body(TestBody::empty());
    assert_eq!(send(&JsonLayer::new(), request.unwrap()).await.seen.unwrap(), "");
}

#[tokio::test]
async fn val_01_a_layer_that_refuses_other_types_refuses_grpc() {
    let request = Request::post("/s/M").header("content-type", "application/grpc").body(TestBody::full("{"));
    let answer = send(&JsonLayer::new().with_other_media(OtherMedia::Refuse), request.unwrap()).await;
    assert!(answer.seen.is_none());
    assert_eq!((answer.status(), &answer.response.headers()["grpc-status"]), (200, &"12".parse().unwrap()));
}

#[tokio::test]
async fn val_02_a_body_that_breaks_off_is_a_400() {
    let (sender, request) = withheld(Request::post("/").header("content-type", "application/json"));
    sender.data("{");
    sender.fail(TestError::new("reset by peer"));
    let answer = send(&JsonLayer::new(), request).await;
    assert_eq!(answer.status(), 400);
    let rejection = answer.response.extensions().get::<Rejection>().unwrap();
    assert!(rejection.cause().is_some_and(|cause| !cause.is_empty()));
    assert!(!String::from_utf8_lossy(answer.response.body()).contains("reset by peer"));
}

#[tokio::test]
async fn val_01_report_only_lets_pass_what_came_as_it_came() {
    let layer = JsonLayer::new().with_report_only().with_other_media(OtherMedia::Refuse);
    let answer = send(&layer, post("{\"a\":1,\"a\":2}")).await;
    assert_eq!((answer.status(), answer.seen.unwrap()), (200, "{\"a\":1,\"a\":2}".into()));

    let (_, body) = endless(3 * MIB, &[b' '; 64 * 1024]);
    let request = Request::post("/").header("content-type", "application/json").body(body).unwrap();
    let answer = send(&layer, request).await;
    assert_eq!((answer.status(), answer.seen.unwrap().len()), (200, 3 * MIB));

    let plain = Request::post("/").header("content-type", "text/plain").body(TestBody::full("hi")).unwrap();
    assert_eq!(send(&layer, plain).await.seen.unwrap(), "hi");

    let (sender, request) = withheld(Request::post("/").header("content-type", "application/json"));
    sender.data("{");
    sender.fail(TestError::new("reset by peer"));
    let seen = send(&layer, request).await.seen.unwrap();
    assert!(seen.starts_with(b"reset by peer"), "{seen:?}");
}

#[tokio::test]
async fn val_06_a_refused_request_is_told_in_the_wide_event() {
    for report_only in [false, true] {
        let mut layer = JsonLayer::new();
        if report_only {
            layer = layer.with_report_only();
        }
        let mut request = post("[");
        let context = bartizan_core::RequestContext::of(&mut request);
        context.event().enable();
        send_to(&layer, request, |_| {}).await;
        context.event().read(|facts| {
            assert_eq!(facts[0], ("validation.code", "json_syntax".into()));
            assert_eq!(facts[1], ("validation.failures", 1_u64.into()));
            assert_eq!(facts[2], ("validation.report_only", report_only.into()));
        });
    }
}
