//! JSON bodies: an order of 1 KB that is valid.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::extract::{FromRequest, Json};
use axum_valid::Valid;
use bartizan_validate::{JsonLayer, JsonSchema, JsonSchemaLayer, ValidateJsonLayer, take_valid};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_layer::Layer as _;
use tower_service::Service;
use validator::Validate;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const READ: &str = "JSON body, read under limits";
const TYPED: &str = "JSON body, typed, validated (1 KB order)";
const SCHEMA: &str = "JSON body, schema validated, then typed for the handler";
const AXUM_VALID: &str = "axum-valid";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(READ, None, read),
        Scenario::ours(TYPED, Some(Budget::new(38_000, 30)), typed),
        Scenario::peer(TYPED, AXUM_VALID, axum_valid),
        Scenario::ours(SCHEMA, Some(Budget::new(72_000, 80)), schema),
    ]
}

#[derive(Deserialize, Serialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Order {
    #[validate(email)]
    email: String,
    #[validate(length(min = 1, max = 100))]
    reference: String,
    #[validate(length(min = 1, max = 50), nested)]
    lines: Vec<Line>,
}

#[derive(Deserialize, Serialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[validate(length(min = 1, max = 64))]
    product_id: String,
    #[validate(range(min = 1, max = 1000))]
    quantity: u32,
    #[validate(range(min = 0.0))]
    price: f64,
    #[validate(length(max = 200))]
    note: String,
}

/// The same rules for the peer, which is a release of `validator` behind.
impl validator020::Validate for Order {
    fn validate(&self) -> Result<(), validator020::ValidationErrors> {
        Validate::validate(self).map_err(|_| validator020::ValidationErrors::new())
    }
}

/// About 1 KB.
fn order() -> Bytes {
    let line = |index: u32| {
        json!({
            "productId": format!("product-{index:05}"),
            "quantity": index + 1,
            "price": f64::from(index) + 0.25,
            "note": "leave it at the door, please",
        })
    };
    let lines: Vec<_> = (0..9).map(line).collect();
    json!({ "email": "someone@example.com", "reference": "order 4711", "lines": lines }).to_string().into()
}

fn body() -> impl Fn() -> Request<Body> {
    let order = order();
    move || {
        let mut request = request::with_context();
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Body::new(order.clone());
        request
    }
}

fn read(arm: Arm) -> Prepared {
    arm.prepare(body(), StatusCode::OK, |bare: Bare<Body>| JsonLayer::new().layer(bare))
}

fn typed(arm: Arm) -> Prepared {
    arm.prepare(body(), StatusCode::OK, |bare: Bare<Body>| {
        ValidateJsonLayer::<Order>::new().layer(Take(bare))
    })
}

fn schema(arm: Arm) -> Prepared {
    let schema = JsonSchema::new(&json!({
        "type": "object",
        "required": ["email", "reference", "lines"],
        "additionalProperties": false,
        "properties": {
            "email": { "type": "string", "pattern": "^[^@]+@[^@]+$" },
            "reference": { "type": "string", "minLength": 1, "maxLength": 100 },
            "lines": {
                "type": "array", "minItems": 1, "maxItems": 50,
                "items": {
                    "type": "object",
                    "required": ["productId", "quantity", "price", "note"],
                    "properties": {
                        "productId": { "type": "string", "minLength": 1, "maxLength": 64 },
                        "quantity": { "type": "integer", "minimum": 1, "maximum": 1000 },
                        "price": { "type": "number", "minimum": 0 },
                        "note": { "type": "string", "maxLength": 200 },
                    },
                },
            },
        },
    }));
    let schema = schema.expect("the schema is one");
    arm.prepare(body(), StatusCode::OK, move |bare: Bare<Body>| {
        JsonSchemaLayer::new(schema).layer(ValidateJsonLayer::<Order>::new().layer(Take(bare)))
    })
}

fn axum_valid(arm: Arm) -> Prepared {
    arm.prepare(body(), StatusCode::OK, |bare: Bare<axum::body::Body>| Extract(bare))
}

/// Takes the value that the layer made, as a handler does.
#[derive(Clone)]
struct Take<S>(S);

impl<S: Service<Request<()>>, B> Service<Request<B>> for Take<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let order = take_valid::<Order>(request.extensions_mut()).expect("the layer made one");
        std::hint::black_box(order);
        self.0.call(request.map(|_| ()))
    }
}

/// Runs the peer's extractor, as a handler does; the body is in memory, so that it never waits.
#[derive(Clone)]
struct Extract<S>(S);

impl<S: Service<Request<()>>> Service<Request<Body>> for Extract<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let request = request.map(axum::body::Body::new);
        let extracting = pin!(Valid::<Json<Order>>::from_request(request, &()));
        let Poll::Ready(extracted) = extracting.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the body is in memory")
        };
        let Ok(Valid(Json(order))) = extracted else { panic!("the order is valid") };
        std::hint::black_box(order);
        self.0.call(Request::new(()))
    }
}
