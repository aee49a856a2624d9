//! What is compatible, what breaks, and what cannot be told.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::Compatibility;
use crate::{Contract, Formats, JsonSchema};

fn contract(version: u32, schema: &Value) -> Contract {
    Contract::new("event", version, schema).unwrap()
}

fn compare(old: &Value, new: &Value) -> Compatibility {
    contract(2, new).accepts_all_of(&contract(1, old))
}

#[track_caller]
fn assert_compatible(old: &Value, new: &Value) {
    assert_eq!(compare(old, new), Compatibility::Compatible, "{old} => {new}");
}

#[track_caller]
fn assert_breaks(old: &Value, new: &Value) {
    let compatibility = compare(old, new);
    let Compatibility::Breaks { example, violations } = &compatibility else {
        panic!("{compatibility:?}: {old} => {new}");
    };
    assert!(JsonSchema::new(old).unwrap().violations(example).is_empty());
    assert_eq!(&JsonSchema::new(new).unwrap().violations(example), violations);
    assert!(!violations.is_empty());
}

#[track_caller]
fn assert_unknown(old: &Value, new: &Value) {
    let compatibility = compare(old, new);
    assert!(matches!(compatibility, Compatibility::Unknown { .. }), "{compatibility:?}: {old} => {new}");
}

fn object(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

#[test]
fn evt_a_new_version_may_ask_for_less() {
    let id = json!({ "id": { "type": "integer", "minimum": 1, "maximum": 9 } });
    let both = json!({ "id": { "type": "integer" }, "note": { "type": "string", "maxLength": 9 } });
    for (old, new) in [
        (object(&["id"], &id), object(&[], &id)),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "type": "number" } }))),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "type": ["integer", "null"] } }))),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "minimum": 0, "exclusiveMaximum": 10 } }))),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "multipleOf": 1 } }))),
        (object(&["id", "note"], &both), object(&["note"], &json!({ "note": { "maxLength": 10 } }))),
        (json!({ "enum": ["a", "b"] }), json!({ "enum": ["a", "b", "c"] })),
        (json!({ "const": "a" }), json!({ "type": "string", "maxLength": 1 })),
        (json!({ "type": "boolean" }), json!({ "enum": [true, false] })),
        (json!({ "multipleOf": 6 }), json!({ "multipleOf": 3 })),
        (
            json!({ "items": { "const": 1 }, "maxItems": 3 }),
            json!({ "items": { "type": "integer" }, "maxItems": 4 }),
        ),
        (json!({ "maxItems": 1 }), json!({ "uniqueItems": true })),
        (json!({ "maxItems": 0 }), json!({ "items": false })),
        (json!(false), json!({ "type": "null" })),
        (json!({ "type": "string" }), json!(true)),
        (json!({ "pattern": "^a", "minLength": 2 }), json!({ "pattern": "^a" })),
        (json!({ "type": "string", "format": "email" }), json!({ "type": "string", "format": "uri" })),
        (json!({ "required": ["a", "b"] }), json!({ "minProperties": 2 })),
    ] {
        assert_compatible(&old, &new);
        assert_compatible(&old, &old);
    }
}

#[test]
fn evt_a_new_version_may_not_ask_for_more() {
    let id = json!({ "id": { "type": "integer", "minimum": 1 } });
    for (old, new) in [
        (object(&[], &id), object(&["id"], &id)),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "type": "string" } }))),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "minimum": 2 } }))),
        (object(&["id"], &id), object(&["id"], &json!({ "id": { "exclusiveMinimum": 1 } }))),
        (object(&["id"], &id), object(&["id"], &json!({ "id": true, "note": { "type": "string" } }))),
        (
            object(&["id"], &id),
            json!({ "type": "object", "properties": { "id": true }, "additionalProperties": false }),
        ),
        (json!({ "type": "number" }), json!({ "type": "integer" })),
        (json!({ "type": ["string", "null"] }), json!({ "type": "string" })),
        (json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })),
        (json!({ "type": "string" }), json!({ "type": "string", "maxLength": 100 })),
        (json!({ "type": "array" }), json!({ "type": "array", "minItems": 1 })),
        (json!({ "items": { "type": "integer" } }), json!({ "items": { "maximum": 7 } })),
        (json!({ "type": "array" }), json!({ "uniqueItems": true })),
        (json!(true), json!(false)),
        (json!({ "multipleOf": 3 }), json!({ "multipleOf": 6 })),
        (
            object(&["a"], &json!({ "a": object(&["b"], &json!({ "b": { "type": "integer" } })) })),
            object(&["a"], &json!({ "a": object(&["b"], &json!({ "b": { "maximum": 5 } })) })),
        ),
        (
            json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
            json!({ "anyOf": [{ "type": "integer" }, { "const": "a" }] }),
        ),
    ] {
        assert_breaks(&old, &new);
    }
}

#[test]
fn evt_references_cases_and_combinations_are_followed() {
    let named = |limit: u32| {
        json!({
            "$defs": { "line": { "type": "object", "properties": { "n": { "maximum": limit, "type": "integer" } } } },
            "properties": { "lines": { "items": { "$ref": "#/$defs/line" } } },
        })
    };
    assert_compatible(&named(5), &named(6));
    assert_breaks(&named(6), &named(5));
    let cases = |names: &[&str]| {
        let case = |name: &&str| json!({ "properties": { "kind": { "const": name } }, "required": ["kind"], "type": "object" });
        json!({ "oneOf": names.iter().map(case).collect::<Vec<_>>() })
    };
    assert_compatible(&cases(&["a", "b"]), &cases(&["a", "b", "c"]));
    assert_breaks(&cases(&["a", "b", "c"]), &cases(&["a", "b"]));
    assert_compatible(
        &json!({ "anyOf": [{ "const": 1 }, { "type": "string" }] }),
        &json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }),
    );
    assert_compatible(
        &json!({ "allOf": [{ "minimum": 3 }, { "maximum": 5 }], "type": "integer" }),
        &json!({ "allOf": [{ "minimum": 2 }, { "type": "number" }] }),
    );
}

#[test]
fn evt_what_is_not_proven_is_not_claimed() {
    let back = |limit: u32| json!({ "properties": { "next": { "$ref": "#" }, "n": { "maximum": limit } } });
    for (old, new) in [
        (back(1), back(1)),
        (json!({ "pattern": "^a" }), json!({ "pattern": "^[a-z]" })),
        (json!({ "type": "string", "pattern": "^[a-z]{3}$" }), json!({ "type": "string", "minLength": 3 })),
        (
            json!({ "$schema": "http://json-schema.org/draft-04/schema#", "type": "integer" }),
            json!({ "$schema": "http://json-schema.org/draft-04/schema#", "type": "integer" }),
        ),
        (
            json!({ "not": { "$ref": "#/$defs/a" }, "$defs": { "a": { "pattern": "x" } } }),
            json!({ "not": { "$ref": "#/$defs/a" }, "$defs": { "a": { "pattern": "x" } } }),
        ),
    ] {
        assert_unknown(&old, &new);
    }
    // What stands beside a reference counts in the newer drafts, and not in the older ones.
    let beside = |draft: &str| json!({ "$schema": draft, "$ref": "#/definitions/a", "maximum": 5, "definitions": { "a": { "type": "integer" } } });
    let most = json!({ "maximum": 5 });
    assert_compatible(&beside("https://json-schema.org/draft/2020-12/schema"), &most);
    assert_breaks(&beside("http://json-schema.org/draft-07/schema#"), &most);
}

#[test]
fn evt_a_format_counts_where_it_is_asserted() {
    let with = |version, schema: &Value| {
        let options = JsonSchema::options().with_formats(Formats::Assert);
        Contract::with_options("event", version, schema, options).unwrap()
    };
    let (plain, email) = (json!({ "type": "string" }), json!({ "type": "string", "format": "email" }));
    let breaks = with(2, &email).accepts_all_of(&with(1, &plain));
    assert!(matches!(breaks, Compatibility::Breaks { .. }), "{breaks:?}");
    assert_eq!(with(2, &email).accepts_all_of(&with(1, &email)), Compatibility::Compatible);
    assert_eq!(with(2, &plain).accepts_all_of(&with(1, &email)), Compatibility::Compatible);
}

/// A schema, made of the bytes that fuzzing gives.
struct Grower<'a>(&'a [u8]);

impl Grower<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn schema(&mut self, depth: usize) -> Value {
        let mut schema = serde_json::Map::new();
        for _ in 0..self.next() % 4 {
            let small = i64::from(self.next() % 5) - 1;
            let count = u64::from(self.next() % 3);
            let (keyword, value) = match self.next() % 24 {
                0 => {
                    ("type", json!(["integer", "string", "object", "array", "null", "number"][self.pick(6)]))
                }
                1 => ("type", json!(["integer", "string", "object"])),
                2 => ("minimum", json!(small)),
                3 => ("maximum", json!(small)),
                4 => ("exclusiveMinimum", json!(small)),
                5 => ("exclusiveMaximum", json!(small)),
                6 => ("minLength", json!(count)),
                7 => ("maxLength", json!(count)),
                8 => ("minItems", json!(count)),
                9 => ("maxItems", json!(count)),
                10 => ("uniqueItems", json!(true)),
                11 => ("required", json!(["a"])),
                12 => ("enum", json!([small, "a", null, [small]])),
                13 => ("const", json!(small)),
                14 => ("multipleOf", json!(count + 1)),
                15 => ("minProperties", json!(count)),
                16 => ("maxProperties", json!(count)),
                17 => ("additionalProperties", json!(small > 1)),
                18 if depth > 0 => ("additionalProperties", self.schema(depth - 1)),
                19 | 20 if depth > 0 => {
                    ("properties", json!({ "a": self.schema(depth - 1), "b": self.schema(depth - 1) }))
                }
                21 if depth > 0 => ("items", self.schema(depth - 1)),
                22 if depth > 0 => {
                    let keyword = ["anyOf", "allOf", "oneOf"][self.pick(3)];
                    (keyword, json!([self.schema(depth - 1), self.schema(depth - 1)]))
                }
                23 if depth > 0 => ("not", self.schema(depth - 1)),
                _ => ("title", json!("")),
            };
            schema.insert(keyword.to_owned(), value);
        }
        Value::Object(schema)
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::from(self.next()) % of
    }

    fn document(&mut self, depth: usize) -> Value {
        match self.next() % 8 {
            0 => Value::Null,
            1 => json!(i64::from(self.next() % 6) - 2),
            2 => json!(f64::from(self.next() % 6) / 2.0),
            3 => json!("a".repeat(self.pick(4))),
            4 | 5 if depth > 0 => (0..self.next() % 4).map(|_| self.document(depth - 1)).collect(),
            6 | 7 if depth > 0 => {
                let names = ["a", "b", "c"];
                let members = names.into_iter().filter(|_| self.0.first().is_some_and(|byte| byte % 3 > 0));
                let members: Vec<_> = members.collect();
                members
                    .into_iter()
                    .map(|name| (name.to_owned(), self.document(depth - 1)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
            _ => json!(self.next().is_multiple_of(2)),
        }
    }
}

#[test]
fn evt_what_is_called_compatible_accepts_every_document_that_the_older_one_does() {
    let (proven, refuted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut grower = Grower(bytes);
        let old = grower.schema(2);
        // Often a variation of the older one: two schemas of chance are hardly ever compatible.
        let new = match grower.next() % 3 {
            0 => grower.schema(2),
            1 => json!({ "anyOf": [old, grower.schema(1)] }),
            _ => {
                let mut new = old.clone();
                if let (Some(new), Value::Object(more)) = (new.as_object_mut(), grower.schema(2)) {
                    new.extend(more);
                }
                new
            }
        };
        let (Ok(older), Ok(newer)) = (Contract::new("e", 1, &old), Contract::new("e", 2, &new)) else {
            return;
        };
        let compatibility = newer.accepts_all_of(&older);
        let accepts =
            |contract: &Contract, document: &Value| contract.schema().violations(document).is_empty();
        match &compatibility {
            Compatibility::Compatible => {
                proven.fetch_add(1, Ordering::Relaxed);
                for _ in 0..24 {
                    let document = grower.document(2);
                    assert!(
                        !accepts(&older, &document) || accepts(&newer, &document),
                        "{old} => {new}: {document}"
                    );
                }
                // What the search for a difference would try is near the bounds, where mistakes are.
                let (old_document, new_document) = (super::Document::of(&older), super::Document::of(&newer));
                for document in super::witness::candidates(&old_document, &new_document) {
                    assert!(
                        !accepts(&older, &document) || accepts(&newer, &document),
                        "{old} => {new}: {document}"
                    );
                }
            }
            Compatibility::Breaks { example, .. } => {
                refuted.fetch_add(1, Ordering::Relaxed);
                assert!(accepts(&older, example) && !accepts(&newer, example));
            }
            Compatibility::Unknown { .. } => {}
        }
    });
    let (proven, refuted) = (proven.into_inner(), refuted.into_inner());
    assert!(proven > 0 && refuted > 0, "it says nothing: {proven} proven, {refuted} refuted");
}
