//! What the tests share.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bartizan_testkit::{BodySender, TestBody};
use bartizan_validate::{Check, RequestBody, ValidateLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What the handler was given; `None` when it was not called.
    pub(crate) seen: Option<Bytes>,
    /// The response.
    pub(crate) response: Response<Bytes>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn problem(&self) -> Value {
        serde_json::from_slice(self.response.body()).expect("a problem")
    }

    /// Each entry of `errors` as `pointer code`.
    pub(crate) fn errors(&self) -> Vec<String> {
        let problem = self.problem();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
        errors.iter().map(|error| format!("{} {}", text(error, "pointer"), text(error, "code"))).collect()
    }
}

/// Sends `request` to a handler that reads its body to the end.
pub(crate) async fn send<C: Check>(layer: &ValidateLayer<C>, request: Request<TestBody>) -> Answer {
    send_to(layer, request, |_| {}).await
}

/// The same, and lets `look` at the request that reaches the handler.
pub(crate) async fn send_to<C: Check>(
    layer: &ValidateLayer<C>,
    request: Request<TestBody>,
    look: impl Fn(&mut http::request::Parts) + Send + Sync + Clone,
) -> Answer {
    let (tell, seen) = tokio::sync::watch::channel(None);
    let service = layer.layer(service_fn(|request: Request<RequestBody<TestBody>>| {
        let (look, tell) = (look.clone(), tell.clone());
        async move {
            let (mut head, body) = request.into_parts();
            look(&mut head);
            let bytes = body
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_else(|error| error.to_string().into());
            tell.send_replace(Some(bytes));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    }));
    let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("in memory").to_bytes();
    let seen = seen.borrow().clone();
    Answer { seen, response: Response::from_parts(head, body) }
}

pub(crate) fn post(body: impl Into<Bytes>) -> Request<TestBody> {
    let request = Request::post("/orders").header("content-type", "application/json");
    request.body(TestBody::full(body)).expect("a request")
}

/// A body that nobody has sent yet.
pub(crate) fn withheld(request: http::request::Builder) -> (BodySender, Request<TestBody>) {
    let (sender, body) = TestBody::channel();
    (sender, request.body(body).expect("a request"))
}

/// A body of `total` bytes that is made as it is read, and how much of it was.
pub(crate) fn endless(total: usize, piece: &'static [u8]) -> (Arc<AtomicUsize>, TestBody) {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let body = Pieces { left: total, piece, read: counter };
    (read, TestBody::new(body))
}

struct Pieces {
    left: usize,
    piece: &'static [u8],
    read: Arc<AtomicUsize>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready((self.left > 0).then(|| {
            let length = self.left.min(self.piece.len());
            self.left -= length;
            self.read.fetch_add(length, Ordering::Relaxed);
            Ok(http_body::Frame::data(Bytes::from_static(&self.piece[..length])))
        }))
    }
}
