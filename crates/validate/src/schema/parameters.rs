//! Schemas of parameters.

use jsonschema::uri;
use serde_json::Value;

use super::{SchemaError, SchemaOptions};
use crate::params::{ParameterSchema, Shape, Sources};

impl SchemaOptions {
    /// Compiles a schema of all parameters in one place of a request: of an object that has each as a member.
    ///
    /// Which types a parameter may be is read from `type`, `enum` and `const`, also behind `$ref`, `allOf`, `anyOf`
    /// and `oneOf`.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_parameters(self, schema: &Value) -> Result<ParameterSchema, SchemaError> {
        let shape =
            Shape::of(schema, Documents::ROOT, &Documents { root: schema, supplied: &self.documents });
        Ok(ParameterSchema::new(self.build(schema)?, shape))
    }
}

/// The schema, and what it may refer to.
struct Documents<'a> {
    root: &'a Value,
    supplied: &'a [(String, Value)],
}

impl Documents<'_> {
    /// The schema itself; the supplied documents follow.
    const ROOT: usize = 0;
}

impl Sources for Documents<'_> {
    fn find(&self, base: usize, reference: &str) -> Option<(usize, &Value)> {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = match document {
            "" => base,
            _ => {
                let here = match base.checked_sub(1) {
                    Some(supplied) => self.supplied[supplied].0.as_str(),
                    None => self.root.get("$id").and_then(Value::as_str).unwrap_or_default(),
                };
                let target = uri::from_str(here)
                    .and_then(|here| uri::resolve_against(&here.borrow(), document))
                    .ok()?;
                let is_it =
                    |(known, _): &(String, Value)| uri::from_str(known).is_ok_and(|known| known == target);
                self.supplied.iter().position(is_it)? + 1
            }
        };
        let root = base.checked_sub(1).map_or(self.root, |supplied| &self.supplied[supplied].1);
        let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        root.pointer(&pointer).map(|found| (base, found))
    }
}
