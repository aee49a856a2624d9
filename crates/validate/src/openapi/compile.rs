//! Schemas of a description, ready for use.

use std::sync::Arc;

use jsonschema::{
    Keyword, PatternCache, Registry, Retrieve, ValidationError, ValidationOptions, Validator, json::Json,
};
use serde_json::{Value, json};

use super::{
    OpenApiError,
    document::{Documents, Place},
};
use crate::{
    Formats, JsonSchema, Patterns,
    params::Shape,
    schema::{READ_ONLY, configured},
};

/// Compiles schemas by their place.
pub(super) struct Compiler<'a> {
    pub(super) documents: &'a Documents,
    /// The documents as the body of a request sees them.
    requests: &'a Documents,
    plain: Registry<'a>,
    of_requests: Registry<'a>,
    draft: &'static str,
    formats: Formats,
    patterns: Patterns,
    cache: PatternCache,
}

/// Formats that OpenAPI knows, and JSON Schema does not. `int32` and `int64` are rewritten as bounds.
const FORMATS: [&str; 7] = ["int32", "int64", "float", "double", "password", "binary", "byte"];

impl<'a> Compiler<'a> {
    pub(super) fn new(
        documents: &'a Documents,
        requests: &'a Documents,
        draft: &'static str,
        formats: Formats,
        patterns: Patterns,
    ) -> Result<Self, OpenApiError> {
        Ok(Self {
            documents,
            requests,
            plain: registry(documents)?,
            of_requests: registry(requests)?,
            draft,
            formats,
            patterns,
            cache: PatternCache::new(),
        })
    }

    /// A schema of a parameter, and of which types it is.
    pub(super) fn parameter(&self, place: &Place) -> Result<(JsonSchema, Shape), OpenApiError> {
        Ok((self.schema(place, &self.plain, self.documents)?, shape(place, self.documents)))
    }

    /// A schema of a body.
    pub(super) fn body(&self, place: &Place) -> Result<JsonSchema, OpenApiError> {
        self.schema(place, &self.of_requests, self.requests)
    }

    /// Of which types the schema of a body is.
    pub(super) fn shape_of_body(&self, place: &Place) -> Shape {
        shape(place, self.requests)
    }

    fn schema(
        &self,
        place: &Place,
        registry: &Registry<'_>,
        documents: &Documents,
    ) -> Result<JsonSchema, OpenApiError> {
        let root = json!({ "$schema": self.draft, "$ref": documents.uri_of(place) });
        let built = self.validator(jsonschema::options_for().with_registry(registry), place, &root)?;
        let taped = self.validator(jsonschema::options_for().with_registry(registry), place, &root)?;
        Ok(JsonSchema::compiled(built, taped, self.patterns))
    }

    /// For documents in the form `F`.
    fn validator<F: Json>(
        &self,
        options: ValidationOptions<'_, Arc<dyn Retrieve>, F>,
        place: &Place,
        root: &Value,
    ) -> Result<Validator<F>, OpenApiError> {
        let options = configured(options, self.formats, self.patterns)
            .map_err(|error| OpenApiError::new("patterns", error.to_string()))?;
        let options = FORMATS.into_iter().fold(options, |options, name| match name {
            "byte" => options.with_format(name, is_base64),
            _ => options.with_format(name, |_: &str| true),
        });
        options
            .with_pattern_cache(self.cache.clone())
            .with_keyword(READ_ONLY, |_, _, _| Ok(Box::new(Never)))
            .build(root)
            .map_err(|error| {
                OpenApiError::at(place, "the schema cannot be compiled").because(error.to_string())
            })
    }
}

fn shape(place: &Place, documents: &Documents) -> Shape {
    let schema = documents.get(place).unwrap_or(&Value::Bool(true));
    Shape::of(schema, place.document, documents)
}

fn registry(documents: &Documents) -> Result<Registry<'_>, OpenApiError> {
    let unusable = |error| OpenApiError::new("documents", "one of them cannot be used").because(error);
    let mut registry = Registry::new();
    for (uri, root) in documents.iter() {
        registry = registry.add(uri, root).map_err(unusable)?;
    }
    registry.prepare().map_err(unusable)
}

/// The keyword of what must not be there.
struct Never;

impl<'i, F: Json> Keyword<'i, F> for Never {
    fn validate(&self, _: F::Node<'i>) -> Result<(), ValidationError<'i>> {
        Err(ValidationError::custom("is set by the service alone"))
    }

    fn is_valid(&self, _: F::Node<'i>) -> bool {
        false
    }
}

/// Base64 with its padding (RFC 4648 section 4).
fn is_base64(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - data.len() <= 2
        && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
