//! What the tests share.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bartizan_core::Rejection;
use bartizan_testkit::TestBody;
use bartizan_upload::{AllowList, FileType, Upload, UploadBody, UploadLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

pub(crate) fn layer() -> UploadLayer {
    let types = [FileType::PNG, FileType::JPEG, FileType::CSV, FileType::DOCX, FileType::ZIP];
    UploadLayer::new(AllowList::new(types).expect("usable types"))
}

/// A part of a form, with what stands in its headers after the name.
pub(crate) fn part(name: &str, more: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
    [head.as_bytes(), data, b"\r\n"].concat()
}

pub(crate) fn file(name: &str, media_type: &str, data: &[u8]) -> Vec<u8> {
    part("file", &format!("; filename=\"{name}\"\r\nContent-Type: {media_type}"), data)
}

pub(crate) fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], b"--XX--\r\n"].concat()
}

pub(crate) fn post(body: TestBody) -> Request<TestBody> {
    let request = Request::post("/").header("content-type", "multipart/form-data; boundary=XX");
    request.body(body).expect("a request")
}

/// What became of an upload.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Bytes>,
    /// Each part that the handler read to its end, as `name file-name type size`.
    pub(crate) parts: Vec<String>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The status, and the code of the first error or of the problem.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let problem: Value = serde_json::from_slice(self.response.body()).expect("a problem");
        let code = problem["errors"][0]["code"].as_str().or(problem["code"].as_str());
        (self.status(), code.unwrap_or_default().to_owned())
    }
}

async fn read(request: Request<UploadBody<TestBody>>, parts: &Mutex<Vec<String>>) -> Result<(), Rejection> {
    let mut upload = Upload::of(request)?;
    while let Some(mut part) = upload.next_part().await? {
        let mut told = format!(
            "{} {} {}",
            part.name(),
            part.file_name().map_or("-", |name| name.as_str()),
            part.file_type().map_or("-", |kind| kind.extension())
        );
        let mut size = 0;
        while let Some(chunk) = part.chunk().await? {
            assert!(!chunk.is_empty());
            size += chunk.len();
        }
        told.push_str(&format!(" {size}"));
        parts.lock().expect("one thread").push(told);
    }
    Ok(())
}

/// Sends to a handler that reads all parts, and swallows every error.
pub(crate) async fn send(layer: &UploadLayer, request: Request<TestBody>) -> Answer {
    let parts = Arc::new(Mutex::new(Vec::new()));
    let service = layer.layer(service_fn(|request: Request<UploadBody<TestBody>>| {
        let parts = Arc::clone(&parts);
        async move {
            let _ = read(request, &parts).await;
            Ok::<_, Infallible>(Response::new(TestBody::empty()))
        }
    }));
    let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("in memory").to_bytes();
    let parts = parts.lock().expect("one thread").clone();
    Answer { response: Response::from_parts(head, body), parts }
}

/// The same for a form that is in memory.
pub(crate) async fn upload(layer: &UploadLayer, parts: &[Vec<u8>]) -> Answer {
    send(layer, post(TestBody::full(form(parts)))).await
}
