//! What the tests share.

use std::convert::Infallible;

use bartizan_core::{NormalizeLayer, Rejection, RequestContext};
use bartizan_testkit::TestBody;
use bartizan_validate::{
    ClientResponseSchemaLayer, JsonSchema, ResponseSchemaLayer, ValidateResponse, ValidateResponseLayer,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

pub(crate) fn schema() -> JsonSchema {
    let schema = json!({
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "properties": { "id": { "type": "integer" }, "email": { "type": "string", "maxLength": 5 } },
    });
    JsonSchema::new(&schema).expect("a schema")
}

pub(crate) fn server() -> ResponseSchemaLayer {
    ResponseSchemaLayer::new(schema())
}

pub(crate) fn client() -> ClientResponseSchemaLayer {
    ClientResponseSchemaLayer::new(schema())
}

pub(crate) fn json(body: impl Into<Bytes>) -> Response<TestBody> {
    let response =
        Response::builder().header("content-type", "application/json").header("set-cookie", "s3cret");
    response.body(TestBody::full(body)).expect("a response")
}

/// What became of a response.
pub(crate) struct Seen {
    pub(crate) response: Response<Bytes>,
    pub(crate) trailers: Option<http::HeaderMap>,
    pub(crate) failed: bool,
    /// The texts that the request's event got.
    pub(crate) told: String,
}

impl Seen {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.response.body()).into_owned()
    }

    pub(crate) fn cause(&self) -> &str {
        let rejection = self.response.extensions().get::<Rejection>().expect("a refusal");
        rejection.cause().expect("with a cause")
    }
}

pub(crate) async fn get<S>(layer: &ValidateResponseLayer<S>, response: Response<TestBody>) -> Seen {
    ask(layer, Request::get("/").body(()).expect("a request"), response).await
}

/// Lets a service answer `request` with `response`, behind `layer`.
pub(crate) async fn ask<S>(
    layer: &ValidateResponseLayer<S>,
    mut request: Request<()>,
    response: Response<TestBody>,
) -> Seen {
    let context = RequestContext::of(&mut request);
    context.event().enable();
    let response = std::sync::Mutex::new(Some(response));
    let service: ValidateResponse<_> = layer.layer(service_fn(async |_: Request<()>| {
        let response = response.lock().expect("one thread").take().expect("one call");
        Ok::<_, Infallible>(response)
    }));
    let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
    let (head, mut body) = response.into_parts();
    let (mut bytes, mut trailers, mut failed) = (Vec::new(), None, false);
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(_) => failed = true,
        }
    }
    let told = context.event().read(|facts| format!("{facts:?}"));
    Seen { response: Response::from_parts(head, bytes.into()), trailers, failed, told }
}

/// Shown by the types alone: the layer goes on an axum router, inside of what renders refusals.
#[test]
fn the_layer_goes_on_an_axum_router() {
    let router: axum::Router = axum::Router::new();
    let _: axum::Router = router.layer(server()).layer(NormalizeLayer::new());
}
