//! Of which types the values may be that a schema describes: what a text is read as.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Sets of JSON types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(1 << 1);
    pub(crate) const NUMBER: Self = Self(1 << 2);
    pub(crate) const STRING: Self = Self(1 << 3);
    pub(crate) const ARRAY: Self = Self(1 << 4);
    pub(crate) const OBJECT: Self = Self(1 << 5);
    const NONE: Self = Self(0);
    pub(crate) const ANY: Self = Self(0b11_1111);
    pub(crate) const SCALAR: Self = Self(0b00_1111);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether any of `other` is among these.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "number" | "integer" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::NONE,
        }
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }
}

/// Which type a text is, where it may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// A number or a boolean if it looks like one.
    Typed,
    /// A string.
    Text,
}

/// The types that a schema allows, as far down as parameters reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) types: Types,
    items: Option<Box<Self>>,
    members: BTreeMap<String, Self>,
    /// Of members that have no schema of their own; `None` when there may be none.
    others: Option<Box<Self>>,
}

/// Where the schemas are that a schema refers to.
pub(crate) trait Sources {
    /// The schema that `reference` names in the document `base`, and the document it is in.
    fn find(&self, base: usize, reference: &str) -> Option<(usize, &Value)>;
}

/// No parameter's value is deeper than this; deeper schemas are read as if they allowed anything.
pub(crate) const MAX_DEPTH: usize = 6;
/// The most references in a row, and schemas within `allOf` and its kin.
const MAX_NESTED: usize = 32;
/// The most schemas that are looked at for one shape.
const MAX_SCHEMAS: usize = 10_000;

impl Shape {
    pub(crate) fn any() -> Self {
        Self { types: Types::ANY, items: None, members: BTreeMap::new(), others: None }
    }

    /// The shape that `schema`, in the document `base`, describes.
    pub(crate) fn of(schema: &Value, base: usize, sources: &dyn Sources) -> Self {
        Reader { sources, left: MAX_SCHEMAS }.read(schema, base, 0, 0)
    }

    /// The shape of an array's items.
    pub(crate) fn item(&self) -> Self {
        self.items.as_deref().cloned().unwrap_or_else(Self::any)
    }

    /// The shape of a member of an object; `None` when there may be none of this name.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        self.members.get(name).or(self.others.as_deref())
    }

    /// Members that have a schema of their own.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.members.iter().map(|(name, shape)| (name.as_str(), shape))
    }

    /// Whether a member of this name has a schema of its own.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether members of any name are allowed.
    #[cfg(feature = "openapi")]
    pub(crate) fn is_open(&self) -> bool {
        self.others.is_some()
    }

    /// Whether some text could be of two types.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let both = self.types.has(Types::STRING) && self.types.has(Types::NUMBER.or(Types::BOOLEAN));
        both || self.items.as_deref().is_some_and(Self::is_ambiguous)
            || self.others.as_deref().is_some_and(Self::is_ambiguous)
            || self.members.values().any(Self::is_ambiguous)
    }

    /// What the text of a scalar stands for. One that is of no allowed type stays a string, for the schema to refuse.
    pub(crate) fn scalar(&self, text: &str, prefer: Prefer) -> Value {
        let string = || Value::String(text.to_owned());
        if prefer == Prefer::Text && self.types.has(Types::STRING) {
            return string();
        }
        if self.types.has(Types::BOOLEAN) {
            match text {
                "true" => return Value::Bool(true),
                "false" => return Value::Bool(false),
                _ => {}
            }
        }
        if self.types.has(Types::NUMBER) && looks_like_a_number(text) {
            // A number that no 64-bit float can hold is none.
            return serde_json::from_str(text).map_or_else(|_| string(), Value::Number);
        }
        string()
    }

    fn and(self, other: Self) -> Self {
        let pick = |one: Option<Box<Self>>, two: Option<Box<Self>>| match (one, two) {
            (Some(one), Some(two)) => Some(Box::new(one.and(*two))),
            (one, two) => one.or(two),
        };
        Self {
            types: self.types.and(other.types),
            items: pick(self.items, other.items),
            members: merge(self.members, other.members, Self::and),
            // A schema that allows no others leaves room for those that another one names.
            others: match (self.others, other.others) {
                (Some(one), Some(two)) => Some(Box::new(one.and(*two))),
                _ => None,
            },
        }
    }

    fn or(self, other: Self) -> Self {
        let join = |one: Option<Box<Self>>, two: Option<Box<Self>>| match (one, two) {
            (Some(one), Some(two)) => Some(Box::new(one.or(*two))),
            (one, two) => one.or(two),
        };
        Self {
            types: self.types.or(other.types),
            items: join(self.items, other.items),
            members: merge(self.members, other.members, Self::or),
            others: join(self.others, other.others),
        }
    }
}

fn merge(
    mut one: BTreeMap<String, Shape>,
    two: BTreeMap<String, Shape>,
    with: impl Fn(Shape, Shape) -> Shape,
) -> BTreeMap<String, Shape> {
    for (name, shape) in two {
        let merged = match one.remove(&name) {
            Some(known) => with(known, shape),
            None => shape,
        };
        one.insert(name, merged);
    }
    one
}

fn looks_like_a_number(text: &str) -> bool {
    /// As JSON's default limit. A longer text is no number that anybody means.
    const MAX: usize = 64;
    text.len() <= MAX && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

struct Reader<'a> {
    sources: &'a dyn Sources,
    left: usize,
}

impl Reader<'_> {
    fn read(&mut self, schema: &Value, base: usize, depth: usize, nested: usize) -> Shape {
        let anything = || Shape { others: Some(Box::new(Shape::any())), ..Shape::any() };
        let Value::Object(schema) = schema else {
            return match schema {
                Value::Bool(false) => Shape { types: Types::NONE, ..Shape::any() },
                _ => anything(),
            };
        };
        if self.left == 0 || depth > MAX_DEPTH || nested > MAX_NESTED {
            return anything();
        }
        self.left -= 1;
        let mut shape = self.own(schema, base, depth);
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some((base, found)) = reference.and_then(|reference| self.sources.find(base, reference)) {
            shape = shape.and(self.read(found, base, depth, nested + 1));
        }
        for part in list(schema, "allOf") {
            shape = shape.and(self.read(part, base, depth, nested + 1));
        }
        for keyword in ["anyOf", "oneOf"] {
            let parts: Vec<_> =
                list(schema, keyword).map(|part| self.read(part, base, depth, nested + 1)).collect();
            if let Some(any) = parts.into_iter().reduce(Shape::or) {
                shape = shape.and(any);
            }
        }
        shape
    }

    /// What a schema says without those it refers to.
    fn own(&mut self, schema: &Map<String, Value>, base: usize, depth: usize) -> Shape {
        let mut types = match schema.get("type") {
            Some(Value::String(name)) => Types::named(name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).map(Types::named).fold(Types::NONE, Types::or)
            }
            _ => Types::ANY,
        };
        if schema.contains_key("enum") {
            types = types.and(list(schema, "enum").map(Types::of).fold(Types::NONE, Types::or));
        }
        if let Some(value) = schema.get("const") {
            types = types.and(Types::of(value));
        }
        let items = schema.get("items").filter(|_| types.has(Types::ARRAY));
        let items = items.map(|items| Box::new(self.read(items, base, depth + 1, 0)));
        let mut members = BTreeMap::new();
        let mut others = None;
        if types.has(Types::OBJECT) {
            if let Some(Value::Object(known)) = schema.get("properties") {
                for (name, member) in known {
                    members.insert(name.clone(), self.read(member, base, depth + 1, 0));
                }
            }
            others = match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => None,
                Some(other) => Some(Box::new(self.read(other, base, depth + 1, 0))),
                None => Some(Box::new(Shape::any())),
            };
        }
        Shape { types, items, members, others }
    }
}

fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Root(Value);

    impl Sources for Root {
        fn find(&self, base: usize, reference: &str) -> Option<(usize, &Value)> {
            Some((base, self.0.pointer(reference.strip_prefix('#')?)?))
        }
    }

    fn shape(schema: Value) -> Shape {
        Shape::of(&schema.clone(), 0, &Root(schema))
    }

    #[test]
    fn val_05_a_text_becomes_what_its_schema_says() {
        let union = json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] });
        for (schema, text, expected) in [
            (json!({ "type": "integer" }), "7", json!(7)),
            (json!({ "type": "integer" }), "7.0", json!(7.0)),
            (json!({ "type": "integer" }), "007", json!("007")),
            (json!({ "type": "integer" }), "+7", json!("+7")),
            (json!({ "type": "integer" }), " 7", json!(" 7")),
            (json!({ "type": "integer" }), "", json!("")),
            (json!({ "type": "number" }), "-1.5e3", json!(-1500.0)),
            (json!({ "type": "number" }), "1e999", json!("1e999")),
            (json!({ "type": "number" }), "NaN", json!("NaN")),
            (json!({ "type": "string" }), "7", json!("7")),
            (json!({ "type": "boolean" }), "true", json!(true)),
            (json!({ "type": "boolean" }), "True", json!("True")),
            (json!({ "enum": [1, 2] }), "1", json!(1)),
            (json!({ "const": "1" }), "1", json!("1")),
            (json!({ "type": ["integer", "null"] }), "7", json!(7)),
            (json!({ "allOf": [{ "type": "integer" }, { "minimum": 1 }] }), "7", json!(7)),
            (json!({ "$defs": { "n": { "type": "integer" } }, "$ref": "#/$defs/n" }), "7", json!(7)),
            (union.clone(), "7", json!(7)),
            (json!({}), "7", json!(7)),
        ] {
            assert_eq!(shape(schema.clone()).scalar(text, Prefer::Typed), expected, "{schema} {text}");
        }
        assert!(shape(union.clone()).is_ambiguous());
        assert_eq!(shape(union).scalar("7", Prefer::Text), json!("7"));
    }

    #[test]
    fn val_05_members_and_items_have_shapes_of_their_own() {
        let found = shape(json!({
            "allOf": [{ "properties": { "a": { "type": "integer" } } }],
            "type": "object",
            "properties": { "b": { "type": "array", "items": { "type": "boolean" } } },
            "additionalProperties": false,
        }));
        assert_eq!(found.types, Types::OBJECT);
        assert_eq!(found.member("a").unwrap().types, Types::NUMBER);
        assert_eq!(found.member("b").unwrap().item().types, Types::BOOLEAN);
        assert!(found.member("c").is_none());
    }

    #[test]
    fn val_05_schemas_that_refer_to_themselves_end() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } }, "items": { "$ref": "#" } }),
            json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }, { "type": "integer" }] }),
        ] {
            shape(schema);
        }
    }
}
