//! Schemas and documents for tests of how the ones judge the others.

use serde_json::{Value, json};

/// Any document of some few names and values: those that schemas below ask for, and others.
pub(super) fn document(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> Value {
    const TEXTS: [&str; 10] =
        ["", "a", "b", "ab", "abc", "é😀", "line\nbreak", "a@b.example", "2026-01-01", "\"\\/\u{1}"];
    let mut next = || usize::from(bytes.next().unwrap_or_default());
    match next() % 12 {
        0 => Value::Null,
        1 => json!(next() % 2 == 0),
        2 => json!(next()),
        3 => json!(-i64::try_from(next()).unwrap()),
        4 => json!(f64::from(u8::try_from(next()).unwrap()) / 4.0),
        5 => [json!(0.0), json!(-0.0), json!(u64::MAX), json!(i64::MIN), json!(1e17), json!(1.0)][next() % 6]
            .clone(),
        6 | 7 => json!(TEXTS[next() % TEXTS.len()]),
        _ if depth == 0 => json!([]),
        8 | 9 => (0..next() % 4).map(|_| document(bytes, depth - 1)).collect(),
        _ => {
            let names: Vec<_> = (0..next() % 5).map(|_| TEXTS[next() % 6]).collect();
            Value::Object(names.into_iter().map(|name| (name.into(), document(bytes, depth - 1))).collect())
        }
    }
}

/// Schemas that such documents keep, or break.
pub(super) fn schemas() -> Vec<Value> {
    let mut all: Vec<_> = ["null", "boolean", "integer", "number", "string", "object"]
        .map(|name| json!({ "type": ["array", name], "items": { "type": name } }))
        .into();
    all.extend([
        json!({ "enum": [null, true, 1, 1.5, "ab", "line\nbreak", [], {}, { "a": 1 }] }),
        json!({ "items": { "const": 1 }, "additionalProperties": { "const": "é😀" } }),
        json!({ "minimum": -3, "exclusiveMaximum": 40.5, "multipleOf": 0.5 }),
        json!({ "items": { "maximum": 18_446_744_073_709_551_615_u64, "exclusiveMinimum": 0 } }),
        json!({ "minLength": 2, "maxLength": 5, "pattern": "b" }),
        json!({ "items": { "format": "email" }, "additionalProperties": { "format": "date" } }),
        json!({ "minItems": 1, "maxItems": 2, "uniqueItems": true, "contains": { "type": "string" } }),
        json!({ "prefixItems": [{ "type": "string" }], "items": { "type": "number" } }),
        json!({ "required": ["a"], "properties": { "a": { "type": "string" } } }),
        json!({ "required": ["a", "b"], "additionalProperties": false, "properties": { "a": {}, "b": {} } }),
        json!({ "required": ["a", "b", "ab"], "minProperties": 1, "maxProperties": 3 }),
        json!({ "required": ["a", "b", "ab", "abc"] }),
        json!({ "patternProperties": { "^a": { "type": "number" } }, "unevaluatedProperties": false }),
        json!({ "propertyNames": { "maxLength": 1 }, "dependentRequired": { "a": ["b"] } }),
        json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] }, "else": { "minProperties": 1 } }),
        json!({ "anyOf": [{ "type": "object" }, { "type": "string" }], "not": { "required": ["ab"] } }),
        json!({ "oneOf": [{ "type": "number" }, { "minimum": 2 }, { "type": "array" }] }),
        json!({ "type": "object", "additionalProperties": { "anyOf": [{ "$ref": "#" }, { "type": "number" }] } }),
    ]);
    all
}
