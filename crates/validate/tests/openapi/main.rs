//! What `OpenApiLayer` and the parameters of `JsonSchemaLayer` do with requests.
#![cfg(feature = "openapi")]

mod bodies;
mod documents;
mod parameters;
mod routes;
mod schema_parameters;
mod security;
mod styles;
#[path = "../requests/support.rs"]
mod support;
#[cfg(feature = "metrics")]
mod telemetry;

use bartizan_testkit::TestBody;
use bartizan_validate::{OpenApi, OpenApiLayer, OpenApiOptions};
use http::Request;

use crate::support::{Answer, send};

/// A document with these paths, and components if there are any.
fn document(paths: &str) -> String {
    format!("openapi: 3.1.0\ninfo: {{ title: Test, version: '1' }}\n{paths}")
}

fn layer(paths: &str) -> OpenApiLayer {
    layer_with(paths, OpenApi::options())
}

fn layer_with(paths: &str, options: OpenApiOptions) -> OpenApiLayer {
    let text = document(paths);
    let api = options.build(&text).unwrap_or_else(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        panic!("{error}: {source:?}\n{text}")
    });
    OpenApiLayer::new(api)
}

fn get(uri: &str) -> Request<TestBody> {
    Request::get(uri).body(TestBody::empty()).expect("a request")
}

/// Each entry of `errors` as `in parameter code`.
fn errors(answer: &Answer) -> Vec<String> {
    let problem = answer.problem();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let entry = |error: &serde_json::Value| {
        assert!(error.get("pointer").is_none(), "{error}");
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("in"), text("parameter"), text("code"))
    };
    errors.iter().map(entry).collect()
}

/// The status that a GET of each of these gets, 200 where it reaches the handler.
async fn statuses<const N: usize>(layer: &OpenApiLayer, uris: [&str; N]) -> [u16; N] {
    let mut found = [0; N];
    for (status, uri) in found.iter_mut().zip(uris) {
        *status = send(layer, get(uri)).await.status();
    }
    found
}
