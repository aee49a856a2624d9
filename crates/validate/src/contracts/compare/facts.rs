//! What is known of a message that the older schema accepts.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{
    document::{Document, Node},
    numbers,
};

/// Schemas that one value keeps, all of them. None says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'a>(pub(super) Vec<Node<'a>>);

/// The types a value may have, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    const NAMES: [(&'static str, u8); 7] = [
        ("null", 1),
        ("boolean", 2),
        ("string", 4),
        ("array", 8),
        ("object", 16),
        // A whole number is an integer and a number.
        ("integer", 32),
        ("number", 32 | 64),
    ];
    pub(super) const ALL: Self = Self(127);

    fn of(value: Option<&Value>) -> Self {
        let bits = |name: &str| {
            let known = Self::NAMES.iter().find(|(known, _)| *known == name);
            known.map_or(0, |(_, bits)| *bits)
        };
        match value {
            None => Self::ALL,
            Some(Value::String(name)) => Self(bits(name)),
            Some(Value::Array(names)) => {
                Self(names.iter().filter_map(Value::as_str).map(bits).fold(0, |all, bits| all | bits))
            }
            // It does not compile, and so is not met.
            Some(_) => Self::ALL,
        }
    }

    pub(super) fn within(self, allowed: Self) -> bool {
        self.0 & !allowed.0 == 0
    }

    pub(super) fn may_be(self, name: &str) -> bool {
        self.0 & Self::of(Some(&Value::from(name))).0 != 0
    }

    pub(super) fn is_whole(self) -> bool {
        self.0 & 64 == 0
    }

    pub(super) fn of_keyword(node: &Node<'_>) -> Self {
        Self::of(node.get("type"))
    }
}

impl<'a> Facts<'a> {
    /// With every reference followed and every `allOf` opened. A reference that cannot be followed says nothing.
    pub(super) fn open(self, document: &Document<'a>) -> Self {
        /// More than this is no schema that a person wrote.
        const MOST: usize = 256;
        let mut opened = Vec::new();
        let mut left = self.0;
        while let Some(node) = left.pop() {
            if opened.len() == MOST {
                break;
            }
            if let Some(reference) = node.get("$ref") {
                // Its own loop adds it again and again, up to the bound: it is the same fact each time.
                left.extend(document.resolve(reference));
                if !document.siblings_count() {
                    continue;
                }
            }
            left.extend(node.cases("allOf"));
            opened.push(node);
        }
        Self(opened)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node<'a>> {
        self.0.iter()
    }

    /// Nothing is accepted at all.
    pub(super) fn is_never(&self) -> bool {
        self.nodes().any(|node| *node.schema == Value::Bool(false)) || self.types() == Types(0)
    }

    pub(super) fn types(&self) -> Types {
        Types(self.nodes().map(|node| Types::of_keyword(node).0).fold(Types::ALL.0, |all, bits| all & bits))
    }

    /// The only values that there may be, if they are counted.
    pub(super) fn values(&self) -> Option<Vec<&'a Value>> {
        self.nodes().find_map(|node| {
            let listed = node.get("enum").and_then(Value::as_array).map(|values| values.iter().collect());
            node.get("const").map(|value| vec![value]).or(listed)
        })
    }

    /// Whether some schema has this keyword with this very value.
    pub(super) fn has(&self, keyword: &str, value: &Value) -> bool {
        self.nodes().any(|node| node.get(keyword) == Some(value))
    }

    /// Whether some schema has all of these keywords as `node` has them, or lacks them as `node` does.
    pub(super) fn has_alike(&self, keywords: &[&str], node: &Node<'_>) -> bool {
        self.nodes().any(|old| keywords.iter().all(|keyword| old.get(keyword) == node.get(keyword)))
    }

    /// Whether a bound of one of these keywords is at least as tight as `bound`: [`Ordering::Less`] for upper bounds.
    pub(super) fn is_bound(&self, keyword: &str, tighter: Ordering, bound: &Number) -> bool {
        self.numbers(keyword).any(|known| {
            numbers::compare(known, bound).is_some_and(|order| order == tighter || order == Ordering::Equal)
        })
    }

    /// The same, and equal is not tight enough.
    pub(super) fn is_bound_strictly(&self, keyword: &str, tighter: Ordering, bound: &Number) -> bool {
        self.numbers(keyword).any(|known| numbers::compare(known, bound) == Some(tighter))
    }

    pub(super) fn numbers<'s>(&'s self, keyword: &'s str) -> impl Iterator<Item = &'a Number> + use<'s, 'a> {
        self.nodes().filter_map(move |node| numbers::number(node.get(keyword)))
    }

    pub(super) fn requires(&self, name: &str) -> bool {
        self.required().any(|required| required == name)
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &'a str> {
        let lists = self.nodes().filter_map(|node| node.get("required").and_then(Value::as_array));
        lists.flatten().filter_map(Value::as_str)
    }

    /// The names that the schemas speak of.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<_> =
            self.nodes().flat_map(|node| node.members("properties")).map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What is known of the member `name`; of one that no schema speaks of, for `None`.
    pub(super) fn member(&self, name: Option<&str>) -> Self {
        let of = |node: &Node<'a>| {
            let own = node.members("properties").into_iter().find(|(known, _)| Some(*known) == name);
            match own {
                Some((_, schema)) => Some(schema),
                // A pattern may speak of it, and then this does not.
                None if node.get("patternProperties").is_some() => None,
                None => node.child("additionalProperties"),
            }
        };
        Self(self.nodes().filter_map(of).collect())
    }

    /// What is known of an item, wherever it stands.
    pub(super) fn item(&self) -> Self {
        let plain = self.nodes().filter(|node| node.get("prefixItems").is_none());
        Self(plain.filter_map(|node| node.child("items")).filter(|items| !items.schema.is_array()).collect())
    }

    /// The same facts once for each case of the first schema that has some: one of them holds.
    pub(super) fn split(&self) -> Option<Vec<Self>> {
        let (index, keyword) = self.nodes().enumerate().find_map(|(index, node)| {
            let keyword = ["anyOf", "oneOf"].into_iter().find(|keyword| node.get(keyword).is_some())?;
            (!node.split).then_some((index, keyword))
        })?;
        let case = |case: Node<'a>| {
            let mut facts = self.0.clone();
            facts[index].split = true;
            facts.push(case);
            Self(facts)
        };
        Some(self.0[index].cases(keyword).into_iter().map(case).collect())
    }

    /// Whether no value can keep both, each read in its own document: they share no type, or a member that one must
    /// have has values in each that the other lacks.
    pub(super) fn is_apart(&self, document: &Document<'a>, other: &Self, others: &Document<'a>) -> bool {
        if self.types().0 & other.types().0 == 0 {
            return true;
        }
        let values = |facts: &Self, document, name| facts.member(Some(name)).open(document).values();
        self.types().within(Types(16))
            && self.required().any(|name| match (values(self, document, name), values(other, others, name)) {
                (Some(own), Some(theirs)) => {
                    own.iter().all(|value| !theirs.iter().any(|other| numbers::may_be_same(value, other)))
                }
                _ => false,
            })
    }
}
