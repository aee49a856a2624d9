//! What `JsonSchemaLayer` and `JsonSchema` do.

use bartizan_core::{Rejection, Violation};
use bartizan_validate::{Formats, JsonSchema, JsonSchemaLayer, Patterns, SchemaError};
use serde_json::{Value, json};

use crate::support::{post, send};

fn compiled(schema: &Value) -> JsonSchema {
    JsonSchema::new(schema).unwrap_or_else(|error| panic!("{schema}: {error:?}"))
}

fn codes(schema: &JsonSchema, document: &Value) -> Vec<String> {
    let mut codes: Vec<_> = schema.violations(document).iter().map(code).collect();
    codes.sort();
    codes
}

fn code(violation: &Violation) -> String {
    format!("{} {}", violation.pointer().expect("a place in the body"), violation.code())
}

fn order() -> Value {
    json!({
        "type": "object",
        "required": ["email", "lines"],
        "additionalProperties": false,
        "properties": {
            "email": { "type": "string", "format": "email" },
            "lines": {
                "type": "array", "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["productId", "quantity"],
                    "properties": {
                        "productId": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" },
                        "quantity": { "type": "integer", "minimum": 1, "maximum": 1000 },
                    },
                },
            },
        },
    })
}

fn layer() -> JsonSchemaLayer {
    JsonSchemaLayer::new(JsonSchema::options().with_formats(Formats::Assert).build(&order()).unwrap())
}

#[tokio::test]
async fn val_06_all_mistakes_are_told_at_once_each_at_its_place() {
    let good = r#"{"email":"a@example.com","lines":[{"productId":"p-1","quantity":2.0}]}"#;
    assert_eq!(send(&layer(), post(good)).await.seen.unwrap(), good);

    let bad =
        r#"{"email":"s3cret","a/b":1,"lines":[{"productId":"s3cret!"},{"productId":"p","quantity":4711}]}"#;
    let answer = send(&layer(), post(bad)).await;
    assert_eq!((answer.status(), answer.seen.is_none()), (422, true));
    let mut errors = answer.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "#/a~1b additional_properties",
            "#/email format",
            "#/lines/0 required",
            "#/lines/0/productId pattern",
            "#/lines/1/quantity maximum",
        ]
    );
    assert_eq!(answer.problem()["code"], "schema_violation");
    let text = String::from_utf8_lossy(answer.response.body()).into_owned();
    assert!(!text.contains("s3cret") && !text.contains("4711"), "{text}");
    assert!(text.contains("`quantity` is required") && text.contains("must be at most 1000"), "{text}");
}

#[tokio::test]
async fn val_06_at_most_32_mistakes_are_told() {
    let many: serde_json::Map<_, _> = (0..100).map(|index| (format!("x{index}"), json!(1))).collect();
    let lines = vec![json!({}); 100];
    for body in [Value::Object(many), json!({ "email": "a@example.com", "lines": lines })] {
        let answer = send(&layer(), post(body.to_string())).await;
        assert_eq!(answer.errors().len(), 32);
        assert_eq!(answer.problem()["truncated"], true);
    }
}

#[tokio::test]
async fn val_01_syntax_comes_before_the_schema() {
    let answer = send(&layer(), post(r#"{"lines":[],"lines":[]}"#)).await;
    assert_eq!((answer.status(), answer.errors()), (400, vec!["#/lines duplicate_key".to_owned()]));
    let answer = send(&layer(), post("[1e999]")).await;
    assert_eq!((answer.status(), answer.errors()), (400, vec!["# json_limit".to_owned()]));
}

#[test]
fn val_04_keywords_of_2020_12() {
    let cases: &[(Value, Value, &[&str])] = &[
        (json!(true), json!(1), &[]),
        (json!(false), json!(1), &["# false_schema"]),
        (json!({ "type": "integer" }), json!(1.0), &[]),
        (json!({ "type": "integer" }), json!(1.5), &["# type"]),
        (json!({ "type": ["string", "null"] }), json!(1), &["# type"]),
        (json!({ "unknownKeyword": 7 }), json!(1), &[]),
        (json!({ "const": { "a": 1 } }), json!({ "a": 1.0 }), &[]),
        (json!({ "const": 1 }), json!(true), &["# const"]),
        (json!({ "enum": ["a"] }), json!("b"), &["# enum"]),
        (json!({ "multipleOf": 0.1 }), json!(0.35), &["# multiple_of"]),
        (json!({ "exclusiveMinimum": 1 }), json!(1), &["# exclusive_minimum"]),
        (json!({ "exclusiveMaximum": 1 }), json!(1), &["# exclusive_maximum"]),
        (json!({ "minLength": 2 }), json!("😀"), &["# min_length"]),
        (json!({ "maxLength": 1 }), json!("😀"), &[]),
        (json!({ "maxLength": 1 }), json!("ab"), &["# max_length"]),
        (json!({ "maxItems": 1 }), json!([1, 2]), &["# max_items"]),
        (json!({ "uniqueItems": true }), json!([1, 1.0]), &["# unique_items"]),
        (json!({ "minProperties": 1 }), json!({}), &["# min_properties"]),
        (json!({ "maxProperties": 0 }), json!({ "a": 1 }), &["# max_properties"]),
        (json!({ "contains": { "const": 1 } }), json!([2]), &["# contains"]),
        (json!({ "prefixItems": [{ "type": "string" }] }), json!([1, 2]), &["#/0 type"]),
        (json!({ "prefixItems": [true], "items": false }), json!([1, 2]), &["#/1 false_schema"]),
        (json!({ "items": { "type": "string" } }), json!(["a", 1]), &["#/1 type"]),
        (json!({ "dependentRequired": { "a": ["b"] } }), json!({ "a": 1 }), &["# required"]),
        (json!({ "propertyNames": { "maxLength": 1 } }), json!({ "ab": 1 }), &["# property_names"]),
        (json!({ "patternProperties": { "^x": { "type": "string" } } }), json!({ "xa": 1 }), &["#/xa type"]),
        (json!({ "anyOf": [{ "type": "string" }, { "minimum": 2 }] }), json!(1), &["# any_of"]),
        (json!({ "oneOf": [{ "minimum": 1 }, { "minimum": 2 }] }), json!(3), &["# one_of"]),
        (json!({ "oneOf": [{ "minimum": 1 }] }), json!(0), &["# one_of"]),
        (json!({ "allOf": [{ "minimum": 1 }, { "maximum": -1 }] }), json!(0), &["# maximum", "# minimum"]),
        (json!({ "not": { "type": "string" } }), json!("a"), &["# not"]),
        (json!({ "if": { "minimum": 5 }, "then": { "multipleOf": 2 } }), json!(7), &["# multiple_of"]),
        (json!({ "$defs": { "n": { "type": "number" } }, "$ref": "#/$defs/n" }), json!("x"), &["# type"]),
        (
            json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": false }),
            json!({ "a": { "a": { "b": 1 } } }),
            &["#/a/a/b additional_properties"],
        ),
        (
            json!({ "allOf": [{ "properties": { "a": true } }], "unevaluatedProperties": false }),
            json!({ "a": 1, "b": 1 }),
            &["#/b unevaluated_properties"],
        ),
        (
            json!({
                "$id": "https://example.com/tree", "$dynamicAnchor": "node", "type": "object",
                "properties": { "children": { "items": { "$dynamicRef": "#node" } } },
            }),
            json!({ "children": [{ "children": [1] }] }),
            &["#/children/0/children/0 type"],
        ),
    ];
    for (schema, document, expected) in cases {
        assert_eq!(codes(&compiled(schema), document), *expected, "{schema} {document}");
    }
}

#[test]
fn val_04_older_drafts_by_their_schema() {
    for draft in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
    ] {
        // An array of schemas under `items` is a tuple in these, and nothing in 2020-12.
        let schema = compiled(&json!({ "$schema": draft, "items": [{ "type": "string" }] }));
        assert_eq!(codes(&schema, &json!([1])), ["#/0 type"], "{draft}");
    }
    let old = compiled(&json!({
        "$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true,
    }));
    assert_eq!(old.violations(&json!(1)).len(), 1);
}

#[test]
fn val_04_format_refuses_nothing_unless_asked_to() {
    let schema = json!({ "format": "date-time" });
    assert!(compiled(&schema).violations(&json!("yesterday")).is_empty());
    let strict = JsonSchema::options().with_formats(Formats::Assert);
    assert_eq!(codes(&strict.clone().build(&schema).unwrap(), &json!("yesterday")), ["# format"]);
    assert!(strict.build(&json!({ "format": "no-such-format" })).is_err());
}

#[test]
fn val_04_references_are_resolved_at_start_from_what_was_supplied() {
    let schema = json!({ "$ref": "https://example.com/line.json#/$defs/line" });
    assert!(matches!(JsonSchema::new(&schema), Err(SchemaError::Schema(_))), "nothing is fetched");
    let line = json!({ "$defs": { "line": { "required": ["quantity"] } } });
    let schema =
        JsonSchema::options().with_document("https://example.com/line.json", line).build(&schema).unwrap();
    assert_eq!(codes(&schema, &json!({})), ["# required"]);
    for schema in [json!({ "$ref": "#/$defs/none" }), json!({ "type": "strin" }), json!({ "pattern": "(" })] {
        let error = JsonSchema::new(&schema).unwrap_err();
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(error.to_string(), "schema: it cannot be compiled");
    }
}

#[test]
fn val_04_patterns_run_in_linear_time_or_with_a_cap() {
    let looking = json!({ "pattern": "^(?=.*[0-9]).+$" });
    assert!(JsonSchema::new(&looking).is_err(), "it cannot run in linear time");
    let capped = |steps| JsonSchema::options().with_patterns(Patterns::Backtracking { steps });
    let schema = capped(10_000).build(&looking).unwrap();
    assert!(schema.violations(&json!("a1")).is_empty());
    assert_eq!(codes(&schema, &json!("ab")), ["# pattern"]);
    assert!(matches!(capped(0).build(&looking), Err(SchemaError::Steps)));

    // Exponential for an engine that backtracks without a cap.
    let evil = json!("a".repeat(5_000) + "!");
    let linear = compiled(&json!({ "pattern": "^(a+)+$" }));
    assert_eq!(codes(&linear, &evil), ["# pattern"]);
    let capped = capped(1_000).build(&json!({ "pattern": "^(?=a)((a+)+)+$" })).unwrap();
    assert_eq!(codes(&capped, &evil), ["# pattern"]);
}

/// 1 MiB of JSON, and up to two errors for each of half a million values.
fn all_wrong() -> Value {
    let row: Vec<_> = std::iter::repeat_n(json!(0), 10_000).collect();
    std::iter::repeat_n(Value::Array(row), 52).collect()
}

#[test]
fn val_06_what_a_refusal_takes_does_not_grow_with_what_is_wrong() {
    let wrong = json!({ "items": { "type": "string", "minimum": 1 } });
    let document = all_wrong();
    for (name, schema) in [
        ("items", json!({ "items": wrong })),
        ("anyOf", json!({ "anyOf": [{ "items": wrong }, { "items": { "items": { "const": 1 } } }] })),
        ("oneOf", json!({ "items": { "oneOf": [wrong, { "items": { "type": "null" } }] } })),
        // Each alternative has an error of its own about the whole document.
        ("root", json!({ "oneOf": [{ "type": "object" }, { "maxItems": 1 }, { "minItems": 99 }] })),
        ("unique", json!({ "uniqueItems": true, "items": { "uniqueItems": true } })),
        ("unevaluated", json!({ "items": { "unevaluatedItems": false } })),
    ] {
        let schema = compiled(&schema);
        let mut violations = Vec::new();
        let info = allocation_counter::measure(|| violations = schema.violations(&document));
        let most = if name == "unique" { 16 << 20 } else { 2 << 20 };
        assert!(info.bytes_max < most, "{name}: {} bytes", info.bytes_max);
        assert!((1..=Rejection::MAX_VIOLATIONS + 1).contains(&violations.len()), "{name}");
        let expected = match name {
            "items" => "type",
            "anyOf" => "any_of",
            "oneOf" | "root" => "one_of",
            "unique" => "unique_items",
            _ => "additional_items",
        };
        assert!(
            violations.iter().all(|one| [expected, "minimum"].contains(&one.code())),
            "{name}: {violations:?}"
        );
    }
}

#[tokio::test]
async fn val_06_of_a_large_document_the_first_mistakes_are_told_and_no_others() {
    let schema = compiled(&json!({
        "prefixItems": [{ "const": 0 }],
        "items": { "items": { "type": "string" } },
        "minItems": 1,
        "contains": { "const": "there" },
    }));
    let mut document = all_wrong();
    document[0] = json!("first");
    document[51] = json!("there");
    let answer = send(&JsonSchemaLayer::new(schema), post(document.to_string())).await;
    let expected: Vec<_> = (0..32).map(|at| format!("#/1/{at} type")).collect();
    assert_eq!((answer.status(), answer.errors()), (422, expected));
    assert_eq!(answer.problem()["truncated"], true);
}

#[test]
fn val_04_a_large_document_whose_pattern_does_not_finish_is_refused() {
    let patterns = Patterns::Backtracking { steps: 10 };
    let schema = json!({ "items": { "pattern": "^(a+)+(?!a)$" } });
    let schema = JsonSchema::options().with_patterns(patterns).build(&schema).unwrap();
    let document = |length| Value::Array(vec![json!("a".repeat(length) + "b")]);
    assert_eq!(codes(&schema, &document(30)), ["#/0 pattern"]);
    // To tell where, the engine would copy it.
    assert_eq!(codes(&schema, &document(30_000)), ["# schema"]);
}
