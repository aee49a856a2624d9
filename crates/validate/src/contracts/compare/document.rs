//! A schema as a document with places.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Doubt;
use crate::{JsonSchema, contracts::Contract};

/// A schema as a document, and what has to be known of how it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'a> {
    contract: &'a Contract,
    draft: Draft,
    /// It has a base URI of its own somewhere inside, so that references there mean something else.
    rebased: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draft {
    /// 2020-12 and 2019-09: what stands beside `$ref` counts.
    Modern,
    /// 7 and 6: it does not.
    Classic,
    /// 4, or one that is not known.
    Other,
}

/// A schema within a document.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) schema: &'a Value,
    /// Where it stands, as a JSON Pointer.
    pub(super) at: String,
    /// Its cases were told apart already.
    pub(super) split: bool,
}

impl<'a> Document<'a> {
    pub(super) fn of(contract: &'a Contract) -> Self {
        let root = contract.source();
        Self { contract, draft: Draft::of(root), rebased: is_rebased(root, true) }
    }

    pub(super) fn root(&self) -> Node<'a> {
        Node::new(self.contract.source(), String::new())
    }

    /// Whether the proof knows what the keywords of this document mean.
    pub(super) fn is_known(&self) -> bool {
        self.draft != Draft::Other
    }

    /// Whether what stands beside a `$ref` counts.
    pub(super) fn siblings_count(&self) -> bool {
        self.draft == Draft::Modern
    }

    pub(super) fn asserts_formats(&self) -> bool {
        self.contract.options().asserts_formats()
    }

    /// What `reference` leads to, if that is a place in this document.
    pub(super) fn resolve(&self, reference: &Value) -> Option<Node<'a>> {
        let pointer = reference.as_str()?.strip_prefix('#')?;
        // An anchor, an escape of URIs, or a base URI of its own: it may mean another place.
        if self.rebased || pointer.contains('%') || !(pointer.is_empty() || pointer.starts_with('/')) {
            return None;
        }
        let schema = self.contract.source().pointer(pointer)?;
        Some(Node::new(schema, pointer.to_owned()))
    }

    /// The schema at `at`, compiled apart; `None` when it cannot be.
    pub(super) fn compiled(&self, at: &str) -> Option<JsonSchema> {
        const WHOLE: &str = "bartizan:whole";
        if self.rebased || at.contains('%') {
            return None;
        }
        let place = utf8_percent_encode(at, NON_ALPHANUMERIC).to_string().replace("%2F", "/");
        let mut part = json!({ "$ref": format!("{WHOLE}#{place}") });
        let mut whole = self.contract.source().clone();
        if let Some(whole) = whole.as_object_mut() {
            whole.remove("$id");
            if let Some(draft) = whole.get("$schema") {
                part["$schema"] = draft.clone();
            }
        }
        self.contract.options().clone().with_document(WHOLE, whole).build(&part).ok()
    }

    /// Whether patterns mean the same in both.
    pub(super) fn has_patterns_of(&self, other: &Self) -> bool {
        self.contract.options().patterns() == other.contract.options().patterns()
    }
}

impl Draft {
    fn of(root: &Value) -> Self {
        let Some(draft) = root.get("$schema") else { return Self::Modern };
        let Some(uri) = draft.as_str() else { return Self::Other };
        match uri.trim_end_matches('#') {
            "https://json-schema.org/draft/2020-12/schema"
            | "https://json-schema.org/draft/2019-09/schema" => Self::Modern,
            "http://json-schema.org/draft-07/schema" | "http://json-schema.org/draft-06/schema" => {
                Self::Classic
            }
            _ => Self::Other,
        }
    }
}

/// Whether some object below the root has a `$id` of its own. A property of that name is a schema, and no text.
fn is_rebased(value: &Value, root: bool) -> bool {
    match value {
        Value::Object(members) => {
            (!root && members.get("$id").is_some_and(Value::is_string))
                || members.values().any(|member| is_rebased(member, false))
        }
        Value::Array(items) => items.iter().any(|item| is_rebased(item, false)),
        _ => false,
    }
}

impl<'a> Node<'a> {
    fn new(schema: &'a Value, at: String) -> Self {
        Self { schema, at, split: false }
    }

    pub(super) fn object(&self) -> Option<&'a Map<String, Value>> {
        self.schema.as_object()
    }

    pub(super) fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.schema.get(keyword)
    }

    /// The schema under a keyword.
    pub(super) fn child(&self, keyword: &str) -> Option<Self> {
        let schema = self.get(keyword)?;
        Some(Self::new(schema, format!("{}/{}", self.at, escape(keyword))))
    }

    /// The schemas in the array under a keyword.
    pub(super) fn cases(&self, keyword: &str) -> Vec<Self> {
        let cases = self.get(keyword).and_then(Value::as_array).into_iter().flatten();
        let at = |index| format!("{}/{keyword}/{index}", self.at);
        cases.enumerate().map(|(index, schema)| Self::new(schema, at(index))).collect()
    }

    /// The schemas in the object under a keyword, by name.
    pub(super) fn members(&self, keyword: &str) -> Vec<(&'a str, Self)> {
        let members = self.get(keyword).and_then(Value::as_object).into_iter().flatten();
        let at = |name: &str| format!("{}/{keyword}/{}", self.at, escape(name));
        members.map(|(name, schema)| (name.as_str(), Self::new(schema, at(name)))).collect()
    }

    pub(super) fn doubt(&self, why: &'static str) -> Doubt {
        Doubt { at: self.at.clone(), why }
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
