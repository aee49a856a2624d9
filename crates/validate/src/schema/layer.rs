//! The layer that demands a schema.

use bartizan_core::Rejection;
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::JsonSchema;
use crate::{JsonLimits, ValidateLayer, check::Check, json, refusal};

/// Refuses bodies that break a JSON Schema, with every mistake at its place.
///
/// See the [crate's documentation](crate#schemas) for an example and for the behaviour.
pub type JsonSchemaLayer = ValidateLayer<BySchema>;

/// The body keeps a schema.
#[derive(Clone, Debug)]
pub struct BySchema(JsonSchema);

impl JsonSchemaLayer {
    /// Default limits, `application/json`, and other types are refused.
    pub fn new(schema: JsonSchema) -> Self {
        Self::of(BySchema(schema))
    }
}

impl Check for BySchema {
    fn body(&self, text: &str, _: &mut Parts) -> Result<(), Rejection> {
        let document: Value = serde_json::from_str(text).map_err(|_| refusal::out_of_range())?;
        let violations = self.0.violations(&document);
        if violations.is_empty() { Ok(()) } else { Err(refusal::violates(violations)) }
    }

    // Most documents are valid, and to see that takes no more than a list of their values; the document is built to
    // tell what is wrong with one.
    fn read(&self, bytes: &Bytes, limits: &JsonLimits, head: &mut Parts) -> Result<(), Rejection> {
        let (text, tape) = json::check_taped(bytes, limits).map_err(refusal::malformed)?;
        if self.0.is_valid(text, &tape) { Ok(()) } else { self.body(text, head) }
    }
}
