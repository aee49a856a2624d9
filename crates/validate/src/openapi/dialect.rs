//! Schemas as the validator knows them.

use serde_json::{Map, Value, json};

use super::{
    OpenApiError,
    document::{Documents, Place},
    grammar::Found,
};

/// Which schemas a document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// An older JSON Schema, with words of its own.
    V30,
    /// JSON Schema 2020-12, unless the document says otherwise.
    V31,
}

/// JSON Schema 2020-12.
const LATEST: &str = "https://json-schema.org/draft/2020-12/schema";
const DRAFTS: [&str; 5] = [
    LATEST,
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
];

impl Version {
    pub(super) fn of(root: &Value) -> Result<Self, OpenApiError> {
        let place = Place::root().child("openapi");
        let Some(text) = root.get("openapi").and_then(Value::as_str) else {
            return Err(OpenApiError::at(&place, "must say which version of OpenAPI this is, as a string"));
        };
        let is = |version: &str| {
            text.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        };
        match () {
            () if is("3.0") => Ok(Self::V30),
            () if is("3.1") => Ok(Self::V31),
            () => Err(OpenApiError::at(&place, "must be a version 3.0 or 3.1")),
        }
    }
}

/// The draft of the document's schemas that do not name their own.
pub(super) fn draft(root: &Value) -> Result<&'static str, OpenApiError> {
    let Some(dialect) = root.get("jsonSchemaDialect") else { return Ok(LATEST) };
    known(dialect).ok_or_else(|| {
        let place = Place::root().child("jsonSchemaDialect");
        OpenApiError::at(&place, "must be OpenAPI's own dialect or one of JSON Schema's drafts, 4 or later")
    })
}

/// Whether a schema that names this dialect is one of a draft.
pub(super) fn is_draft(dialect: &Value) -> bool {
    known(dialect).is_some()
}

/// The draft that a name stands for. OpenAPI's dialects are 2020-12 with words that refuse nothing.
fn known(dialect: &Value) -> Option<&'static str> {
    let name = dialect.as_str()?.trim_end_matches('#');
    if name.starts_with("https://spec.openapis.org/oas/3.1/") {
        return Some(LATEST);
    }
    DRAFTS.into_iter().find(|draft| *draft == name)
}

/// Rewrites every schema to what the validator knows.
pub(super) fn rewrite(
    documents: &mut Documents,
    found: &[Found],
    version: Version,
    assert_formats: bool,
) -> Result<(), OpenApiError> {
    for Found { place, .. } in found {
        let named =
            documents.get(place).and_then(|schema| schema.get("$schema")).filter(|_| version == Version::V31);
        let draft = match named {
            Some(dialect) => {
                Some(known(dialect).or_else(|| supplied(documents, place, dialect)).ok_or_else(|| {
                    let what =
                        "must be one of JSON Schema's drafts, 4 or later, or a dialect that was supplied";
                    OpenApiError::at(&place.child("$schema"), what)
                })?)
            }
            None => None,
        }
        .map(Value::from);
        let Some(Value::Object(schema)) = documents.get_mut(place) else { continue };
        if version == Version::V30 {
            from_v30(schema);
        }
        if let (Some(draft), Some(dialect)) = (draft, schema.get_mut("$schema")) {
            *dialect = draft;
        }
        if assert_formats {
            bound_integers(schema);
        }
    }
    Ok(())
}

/// The dialect, if its document was supplied.
fn supplied<'a>(documents: &Documents, place: &Place, dialect: &'a Value) -> Option<&'a str> {
    let uri = dialect.as_str()?;
    documents.locate(place.document, uri).is_some().then_some(uri)
}

/// OpenAPI 3.0's words in those of 2020-12.
fn from_v30(schema: &mut Map<String, Value>) {
    // Whatever stands beside a reference is ignored.
    if let Some(reference) = schema.get("$ref").filter(|reference| reference.is_string()) {
        *schema = Map::from_iter([("$ref".to_owned(), reference.clone())]);
        return;
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match schema.get(exclusive) {
            Some(Value::Bool(true)) => {
                schema.remove(exclusive);
                if let Some(limit) = schema.remove(bound) {
                    schema.insert(exclusive.to_owned(), limit);
                }
            }
            Some(Value::Bool(false)) => {
                schema.remove(exclusive);
            }
            _ => {}
        }
    }
    // It adds `null` to the type beside it, and nothing where there is none (3.0.3, Schema Object).
    if schema.remove("nullable") == Some(Value::Bool(true))
        && let Some(Value::String(name)) = schema.get("type")
    {
        let both = json!([name, "null"]);
        schema.insert("type".to_owned(), both);
    }
}

/// `int32` and `int64` are formats of numbers, which the validator has none of: their bounds say the same.
fn bound_integers(schema: &mut Map<String, Value>) {
    let bounds = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => json!({ "minimum": i32::MIN, "maximum": i32::MAX }),
        Some("int64") => json!({ "minimum": i64::MIN, "maximum": i64::MAX }),
        _ => return,
    };
    if let Value::Array(parts) = schema.entry("allOf").or_insert_with(|| Value::Array(Vec::new())) {
        parts.push(bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn val_05_words_of_3_0_become_those_of_2020_12() {
        for (old, new) in [
            (json!({ "type": "string", "nullable": true }), json!({ "type": ["string", "null"] })),
            (json!({ "type": "string", "nullable": false }), json!({ "type": "string" })),
            (json!({ "nullable": true, "minimum": 1 }), json!({ "minimum": 1 })),
            (json!({ "minimum": 1, "exclusiveMinimum": true }), json!({ "exclusiveMinimum": 1 })),
            (json!({ "maximum": 1, "exclusiveMaximum": false }), json!({ "maximum": 1 })),
            (json!({ "exclusiveMaximum": true }), json!({})),
            (json!({ "$ref": "#/a", "minimum": 1 }), json!({ "$ref": "#/a" })),
        ] {
            let Value::Object(mut schema) = old.clone() else { panic!("an object") };
            from_v30(&mut schema);
            assert_eq!(Value::Object(schema), new, "{old}");
        }
    }

    #[test]
    fn val_05_versions_and_dialects() {
        for (text, expected) in [
            ("3.0.4", Some(Version::V30)),
            ("3.1.1", Some(Version::V31)),
            ("3.1", Some(Version::V31)),
            ("3.10.0", None),
            ("2.0", None),
            ("3.2.0", None),
        ] {
            assert_eq!(Version::of(&json!({ "openapi": text })).ok(), expected, "{text}");
        }
        let error = Version::of(&json!({ "swagger": "2.0" })).unwrap_err();
        assert_eq!(error.place(), "#/openapi");
        let dialect = |name: &str| {
            draft(&json!({ "jsonSchemaDialect": name })).map_err(|error| error.place().to_owned())
        };
        assert_eq!(dialect("https://spec.openapis.org/oas/3.1/dialect/base"), Ok(LATEST));
        assert_eq!(dialect("http://json-schema.org/draft-07/schema#"), Ok(DRAFTS[2]));
        assert_eq!(dialect("https://example.com/own"), Err("#/jsonSchemaDialect".to_owned()));
    }
}
