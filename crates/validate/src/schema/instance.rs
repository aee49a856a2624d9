//! A document that a schema is asked about without being built: its text, and the [`Tape`] of its values.

use std::borrow::Cow;

use jsonschema::{
    JsonType,
    json::{Array, Json, Node, NodeIdentity, Object, cmp},
};
use serde_json::{Number, Value};

use super::unique::are_unique;
use crate::json::{Entry, Kind, Tape, unescaped};

/// Documents in this form, to the validator.
pub(crate) struct Taped;

/// A document.
pub(crate) struct Document<'a> {
    text: &'a str,
    entries: &'a [Entry],
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(crate) struct Instance<'a> {
    document: &'a Document<'a>,
    at: usize,
}

impl<'a> Document<'a> {
    /// `tape` is that of `text`.
    pub(super) fn new(text: &'a str, tape: &'a Tape) -> Self {
        Self { text, entries: tape.entries() }
    }

    /// The whole document.
    pub(super) fn root(&'a self) -> Instance<'a> {
        Instance { document: self, at: 0 }
    }
}

impl<'a> Instance<'a> {
    #[inline]
    fn entry(self) -> &'a Entry {
        &self.document.entries[self.at]
    }

    #[inline]
    fn raw(self) -> &'a str {
        &self.document.text[self.entry().raw()]
    }

    fn build(self) -> Value {
        match self.entry().kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => number(self.raw()).map_or(Value::Null, Value::Number),
            Kind::String => Value::String(self.raw().to_owned()),
            Kind::Escaped => Value::String(unescaped(self.raw())),
            Kind::Array => Value::Array(Items(self).elements().map(Self::build).collect()),
            Kind::Object => {
                let members = Members(self).members();
                Value::Object(members.map(|(name, value)| (name.to_owned(), value.build())).collect())
            }
        }
    }
}

/// As serde_json reads it; `None` for one that no float can hold, and such a document is unusual.
#[inline]
fn number(raw: &str) -> Option<Number> {
    /// All such are below 2^63.
    const SHORT: usize = 18;
    if raw.len() <= SHORT && raw.bytes().all(|byte| byte.is_ascii_digit()) {
        let value = raw.bytes().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        return Some(Number::from(value));
    }
    serde_json::from_str(raw).ok()
}

impl Json for Taped {
    type Node<'a> = Instance<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    // To look for one member is to go through all of them.
    const KEYS_PER_LOOKUP: usize = 64;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, run: impl FnOnce(Instance<'_>) -> T) -> T {
        let entries = [Entry::new(Kind::String, 0..string.len())];
        run(Document { text: string, entries: &entries }.root())
    }
}

impl<'a> Node<'a, Taped> for Instance<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = Number;

    #[inline]
    fn as_object(&self) -> Option<Members<'a>> {
        (self.entry().kind == Kind::Object).then_some(Members(*self))
    }

    #[inline]
    fn as_array(&self) -> Option<Items<'a>> {
        (self.entry().kind == Kind::Array).then_some(Items(*self))
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.entry().kind {
            Kind::String => Some(Cow::Borrowed(self.raw())),
            Kind::Escaped => Some(Cow::Owned(unescaped(self.raw()))),
            _ => None,
        }
    }

    #[inline]
    fn as_number(&self) -> Option<Number> {
        if self.is_number() { number(self.raw()) } else { None }
    }

    #[inline]
    fn as_boolean(&self) -> Option<bool> {
        match self.entry().kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.entry().kind == Kind::Null
    }

    #[inline]
    fn is_number(&self) -> bool {
        self.entry().kind == Kind::Number
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        match self.entry().kind {
            Kind::Null => JsonType::Null,
            Kind::True | Kind::False => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::String | Kind::Escaped => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    #[inline]
    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let text = self.as_string()?;
        // A character takes one to four bytes.
        let most = text.len() as u64;
        let fewest = most.div_ceil(4);
        if most < min || fewest > max {
            return Some(false);
        }
        let within = |count: u64| (min..=max).contains(&count);
        Some((within(fewest) && within(most)) || within(text.chars().count() as u64))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.entry().kind, expected) {
            (Kind::String, Value::String(expected)) => self.raw() == expected,
            (Kind::String, _) => false,
            // Building another scalar allocates nothing, or little.
            _ => cmp::equal(&self.build(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(self.build())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.entry()).addr()))
    }
}

/// An object.
pub(crate) struct Members<'a>(Instance<'a>);

impl<'a> Object<'a, Taped> for Members<'a> {
    type Node = Instance<'a>;
    // A document that has a name with escapes is unusual.
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.entry().count()
    }

    #[inline]
    fn get(&self, key: &Box<str>) -> Option<Instance<'a>> {
        self.members().find_map(|(name, value)| (*name == **key).then_some(value))
    }

    #[inline]
    fn members(&self) -> MembersIter<'a> {
        MembersIter { next: Instance { at: self.0.at + 1, ..self.0 }, end: self.0.entry().after(self.0.at) }
    }
}

/// The members of an object.
pub(crate) struct MembersIter<'a> {
    next: Instance<'a>,
    end: usize,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Instance<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next.at >= self.end {
            return None;
        }
        let value = Instance { at: self.next.at + 1, ..self.next };
        let name = self.next.raw();
        self.next.at = value.entry().after(value.at);
        Some((name, value))
    }
}

/// An array.
pub(crate) struct Items<'a>(Instance<'a>);

impl<'a> Array<'a, Taped> for Items<'a> {
    type Node = Instance<'a>;
    type ElementsIter = ItemsIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.entry().count()
    }

    #[inline]
    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter { next: Instance { at: self.0.at + 1, ..self.0 }, end: self.0.entry().after(self.0.at) }
    }

    fn is_unique(&self) -> bool {
        are_unique::<Taped>(self)
    }
}

/// The items of an array.
pub(crate) struct ItemsIter<'a> {
    next: Instance<'a>,
    end: usize,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Instance<'a>;

    #[inline]
    fn next(&mut self) -> Option<Instance<'a>> {
        if self.next.at >= self.end {
            return None;
        }
        let item = self.next;
        self.next.at = item.entry().after(item.at);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Formats, JsonSchema, samples},
        *,
    };
    use crate::{JsonLimits, json::check_taped};

    fn taped(text: &str) -> Tape {
        check_taped(text.as_bytes(), &JsonLimits::new()).expect("JSON").1
    }

    fn schemas() -> Vec<JsonSchema> {
        let compile = |schema: &Value| {
            JsonSchema::options().with_formats(Formats::Assert).build(schema).expect("the schema is one")
        };
        samples::schemas().iter().map(compile).collect()
    }

    #[test]
    fn val_04_a_document_that_is_not_built_is_judged_as_one_that_is() {
        // A compiled schema may not be unwound through, as far as the compiler knows.
        let schemas = std::panic::AssertUnwindSafe(schemas());
        bolero::check!().for_each(|bytes: &[u8]| {
            let schemas = &*schemas;
            let value = samples::document(&mut bytes.iter().copied(), 4);
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let tape = taped(&text);
                for (index, schema) in schemas.iter().enumerate() {
                    let expected = schema.violations(&value).is_empty();
                    let seen = schema.is_valid(&text, &tape);
                    assert!(seen == expected || tape.is_unusual(), "schema {index}: {text}");
                }
            }
        });
    }

    #[test]
    fn val_04_a_taped_document_is_the_document() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let value = samples::document(&mut bytes.iter().copied(), 4);
            let text = value.to_string();
            let tape = taped(&text);
            assert_eq!(*Document::new(&text, &tape).root().to_value(), value);
        });
    }

    #[test]
    fn val_04_what_is_unusual_is_built() {
        let wide = |members: usize| {
            let members: Vec<_> = (0..members).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        for (text, expected) in [
            (r#"{"a":["\n",-1.5]}"#, false),
            (r#"{"\u0061":1}"#, true),
            ("[1e5]", true),
            ("[1E400]", true),
            (&wide(64), false),
            (&wide(65), true),
        ] {
            assert_eq!(taped(text).is_unusual(), expected, "{text}");
        }
    }
}
