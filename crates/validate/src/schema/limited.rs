//! A document that a schema is asked about until enough is wrong with it.
//!
//! The engine collects all errors, each with the value that is wrong: of a document of some hundred thousand values
//! that is hundreds of MiB. It asks a value for itself when it makes an error, and so the document can count them. When
//! there are enough it plays empty: every walk through it ends, and what is said after that is not believed.

use std::{borrow::Cow, cell::Cell};

use jsonschema::{
    JsonType, ValidationError,
    error::ValidationErrorKind as Kind,
    json::{Array, Json, Node, NodeIdentity, Object, SerdeJson},
};
use serde_json::{Map, Number, Value, map};

use super::unique::are_unique;

/// Documents in this form, to the validator.
pub(crate) struct Limited;

/// How many errors may still be made.
pub(super) struct Budget {
    left: Cell<usize>,
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    value: &'a Value,
    budget: &'a Budget,
    /// What errors at the root show. Nothing is counted there, since their number is the schema's.
    root: Option<&'a Value>,
}

/// What errors show instead of their values, which may be large.
mod stamp {
    use serde_json::Value;

    pub(super) static BEFORE: Value = Value::Null;
    pub(super) static LAST: Value = Value::Bool(true);
    pub(super) static AFTER: Value = Value::Bool(false);
}

impl Budget {
    /// Errors, those within errors too.
    pub(super) const ERRORS: usize = 1024;

    pub(super) fn new() -> Self {
        Self::of(Self::ERRORS)
    }

    fn of(errors: usize) -> Self {
        Self { left: Cell::new(errors) }
    }

    fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    fn spend(&self) -> &'static Value {
        match self.left.get() {
            0 => &stamp::AFTER,
            left => {
                self.left.set(left - 1);
                if left == 1 { &stamp::LAST } else { &stamp::BEFORE }
            }
        }
    }

    /// The errors that can be believed: those up to the last one that was counted. `false` when there may be more.
    pub(super) fn believe<'e, 'i>(
        &self,
        errors: &'e [ValidationError<'i>],
    ) -> (&'e [ValidationError<'i>], bool) {
        if !self.is_spent() {
            return (errors, true);
        }
        let is_after = |error: &ValidationError<'_>| **error.instance() == stamp::AFTER;
        let last = errors.iter().position(holds_last).or_else(|| {
            // It counts the items that it is about, before itself.
            let at = errors.iter().position(is_after)?;
            matches!(errors[at].kind(), Kind::UnevaluatedItems { .. }).then_some(at)
        });
        (last.map_or(&[], |last| &errors[..=last]), false)
    }
}

/// Whether an error is the last that was counted, or was made of it and others.
fn holds_last(error: &ValidationError<'_>) -> bool {
    **error.instance() == stamp::LAST
        || match error.kind() {
            Kind::AnyOf { context }
            | Kind::OneOfNotValid { context }
            | Kind::OneOfMultipleValid { context } => context.iter().flatten().any(holds_last),
            Kind::PropertyNames { error } => holds_last(error),
            _ => false,
        }
}

impl<'a> Asked<'a> {
    /// The whole document, and what errors at its root show.
    pub(super) fn root(value: &'a Value, shown: &'a Value, budget: &'a Budget) -> Self {
        Self { value, budget, root: Some(shown) }
    }

    fn within(self, value: &'a Value) -> Self {
        Self { value, root: None, ..self }
    }

    /// The value, or a null when enough was said.
    fn value(self) -> &'a Value {
        if self.budget.is_spent() { &Value::Null } else { self.value }
    }
}

impl Json for Limited {
    type Node<'a> = Asked<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = SerdeJson::KEYS_PER_LOOKUP;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, run: impl FnOnce(Asked<'_>) -> T) -> T {
        let (value, budget) = (Value::String(string.to_owned()), Budget::new());
        run(Asked { value: &value, budget: &budget, root: None })
    }
}

impl<'a> Node<'a, Limited> for Asked<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        let members = self.value().as_object()?;
        Some(Members { of: *self, members })
    }

    fn as_array(&self) -> Option<Items<'a>> {
        let items = self.value().as_array()?;
        Some(Items { of: *self, items })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.value().as_str().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.value().as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.value().as_bool()
    }

    fn is_null(&self) -> bool {
        self.value().is_null()
    }

    fn is_number(&self) -> bool {
        self.value().is_number()
    }

    fn json_type(&self) -> JsonType {
        self.value().json_type()
    }

    fn string_length(&self) -> Option<u64> {
        self.value().string_length()
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        self.value().string_length_within(min, max)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.value().equals_value(expected)
    }

    /// Asked for when an error is made.
    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Borrowed(self.root.unwrap_or_else(|| self.budget.spend()))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        self.value.identity()
    }
}

/// An object.
pub(crate) struct Members<'a> {
    of: Asked<'a>,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a, Limited> for Members<'a> {
    type Node = Asked<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<Asked<'a>> {
        Object::get(&self.members, key).map(|value| self.of.within(value))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { of: self.of, members: self.members.iter() }
    }

    fn try_for_each_name_node<B>(
        &self,
        (): &mut (),
        mut run: impl FnMut(Asked<'_>) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        self.members().try_for_each(|(name, _)| {
            run(Asked { value: &Value::String(name.to_owned()), budget: self.of.budget, root: None })
        })
    }
}

/// The members of an object.
pub(crate) struct MembersIter<'a> {
    of: Asked<'a>,
    members: map::Iter<'a>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Asked<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next().filter(|_| !self.of.budget.is_spent())?;
        Some((name, self.of.within(value)))
    }
}

/// An array.
pub(crate) struct Items<'a> {
    of: Asked<'a>,
    items: &'a [Value],
}

impl<'a> Array<'a, Limited> for Items<'a> {
    type Node = Asked<'a>;
    type ElementsIter = ItemsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter { of: self.of, items: self.items.iter() }
    }

    fn is_unique(&self) -> bool {
        are_unique::<Limited>(self)
    }
}

/// The items of an array.
pub(crate) struct ItemsIter<'a> {
    of: Asked<'a>,
    items: std::slice::Iter<'a, Value>,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Asked<'a>;

    fn next(&mut self) -> Option<Asked<'a>> {
        self.items.next().filter(|_| !self.of.budget.is_spent()).map(|value| self.of.within(value))
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::{ErrorIterator, Validator};
    use serde_json::json;

    use super::*;
    use crate::schema::samples;

    /// What an error says, but for the value that it is about.
    fn told<'i>(errors: impl IntoIterator<Item = &'i ValidationError<'i>>) -> Vec<String> {
        let told = |error: &ValidationError<'_>| {
            let (place, keyword) = (error.instance_path().as_str(), error.schema_path().as_str());
            format!("{place} {keyword}")
        };
        errors.into_iter().map(told).collect()
    }

    /// How many errors there are, those within errors too.
    fn count(error: &ValidationError<'_>) -> usize {
        1 + match error.kind() {
            Kind::AnyOf { context }
            | Kind::OneOfNotValid { context }
            | Kind::OneOfMultipleValid { context } => context.iter().flatten().map(count).sum(),
            Kind::PropertyNames { error } => count(error),
            _ => 0,
        }
    }

    #[test]
    fn val_06_what_is_told_first_is_what_would_be_told() {
        let limited = |schema: &Value| -> Validator<Limited> {
            jsonschema::options_for().should_validate_formats(true).build(schema).expect("a schema")
        };
        let plain = |schema: &Value| -> Validator {
            jsonschema::options().should_validate_formats(true).build(schema).expect("a schema")
        };
        // Of these, a null is wrong wherever the walk ended.
        let is_some = json!({ "anyOf": [{ "type": "array" }, { "not": { "const": null } }] });
        let no_null = json!({ "not": { "type": "null" }, "allOf": [is_some] });
        let wrong_within = [
            json!({ "items": { "type": "number" }, "additionalProperties": { "type": "number" }, "allOf": [no_null] }),
            json!({
                "type": ["array", "object", "string", "boolean"],
                "items": { "$ref": "#" },
                "additionalProperties": { "$ref": "#" },
                "not": { "enum": [null, "a"] },
                "oneOf": [{ "type": "array" }, { "type": "object" }, { "minLength": 2 }],
            }),
        ];
        let schemas = samples::schemas().into_iter().chain(wrong_within);
        let schemas: Vec<_> = schemas.map(|schema| (limited(&schema), plain(&schema))).collect();
        // A compiled schema may not be unwound through, as far as the compiler knows.
        let schemas = std::panic::AssertUnwindSafe(schemas);
        bolero::check!().for_each(|bytes: &[u8]| {
            let schemas = &*schemas;
            let document = samples::document(&mut bytes.iter().copied(), 4);
            for (limited, plain) in schemas {
                let all: Vec<_> = plain.iter_errors(&document).collect();
                let total: usize = all.iter().map(count).sum();
                for most in 1..=total + 1 {
                    let budget = Budget::of(most);
                    let root = Asked::root(&document, &document, &budget);
                    assert_eq!(limited.is_valid(root), all.is_empty());
                    let errors: ErrorIterator<'_> = limited.iter_errors(root);
                    let errors: Vec<_> = errors.collect();
                    let (believed, is_all) = budget.believe(&errors);
                    let enough = believed.iter().map(count).sum::<usize>() >= most.min(total);
                    let (believed, all) = (told(believed), told(&all));
                    assert!(enough, "{most} of {total}: {believed:?} of {all:?} in {document}");
                    assert!(all.starts_with(&believed), "{most}: {believed:?} of {all:?} in {document}");
                    assert!(!is_all || believed == all, "{most}: {believed:?} of {all:?} in {document}");
                }
            }
        });
    }
}
