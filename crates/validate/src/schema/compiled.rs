//! A schema, ready for use.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bartizan_core::{Rejection, Violation};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::{
    Broken, Patterns, SchemaError, SchemaOptions,
    instance::{Document, Taped},
    limited::{Asked, Budget, Limited},
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
    built: Validator<Limited>,
    taped: Validator<Taped>,
    patterns: Patterns,
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

    pub(crate) fn compiled(built: Validator<Limited>, taped: Validator<Taped>, patterns: Patterns) -> Self {
        Self(Arc::new(Compiled { built, taped, patterns }))
    }

    /// Whether the document `text`, whose values are on `tape`, is known to be valid without being built.
    pub(crate) fn is_valid(&self, text: &str, tape: &Tape) -> bool {
        !tape.is_unusual() && self.0.taped.is_valid(Document::new(text, tape).root())
    }

    /// What is wrong with `document`: nothing, or up to 33 entries, of which a [`Rejection`] keeps 32 and says that
    /// there are more.
    ///
    /// A pointer names the value that is wrong; of a missing member, its parent. No entry repeats a value. The search
    /// ends when enough is known, whatever the size of the document: after 1024 errors, of which one says that none of
    /// several alternatives holds, and the others why.
    pub fn violations(&self, document: &Value) -> Vec<Violation> {
        self.broken(document).into_iter().map(Broken::in_body).collect()
    }

    /// The same, with each place in its segments.
    pub(crate) fn broken(&self, document: &Value) -> Vec<Broken> {
        // Most documents are valid, and to see that is several times cheaper than to look for errors.
        if self.0.built.is_valid(Asked::root(document, &Value::Null, &Budget::new())) {
            return Vec::new();
        }
        let broken: Vec<_> = self.errors(document, |errors, _| {
            errors.iter().flat_map(violation::of).take(Rejection::MAX_VIOLATIONS + 1).collect()
        });
        if broken.is_empty() { vec![Broken::somewhere()] } else { broken }
    }

    /// The errors of a document that has some, for who must know more of them than a violation says. `read` gets them,
    /// and whether they are all; there may be none where they cannot be told at a bounded cost.
    pub(crate) fn errors<T>(
        &self,
        document: &Value,
        read: impl FnOnce(&[ValidationError<'_>], bool) -> T,
    ) -> T {
        let is_small = is_small(document);
        // The engine shows the whole document where a pattern did not finish.
        if !is_small && self.0.patterns != Patterns::Linear {
            return read(&[], false);
        }
        let budget = Budget::new();
        let root = Asked::root(document, if is_small { document } else { &Value::Null }, &budget);
        // Of a pattern in linear time it does so too, if the pattern panicked, and panics itself without the document.
        let errors = catch_unwind(AssertUnwindSafe(|| self.0.built.iter_errors(root).collect::<Vec<_>>()));
        let errors = errors.unwrap_or_default();
        let (errors, all) = budget.believe(&errors);
        read(errors, all)
    }
}

/// Whether a document is so small that errors may show it: each at the root of an alternative has a copy.
fn is_small(document: &Value) -> bool {
    const SMALL: usize = 16 * 1024;

    fn take(value: &Value, left: usize) -> Option<usize> {
        let left = left.checked_sub(size_of::<Value>())?;
        match value {
            Value::String(text) => left.checked_sub(text.len()),
            Value::Array(items) => items.iter().try_fold(left, |left, item| take(item, left)),
            Value::Object(members) => members
                .iter()
                .try_fold(left, |left, (name, value)| take(value, left.checked_sub(name.len())?)),
            _ => Some(left),
        }
    }
    take(document, SMALL).is_some()
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema").field("draft", &self.0.built.draft()).finish_non_exhaustive()
    }
}
