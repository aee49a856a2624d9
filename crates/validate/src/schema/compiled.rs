//! A schema, ready for use.

use std::{fmt, sync::Arc};

use bartizan_core::{Rejection, Violation};
use jsonschema::Validator;
use serde_json::Value;

use super::{
    Broken, SchemaError, SchemaOptions,
    instance::{Document, Taped},
    violation,
};
use crate::json::Tape;

/// A compiled JSON Schema: draft 2020-12, 2019-09, 7, 6 or 4. Clones share it.
///
/// It also serves without a layer, for documents that do not come by HTTP:
///
/// ```
/// use bartizan_validate::JsonSchema;
/// use serde_json::json;
///
/// # fn main() -> Result<(), bartizan_validate::SchemaError> {
/// let schema = JsonSchema::new(&json!({ "type": "object", "required": ["id"] }))?;
/// assert!(schema.violations(&json!({ "id": 7 })).is_empty());
/// assert_eq!(schema.violations(&json!({}))[0].code(), "required");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct JsonSchema(Arc<Compiled>);

/// The schema for documents in either form.
struct Compiled {
    built: Validator,
    taped: Validator<Taped>,
}

impl JsonSchema {
    /// Compiles `schema` with the default options.
    ///
    /// # Errors
    ///
    /// As [`SchemaOptions::build`].
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        Self::options().build(schema)
    }

    /// Other options: formats, patterns, documents to refer to.
    pub fn options() -> SchemaOptions {
        SchemaOptions::default()
    }

    pub(crate) fn compiled(built: Validator, taped: Validator<Taped>) -> Self {
        Self(Arc::new(Compiled { built, taped }))
    }

    /// Whether the document `text`, whose values are on `tape`, is known to be valid without being built.
    pub(crate) fn is_valid(&self, text: &str, tape: &Tape) -> bool {
        !tape.is_unusual() && self.0.taped.is_valid(Document::new(text, tape).root())
    }

    /// What is wrong with `document`: nothing, or up to 33 entries, of which a [`Rejection`] keeps 32 and says that
    /// there are more.
    ///
    /// A pointer names the value that is wrong; of a missing member, its parent. No entry repeats a value.
    pub fn violations(&self, document: &Value) -> Vec<Violation> {
        self.broken(document).into_iter().map(Broken::in_body).collect()
    }

    /// The same, with each place in its segments.
    pub(crate) fn broken(&self, document: &Value) -> Vec<Broken> {
        // Most documents are valid, and to see that is several times cheaper than to look for errors.
        if self.0.built.is_valid(document) {
            return Vec::new();
        }
        self.0
            .built
            .iter_errors(document)
            .flat_map(|error| violation::of(&error))
            .take(Rejection::MAX_VIOLATIONS + 1)
            .collect()
    }
}

impl JsonSchema {
    /// All errors, for who must know more of them than a violation says.
    #[cfg(feature = "openapi")]
    pub(crate) fn errors<'i>(&'i self, document: &'i Value) -> jsonschema::ErrorIterator<'i> {
        self.0.built.iter_errors(document)
    }
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema").field("draft", &self.0.built.draft()).finish_non_exhaustive()
    }
}
