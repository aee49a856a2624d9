//! Forms, and how they are read.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Waker},
};

use bartizan_core::{Reason, Rejection};
use bartizan_testkit::{TestBody, TestError};
use bartizan_upload::{AllowList, FileType, Upload, UploadBody, UploadLayer, UploadLimits};
use futures_util::{FutureExt, StreamExt};
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{PNG, file, form, layer, part, post, send, upload};

#[tokio::test]
async fn upl_01_fields_and_files_reach_the_handler_in_pieces() {
    let parts = [part("title", "", b"a cat"), file("cat.png", "image/png", PNG), part("empty", "", b"")];
    let expected =
        ["title - - 5".to_owned(), format!("file cat.png png {}", PNG.len()), "empty - - 0".to_owned()];
    let answer = upload(&layer(), &parts).await;
    assert_eq!((answer.status(), &answer.parts[..]), (200, &expected[..]));
    for size in [1, 2, 3, 50] {
        let (sender, body) = TestBody::channel();
        for piece in form(&parts).chunks(size) {
            sender.data(piece.to_vec());
        }
        sender.finish();
        let answer = send(&layer(), post(body)).await;
        assert_eq!((answer.status(), &answer.parts[..]), (200, &expected[..]), "in pieces of {size}");
    }
}

#[tokio::test]
async fn upl_01_what_is_no_form_is_refused() {
    let good = form(&[part("a", "", b"1")]);
    for (body, code) in [
        (good[..good.len() - 9].to_vec(), "multipart_truncated"),
        ([&good[..], b"more"].concat(), "multipart_trailing"),
        (form(&[part("a", "; filename*=UTF-8''b", b"1")]), "multipart_extended_name"),
        (form(&[part("a", "\r\nContent-Transfer-Encoding: base64", b"1")]), "multipart_encoding"),
        (b"--YY\r\n".to_vec(), "multipart_delimiter"),
        (b"--XX\r\nContent-Type: text/plain\r\n\r\n".to_vec(), "multipart_disposition"),
        (b"--XX\r\nno colon\r\n\r\n".to_vec(), "multipart_headers"),
        (Vec::new(), "multipart_truncated"),
    ] {
        let answer = send(&layer(), post(TestBody::full(body))).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()));
    }
    let mut request = post(TestBody::full(good));
    request.headers_mut().insert("content-type", "multipart/form-data; boundary=\"\"".parse().unwrap());
    assert_eq!(send(&layer(), request).await.refusal(), (400, "multipart_boundary".to_owned()));
}

#[tokio::test]
async fn upl_01_a_body_that_fails_is_no_form() {
    let (sender, body) = TestBody::channel();
    sender.data(part("a", "", b"1"));
    sender.fail(TestError::new("s3cret"));
    let answer = send(&layer(), post(body)).await;
    assert_eq!(answer.status(), 400);
    assert!(!String::from_utf8_lossy(answer.response.body()).contains("s3cret"));
}

#[tokio::test]
async fn other_bodies_pass_or_are_refused_unread() {
    let other = |body| Request::post("/").header("content-type", "application/json").body(body).unwrap();
    let service = layer().layer(service_fn(async |request: Request<UploadBody<TestBody>>| {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(TestBody::full(body)))
    }));
    let response = service.oneshot(other(TestBody::full("{}"))).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{}");

    let (sender, body) = TestBody::channel();
    let answer = send(&layer().with_forms_only(), other(body)).await;
    assert_eq!((answer.status(), sender.polls()), (415, 0));
    assert_eq!(answer.response.headers()["accept"], "multipart/form-data");
}

#[tokio::test]
async fn err_11_a_form_in_a_coding_is_refused_unread_and_told_what_is_accepted() {
    for (coding, status) in
        [("gzip", 415), ("br, gzip", 415), ("", 415), ("identity", 200), ("Identity", 200)]
    {
        let (sender, body) = TestBody::channel();
        let mut request = post(body);
        request.headers_mut().insert("content-encoding", coding.parse().unwrap());
        if status == 200 {
            sender.data(form(&[part("a", "", b"1")]));
            sender.finish();
        }
        let answer = send(&layer(), request).await;
        assert_eq!(answer.status(), status, "{coding:?}");
        if status == 415 {
            assert_eq!(answer.refusal().1, "unsupported_content_encoding");
            assert_eq!(answer.response.headers()["accept-encoding"], "identity");
            assert_eq!(sender.polls(), 0);
        }
    }
    let mut twice = post(TestBody::full(form(&[])));
    for coding in ["identity", "identity"] {
        twice.headers_mut().append("content-encoding", coding.parse().unwrap());
    }
    assert_eq!(send(&layer(), twice).await.status(), 415);
}

#[tokio::test]
async fn upl_01_no_byte_of_a_form_is_read_past_the_check() {
    let service = layer().layer(service_fn(async |request: Request<UploadBody<TestBody>>| {
        let error = request.into_body().collect().await.unwrap_err();
        assert!(error.to_string().contains("`Upload` alone"), "{error}");
        Ok::<_, Infallible>(Response::new(TestBody::empty()))
    }));
    let response = service.oneshot(post(TestBody::full(form(&[])))).await.unwrap();
    // Whatever the handler makes of the error: it is the program that is wrong.
    assert_eq!(response.status(), 500);
    let refusal = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((refusal.reason(), refusal.layer()), (Reason::Internal, Some("upload")));
}

#[tokio::test]
async fn upl_02_of_two_layers_the_inner_one_decides() {
    let pictures = UploadLayer::new(AllowList::new([FileType::PNG]).unwrap());
    let tables = UploadLayer::new(AllowList::new([FileType::CSV]).unwrap());
    let small = pictures.with_limits(UploadLimits::new().with_max_total(100).unwrap());
    let table = |bytes: &[u8]| form(&[file("a.csv", "text/csv", bytes)]);
    let send = async |body| {
        let service = service_fn(async |request: Request<UploadBody<UploadBody<TestBody>>>| {
            let mut upload = Upload::of(request).unwrap();
            let mut size = 0;
            while let Ok(Some(part)) = upload.next_part().await {
                size += part.bytes().await.map_or(0, |bytes| bytes.len());
            }
            Ok::<_, Infallible>(Response::new(TestBody::full(size.to_string())))
        });
        let (sender, stream) = TestBody::channel();
        sender.data(body);
        sender.finish();
        let response = small.layer(tables.layer(service)).oneshot(post(stream)).await.unwrap();
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(send(table(&[b'x'; 1000])).await, (200, "1000".into()));
    assert_eq!(send(form(&[file("a.png", "image/png", PNG)])).await.0, 415);

    let service = service_fn(async |request: Request<UploadBody<UploadBody<TestBody>>>| {
        let _ = request.into_body().collect().await.unwrap_err();
        Ok::<_, Infallible>(Response::new(TestBody::empty()))
    });
    let both = small.layer(tables.layer(service));
    let announced = post(TestBody::full(table(b"x")));
    assert_eq!(both.clone().oneshot(announced).await.unwrap().status(), 413, "each judges what is announced");
    let (sender, stream) = TestBody::channel();
    sender.data(table(b"x"));
    assert_eq!(both.oneshot(post(stream)).await.unwrap().status(), 500);
}

#[tokio::test]
async fn upl_01_what_the_handler_does_not_read_is_checked_all_the_same() {
    let read_none = || {
        layer().layer(service_fn(async |request: Request<UploadBody<TestBody>>| {
            let mut upload = Upload::of(request).unwrap();
            while let Ok(Some(_)) = upload.next_part().await {}
            Ok::<_, Infallible>(Response::new(TestBody::empty()))
        }))
    };
    let good = form(&[file("a.png", "image/png", PNG), part("b", "", b"2")]);
    assert_eq!(read_none().oneshot(post(TestBody::full(good))).await.unwrap().status(), 200);
    let bad = form(&[file("a.png", "image/png", &[PNG, &[0; 2000], b"<?php"].concat()), part("b", "", b"2")]);
    let response = read_none().oneshot(post(TestBody::full(bad))).await.unwrap();
    assert_eq!(response.status(), 415);
    let refusal = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((refusal.reason(), refusal.layer()), (Reason::UnsupportedMediaType, Some("upload")));
}

#[tokio::test]
async fn a_refused_form_stays_refused() {
    let service = layer().layer(service_fn(async |request: Request<UploadBody<TestBody>>| {
        let mut upload = Upload::of(request).unwrap();
        for _ in 0..3 {
            assert_eq!(upload.next_part().await.unwrap_err().reason(), Reason::MalformedRequest);
        }
        Ok::<_, Infallible>(Response::new(TestBody::empty()))
    }));
    assert_eq!(service.oneshot(post(TestBody::full("x"))).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_part_is_a_stream_and_small_ones_are_taken_whole() {
    let service = layer().layer(service_fn(async |request: Request<UploadBody<TestBody>>| {
        let mut upload = Upload::of(request).unwrap();
        assert_eq!(upload.next_part().await.unwrap().unwrap().text().await.unwrap(), "hé");
        let chunks: Vec<_> = upload.next_part().await.unwrap().unwrap().collect().await;
        assert_eq!(chunks.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), PNG);
        let part = upload.next_part().await.unwrap().unwrap();
        assert_eq!(part.bytes().await.unwrap(), vec![b'x'; 5000]);
        let _ = upload.next_part().await.unwrap().unwrap().text().await.unwrap_err();
        Ok::<_, Infallible>(Response::new(TestBody::empty()))
    }));
    let parts = [
        part("a", "", "hé".as_bytes()),
        file("a.png", "image/png", PNG),
        part("b", "", &[b'x'; 5000]),
        part("c", "", b"\xff"),
    ];
    let response = service.oneshot(post(TestBody::full(form(&parts)))).await.unwrap();
    assert_eq!(response.status(), 400, "the last is no text");
}

#[tokio::test]
async fn without_a_layer_nothing_is_read() {
    let plain = post(TestBody::full(form(&[])));
    assert_eq!(Upload::of(plain).unwrap_err().reason(), Reason::Internal);
    let other = Request::post("/").body(TestBody::empty()).unwrap();
    assert_eq!(Upload::of(other).unwrap_err().reason(), Reason::UnsupportedMediaType);
}

#[test]
fn upl_01_any_body_is_answered_without_a_panic() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let size = bytes.first().map_or(1, |byte| usize::from(*byte).max(1));
        for body in [bytes.to_vec(), form(&[file("a.zip", "application/zip", bytes), part("b", "", bytes)])] {
            let (sender, channel) = TestBody::channel();
            for piece in body.chunks(size) {
                sender.data(piece.to_vec());
            }
            sender.finish();
            // The timer is asked for only where the sender is waited for.
            let layer = layer();
            let mut answer = pin!(send(&layer, post(channel)));
            assert!(answer.poll_unpin(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    });
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn the_extractor_takes_the_form_of_an_axum_request() {
    use axum::{Router, body::Body, routing::post};

    async fn save(mut upload: Upload<Body>) -> Result<String, Rejection> {
        let mut told = String::new();
        while let Some(part) = upload.next_part().await? {
            told.push_str(part.file_name().map_or("-", |name| name.as_str()));
        }
        Ok(told)
    }
    let app = || Router::new().route("/", post(save).layer(layer()));
    let send = async |body: Vec<u8>| {
        let request = Request::post("/").header("content-type", "multipart/form-data; boundary=XX");
        let response = app().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    };
    // More than axum's own limit of 2 MiB.
    let large = [PNG, &vec![0; 3 << 20]].concat();
    let answer = send(form(&[file("../a.png", "image/png", &large)])).await;
    assert_eq!(answer, (200, "a.png".into()));
    assert_eq!(send(form(&[file("a.exe", "image/png", PNG)])).await.0, 415);
    let plain = Request::post("/").body(Body::empty()).unwrap();
    assert_eq!(app().oneshot(plain).await.unwrap().status(), 415);
}
