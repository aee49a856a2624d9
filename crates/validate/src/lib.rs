//! Validation of requests and responses for tower services: nothing malformed reaches a handler, nothing unbounded is
//! read, and the caller learns every mistake at once, at its exact place.
//!
//! [`JsonLayer`] reads JSON bodies under limits and hands the very bytes on. `JsonSchemaLayer` demands a JSON Schema
//! of them too, and `ValidateJsonLayer<T>` that they are a valid `T`, which the handler gets without a second parse.
//! `OpenApiLayer` demands of every operation of a service what its description says.
//! `ResponseSchemaLayer` checks what goes out, and what comes back from an upstream. `ValidateMessage` is for gRPC, and
//! `Contracts` for what comes by other ways.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bartizan_validate::{JsonLayer, RequestBody};
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = JsonLayer::new().layer(service_fn(async |request: Request<RequestBody<Body>>| {
//!     let body = request.into_body().collect().await.expect("it is in memory").to_bytes();
//!     Ok::<_, Infallible>(Response::new(Body::new(body)))
//! }));
//! let post = |body: &'static str| {
//!     let request = Request::post("/orders").header("content-type", "application/json");
//!     request.body(Body::from(body))
//! };
//!
//! let accepted = service.clone().oneshot(post(r#"{ "quantity": 2 }"#)?).await?;
//! assert_eq!(accepted.status(), 200);
//! assert_eq!(accepted.into_body().collect().await?.to_bytes(), r#"{ "quantity": 2 }"#);
//!
//! let refused = service.oneshot(post(r#"{ "quantity": 2, "quantity": 2000 }"#)?).await?;
//! assert_eq!(refused.status(), 400);
//! let problem: serde_json::Value = serde_json::from_slice(&refused.into_body().collect().await?.to_bytes())?;
//! assert_eq!(problem["errors"][0]["pointer"], "#/quantity");
//! assert_eq!(problem["errors"][0]["code"], "duplicate_key");
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **From the head**, before the body is polled, so that a client that waits for `100 Continue` never sends it: a
//!    body that says it is too long is a 413; a missing, doubled or other `Content-Type` a 415 with `Accept`; an
//!    unknown `Content-Encoding` a 415 with `Accept-Encoding`. POST, PUT and PATCH without a body are a 400, unless
//!    it is [optional](ValidateLayer::with_optional_body).
//! 2. **While reading.** At most [`JsonLimits::max_body`] bytes, whatever the head announced. A body in one piece is
//!    not copied. Compressed bodies count as they are sent and as they are meant, and go on decompressed.
//! 3. **Strictly JSON**, in one pass that builds nothing: RFC 8259, and no name twice in an object, however it is
//!    written; no byte order mark, no half surrogate pair, nothing after the value. Depth, members, and the lengths of
//!    names, strings and numbers are [limited](JsonLimits). Anything else is a 400 with its place.
//! 4. **The schema or the type**, if there is one: a 422 with up to 32 `errors`, then `truncated`. A pointer names the
//!    value that is wrong; of a missing member, the object that lacks it. No message repeats a value. The search for
//!    mistakes ends when there are enough of them, so that a refusal costs no more memory than the document did.
//! 5. **The very bytes** that were checked go on, with the trailers, as a [`RequestBody`]. A layer further in that gets
//!    them does not read them again, unless its limits are narrower.
//! 6. Requests without a body, and for [`JsonLayer`] bodies of other declared types, those of gRPC calls among them, go
//!    on unread: [`OtherMedia`]. A layer that demands a schema or a type takes `application/grpc` for what it is there:
//!    another type, refused as `UNIMPLEMENTED`. No `Content-Type` switches off what is demanded of parameters.
//! 7. [`with_report_only`](ValidateLayer::with_report_only) counts and tells what would be refused, and lets it pass
//!    as it came.
//!
//! # Codes
//!
//! Of `errors[].code`, for what is not even JSON: `json_syntax`, `json_encoding`, `duplicate_key`, `json_limit`,
//! `content_encoding`, and `required` for a missing body; of a query or form `encoding` and `limit`. A schema's are its
//! keywords in snake case: `required`, `type`, `minimum`, `additional_properties`, `one_of` and so on. A type's are
//! `required`, `type`, `unknown_field`, `enum`, `value`, `length`, `invalid` from serde, and the rule's own from
//! `validator` and `garde`: `range`, `email`.
//!
//! # Schemas
//!
//! With the feature `schema`:
//!
//! ```
//! # #[cfg(feature = "schema")]
//! # mod example {
//! use bartizan_validate::{Formats, JsonSchema, JsonSchemaLayer, SchemaError};
//! use serde_json::json;
//!
//! fn orders() -> Result<JsonSchemaLayer, SchemaError> {
//!     let schema = JsonSchema::options().with_formats(Formats::Assert).build(&json!({
//!         "type": "object",
//!         "required": ["email"],
//!         "properties": { "email": { "type": "string", "format": "email" } },
//!     }))?;
//!     Ok(JsonSchemaLayer::new(schema))
//! }
//! # #[test] fn builds() { orders().unwrap(); }
//! # }
//! ```
//!
//! Drafts 2020-12, 2019-09, 7, 6 and 4, by `$schema`. All references are resolved when the schema is compiled, from
//! the documents that were supplied; nothing is ever fetched. `format` refuses nothing unless you say so. Patterns run
//! in linear time; one that cannot is an error at start, unless you choose a cap of steps.
//!
//! The query, what stands for the names of a path, headers and cookies have schemas too, each of an object that has the
//! parameters as members: see [`build_parameters`](SchemaOptions::build_parameters).
//!
//! # OpenAPI
//!
//! With the feature `openapi`, one layer around a whole service demands what its description says of every operation:
//!
//! ```
//! # #[cfg(not(feature = "openapi"))] fn main() {}
//! # #[cfg(feature = "openapi")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//!
//! use bartizan_validate::{OpenApi, OpenApiLayer, RequestBody};
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # type Body = Full<bytes::Bytes>;
//! let api = OpenApi::new("
//! openapi: 3.1.0
//! info: { title: Orders, version: '1' }
//! paths:
//!   /orders/{id}:
//!     get:
//!       parameters:
//!         - { name: id, in: path, required: true, schema: { type: integer } }
//!         - { name: expand, in: query, explode: false, schema: { type: array, items: { enum: [lines, total] } } }
//! ")?;
//! let service = OpenApiLayer::new(api).layer(service_fn(
//!     async |_: Request<RequestBody<Body>>| Ok::<_, Infallible>(Response::new(Body::default())),
//! ));
//! let get = |uri: &str| Request::get(uri).body(Body::default());
//!
//! let accepted = service.clone().oneshot(get("/orders/7?expand=lines,total")?).await?;
//! assert_eq!(accepted.status(), 200);
//!
//! let refused = service.oneshot(get("/orders/seven?expand=all")?).await?;
//! assert_eq!(refused.status(), 422);
//! let problem: serde_json::Value = serde_json::from_slice(&refused.into_body().collect().await?.to_bytes())?;
//! assert_eq!(problem["errors"][0]["in"], "path");
//! assert_eq!(problem["errors"][0]["parameter"], "id");
//! assert_eq!(problem["errors"][1]["code"], "enum");
//! # Ok(()) }
//! ```
//!
//! Versions 3.0 and 3.1, in YAML or JSON; schemas of 3.0 are read as they were meant. Whatever cannot work is an error
//! at start with its place in the document, and nothing is ever fetched. In this order:
//!
//! 1. **The operation**: by the path, under the base paths of the `servers`, concrete segments before templated ones,
//!    percent-decoded; then by the method, HEAD as GET. A request that the description does not know goes on, or is a
//!    404 or 405: [`Unlisted`]. A gRPC method at a path that is not listed always goes on; at one that is listed,
//!    `application/grpc` is a media type as others. The route is noted where no router told it, and the `operationId`
//!    as the fact `openapi.operation`.
//! 2. **`security`**, against the [`Principal`](bartizan_core::Principal) that an authentication layer left: 401 with
//!    the challenges that authentication layers left in the request, or one per scheme with the realm `api`; or 403 with
//!    the scopes that would have helped. Which principal is one of which scheme: [`SchemeRule`].
//! 3. **The head of the body**: as above, with the media types that the operation takes.
//! 4. **Parameters**, in all styles: a 400 when one does not parse, a 422 when one breaks its schema; either way with
//!    every mistake, as `parameter` and `in`. Headers named `Accept`, `Content-Type` and `Authorization` are not
//!    looked at. An empty value is judged as the empty text, and not at all where `allowEmptyValue` is true. Parameters
//!    of the query that the description does not know pass, unless
//!    [`with_strict_query`](OpenApiOptions::with_strict_query).
//! 5. **The body**: JSON and `application/x-www-form-urlencoded` by their schemas; other types go on unread. Members
//!    that are `readOnly` are not required, and refused, cut out or passed: [`ReadOnly`].
//!
//! The codes of parameters are those of schemas, and `required`, `unknown_parameter`, `parameter_encoding`,
//! `parameter_repeated`, `parameter_syntax`, `parameter_limit`; of forms `form_encoding`, `form_repeated`,
//! `form_syntax`, `form_limit`; and `read_only`.
//!
//! [`OpenApi::report`] tells at start which operations are not judged completely, and how the description fits the
//! routes of a router.
//!
//! # Typed bodies
//!
//! With the feature `validator`, and for the extractor `axum`:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, routing::post};
//! use bartizan_validate::{Valid, ValidateJsonLayer};
//! use serde::Deserialize;
//! use validator::Validate;
//!
//! #[derive(Deserialize, Validate)]
//! #[serde(deny_unknown_fields)]
//! struct Order {
//!     #[validate(email)]
//!     email: String,
//!     #[validate(range(min = 1, max = 1000))]
//!     quantity: u32,
//! }
//!
//! async fn create(Valid(order): Valid<Order>) -> String {
//!     format!("{} for {}", order.quantity, order.email)
//! }
//!
//! fn app() -> Router {
//!     Router::new().route("/orders", post(create).layer(ValidateJsonLayer::<Order>::new()))
//! }
//! # }
//! ```
//!
//! `Valid<T>` works on a route without the layer too, with the default limits. Without axum, `take_valid` takes the
//! value from the request's extensions. serde stops at its first mistake; `validator` finds all.
//!
//! `ValidQuery<T>`, `ValidPath<T>` and `ValidForm<T>` are the same for parameters and forms: an error of a parameter
//! has `parameter` and `in`, one of a form's field a pointer. With the feature `garde`, `Garde<T>` has its rules from
//! there: `Valid<Garde<Order>>`. `ReportOnly` in a request's extensions lets extractors hand on what breaks a rule.
//!
//! # Responses
//!
//! With the feature `schema`, the same engine and the same limits for what is sent, and for what is received:
//!
//! ```
//! # #[cfg(feature = "schema")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//!
//! use bartizan_validate::{JsonSchema, ResponseMode, ResponseSchemaLayer};
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # type Body = Full<bytes::Bytes>;
//! let schema = JsonSchema::new(&serde_json::json!({ "type": "object", "required": ["id"] }))?;
//! let answers = |body: &'static str| {
//!     service_fn(move |_: Request<()>| {
//!         let response = Response::builder().header("content-type", "application/json");
//!         std::future::ready(Ok::<_, Infallible>(response.body(Body::from(body)).expect("a response")))
//!     })
//! };
//! let layer = ResponseSchemaLayer::new(schema);
//!
//! let good = layer.layer(answers(r#"{"id":7}"#)).oneshot(Request::new(())).await?;
//! assert_eq!(good.into_body().collect().await?.to_bytes(), r#"{"id":7}"#);
//! let broken = layer.layer(answers(r#"{"name":"x"}"#)).oneshot(Request::new(())).await?;
//! assert_eq!(broken.status(), 500);
//!
//! // First on real traffic: count and tell, for one response in ten.
//! let trial = layer.with_mode(ResponseMode::Log).with_sample(0.1)?;
//! let broken = trial.layer(answers("{}")).oneshot(Request::new(())).await?;
//! assert_eq!(broken.status(), 200);
//! # Ok(()) }
//! # #[cfg(not(feature = "schema"))] fn main() {}
//! ```
//!
//! `ClientResponseSchemaLayer` is for a client's stack: an upstream that breaks its contract becomes a 502. What is
//! wrong is in the refusal's cause and in the wide event, as pointers and codes, for the log alone: a refusal carries
//! nothing of the response, not even its headers. Each status may have its schema. Bodies of other types, streams,
//! gRPC, answers to HEAD, 204, 205, 206 and 304 go on untouched; a client refuses another type where JSON was promised.
//! What a response is, its own `Content-Type` tells, not that of its request.
//! A response over the limit passes unchecked and counted in `Log`, and is refused in `Enforce`. The body goes on as it
//! was sent, in its coding, with its trailers.
//!
//! # gRPC messages
//!
//! With the feature `tonic`: a generated type says with `ValidateMessage` what its fields must be. Generate the service
//! with `ValidatingCodec`, and each message of each call is checked as it is decoded, before a handler sees it; or
//! check by hand, with `check_message` and `ValidatedStream`. A message that breaks a rule is refused with
//! `INVALID_ARGUMENT` and a `google.rpc.BadRequest` that names each field by its dotted path. A stream fails at that
//! message. `ReportOnlyCodec` counts and hands on.
//!
//! # Contracts
//!
//! With the feature `schema`: `validate_json` is the engine as a function, and `Contracts` keeps schemas by name and
//! version, for messages that do not come by HTTP. `Contract::accepts_all_of` tells whether a new version accepts all
//! that an older one does: proven, refuted by an example, or unknown.
//!
//! # Caveats
//!
//! - A caller who sends slowly holds its connection, and up to the limit of memory, until a timeout further out ends
//!   the request: put one there.
//! - The body must be `Unpin`, as those of axum, tonic and hyper are; pin another in a box.
//! - A number that no 64-bit float can hold passes [`JsonLayer`], and is refused where it is parsed.
//! - Names in pointers of a type's rules are those of the Rust fields.
//! - A description says nothing of a body where an operation has no `requestBody`: such a body goes on unread.
//! - In the style `form`, a comma parts items only where it is not percent-encoded, as RFC 6570 has it.
//! - A client's layer that enforces holds a response back until all of it is there.
//! - [`JsonLayer`] lets types that are no JSON pass: a handler that reads JSON must look at the type, as axum's does. JSON under
//!   another name (`application/x+json`), or in another charset, is refused (`application/grpc+json` with it) unless [it is one of the layer's](JsonLayer::with_media_type).
//!
//! # Place in a stack
//!
//! Phase `Validation`: inside of authentication, authorization and limits, outside of idempotency and cache. It needs
//! nothing and provides nothing. A layer for one schema or type belongs on its route, `OpenApiLayer` around the whole
//! router; it needs a `Principal` where the description demands one. In a client's stack, phase `Attempt`: a breaker
//! and a retry further out see a broken answer as a failure.
//!
//! The wide event gets `validation.code`, `validation.failures` and `validation.report_only` of a request that was or
//! would be refused, and `validation.response` of a response.
//!
//! # Features
//!
//! All off by default.
//!
//! - `schema`: `JsonSchema` and its layers, `Contracts`.
//! - `openapi`: `OpenApi` and `OpenApiLayer`, and `schema`.
//! - `validator`: `ValidateJsonLayer`; `garde`: that with the rules of garde; `axum`: the extractors.
//! - `tonic`: rules for messages.
//! - `scope`: the wide event of the request for which an upstream is called, and of the call a message belongs to.
//! - `decompress`: bodies in gzip, deflate and brotli. Without it they are a 415.
//! - `metrics`: `bartizan_validation_failures_total{location,code}`. Both labels are texts of the program; of a
//!   response the location is `response`.
//! - `tracing`: an event for each refusal, `input_validation_fail`, and for what report-only mode lets pass, target
//!   `bartizan::validate`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod check;
mod checked;
mod coding;
mod collect;
mod config;
#[cfg(feature = "schema")]
mod contracts;
#[cfg(feature = "axum")]
mod form;
mod future;
#[cfg(feature = "tonic")]
mod grpc;
mod json;
mod layer;
mod limits;
mod media;
#[cfg(feature = "openapi")]
mod openapi;
#[cfg(feature = "schema")]
mod params;
mod pointer;
mod read;
mod refusal;
#[cfg(feature = "schema")]
mod response;
#[cfg(feature = "schema")]
mod schema;
mod service;
mod settings;
mod telemetry;
#[cfg(feature = "typed")]
mod typed;

pub use self::{
    body::{CheckedBody, RequestBody},
    check::{Check, Syntax},
    config::ConfigError,
    future::ResponseFuture,
    layer::{JsonLayer, ValidateLayer},
    limits::JsonLimits,
    media::OtherMedia,
    service::Validate,
};

#[cfg(feature = "schema")]
pub use self::contracts::{Compatibility, Contract, ContractError, Contracts};
#[cfg(feature = "tonic")]
pub use self::grpc::{
    EnforceMessages, MessageCodec, MessageDecoder, MessageFindings, MessageMode, ReportOnlyCodec,
    ReportOnlyMessages, ValidateMessage, ValidatedStream, ValidatingCodec, check_message,
};
#[cfg(feature = "openapi")]
pub use self::openapi::{
    ByOpenApi, OpenApi, OpenApiError, OpenApiLayer, OpenApiOptions, OpenApiReport, ReadOnly, SchemeRule,
    Unlisted,
};
#[cfg(feature = "schema")]
pub use self::params::ParameterSchema;
#[cfg(feature = "schema")]
pub use self::response::{
    ClientResponseSchemaLayer, ResponseMode, ResponseSchemaFuture, ResponseSchemaLayer, Side,
    ValidateResponse, ValidateResponseLayer,
};
#[cfg(feature = "schema")]
pub use self::schema::{
    BySchema, Formats, JsonSchema, JsonSchemaLayer, Patterns, SchemaError, SchemaOptions, validate_json,
};
#[cfg(feature = "garde")]
pub use self::typed::Garde;
#[cfg(feature = "axum")]
pub use self::typed::{ReportOnly, Valid, ValidForm, ValidPath, ValidQuery};
#[cfg(feature = "typed")]
pub use self::typed::{Rules, Typed, ValidateJsonLayer, take_valid};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
