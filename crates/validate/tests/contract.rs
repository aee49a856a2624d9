//! What every layer keeps.

use bartizan_validate::JsonLayer;
use http::{HeaderValue, Request, header};

/// The suite's bodies are no JSON, and a gRPC call says so itself.
fn not_json(request: &mut Request<()>) {
    let binary = HeaderValue::from_static("application/octet-stream");
    request.headers_mut().entry(header::CONTENT_TYPE).or_insert(binary);
}

#[test]
fn val_01_what_is_not_json_passes_unread_and_within_the_contract() {
    bartizan_testkit::contract(|| JsonLayer::new().with_optional_body()).accept(not_json).check();
}

#[test]
fn a_layer_that_reads_and_only_reports_keeps_the_contract() {
    fn json(request: &mut Request<()>) {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().entry(header::CONTENT_TYPE).or_insert(json);
    }
    bartizan_testkit::contract(|| JsonLayer::new().with_report_only())
        .accept(json)
        .reads_request_bodies()
        .check();
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_layer_keeps_the_contract() {
    use bartizan_validate::{JsonSchema, JsonSchemaLayer, OtherMedia};

    let schema = JsonSchema::new(&serde_json::json!({ "type": "object" })).unwrap();
    bartizan_testkit::contract(move || {
        JsonSchemaLayer::new(schema.clone()).with_optional_body().with_other_media(OtherMedia::Pass)
    })
    .accept(not_json)
    .check();
}

#[cfg(feature = "openapi")]
#[test]
fn the_openapi_layer_keeps_the_contract() {
    use bartizan_validate::{OpenApi, OpenApiLayer};

    let api = OpenApi::new("{ openapi: 3.1.0, info: { title: Test, version: '1' }, paths: {} }").unwrap();
    bartizan_testkit::contract(move || OpenApiLayer::new(api.clone())).accept(not_json).check();
}

#[cfg(feature = "validator")]
#[test]
fn the_typed_layer_keeps_the_contract() {
    use bartizan_validate::{OtherMedia, ValidateJsonLayer};

    #[derive(serde::Deserialize, validator::Validate)]
    struct Order {
        #[validate(range(min = 1))]
        quantity: u32,
    }

    bartizan_testkit::contract(|| {
        ValidateJsonLayer::<Order>::new().with_optional_body().with_other_media(OtherMedia::Pass)
    })
    .accept(not_json)
    .check();
}

#[cfg(feature = "schema")]
#[test]
fn the_response_layer_keeps_the_contract() {
    use bartizan_validate::{
        ClientResponseSchemaLayer, JsonSchema, OtherMedia, ResponseMode, ResponseSchemaLayer,
    };

    let schema = JsonSchema::new(&serde_json::json!({ "type": "object" })).unwrap();
    let server = schema.clone();
    bartizan_testkit::contract(move || ResponseSchemaLayer::new(server.clone())).check();
    bartizan_testkit::contract(move || {
        let layer = ClientResponseSchemaLayer::new(schema.clone()).with_other_media(OtherMedia::Refuse);
        layer.with_mode(ResponseMode::Log)
    })
    .check();
}
