//! Messages that may show a difference: made of what the schemas speak of.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};

use super::{
    document::{Document, Node},
    facts::Facts,
};

/// The most messages at one place.
const MOST: usize = 384;
const MOST_DEPTH: usize = 6;
/// The longest string or array.
const LONGEST: u64 = 1024;

/// Messages that the older schema may accept and the newer refuse. Whether they do so is for the schemas to say.
pub(super) fn candidates<'a>(old: &Document<'a>, new: &Document<'a>) -> Vec<Value> {
    let mut hints = Hints::default();
    hints.gather(old.root().schema);
    hints.gather(new.root().schema);
    let maker = Maker { old, new, hints };
    maker.values(Facts(vec![old.root()]), Facts(vec![new.root()]), 0)
}

/// The bounds and values that the schemas mention: where they differ, a message next to one of them shows it.
#[derive(Debug, Default)]
struct Hints {
    numbers: Vec<Number>,
    lengths: BTreeSet<u64>,
    values: Vec<Value>,
}

impl Hints {
    const MOST: usize = 24;

    fn gather(&mut self, schema: &Value) {
        match schema {
            Value::Object(members) => {
                for (keyword, value) in members {
                    self.note(keyword, value);
                    self.gather(value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.gather(item)),
            _ => {}
        }
    }

    fn note(&mut self, keyword: &str, value: &Value) {
        match (keyword, value) {
            (
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf",
                Value::Number(bound),
            ) if self.numbers.len() < Self::MOST => {
                self.numbers.push(bound.clone());
            }
            (
                "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties",
                bound,
            ) if self.lengths.len() < Self::MOST => {
                self.lengths.extend(bound.as_u64().filter(|bound| *bound < LONGEST));
            }
            ("const", value) if self.values.len() < Self::MOST => self.values.push(value.clone()),
            ("enum", Value::Array(values)) => {
                let room = Self::MOST.saturating_sub(self.values.len());
                self.values.extend(values.iter().take(room).cloned());
            }
            _ => {}
        }
    }

    /// The hinted lengths and those next to them.
    fn lengths(&self) -> Vec<usize> {
        let near = |length: &u64| [length.saturating_sub(1), *length, length + 1];
        let mut lengths: Vec<_> = self.lengths.iter().flat_map(near).chain([0, 1, 2]).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths.into_iter().filter_map(|length| usize::try_from(length).ok()).collect()
    }

    fn numbers(&self, whole: bool) -> Vec<Value> {
        let mut numbers = vec![json!(1), json!(0), json!(-1)];
        for bound in &self.numbers {
            if let Some(bound) = bound.as_i64() {
                let near = [Some(bound), bound.checked_add(1), bound.checked_sub(1)];
                numbers.extend(near.into_iter().flatten().map(Value::from));
            }
            if !whole && let Some(bound) = bound.as_f64() {
                numbers.extend([bound, bound + 0.5, bound - 0.5].map(Value::from));
            }
        }
        if !whole {
            numbers.push(json!(0.5));
        }
        numbers
    }
}

struct Maker<'m, 'a> {
    old: &'m Document<'a>,
    new: &'m Document<'a>,
    hints: Hints,
}

impl<'a> Maker<'_, 'a> {
    /// Values for a place of which the older schema says `facts` and the newer `others`. Those that keep the plain
    /// bounds of `facts` come first.
    fn values(&self, facts: Facts<'a>, others: Facts<'a>, depth: usize) -> Vec<Value> {
        let (facts, others) = (facts.open(self.old), others.open(self.new));
        if facts.is_never() || depth == MOST_DEPTH {
            return Vec::new();
        }
        if let Some(values) = facts.values() {
            return values.into_iter().take(MOST).cloned().collect();
        }
        if let Some(cases) = facts.split() {
            let room = MOST / cases.len().max(1) + 1;
            let of_case = |case| self.values(case, others.clone(), depth + 1).into_iter().take(room);
            return cases.into_iter().flat_map(of_case).collect();
        }
        let types = facts.types();
        let mut kinds = Vec::new();
        if types.may_be("object") {
            kinds.push(self.objects(&facts, &others, depth));
        }
        if types.may_be("array") {
            kinds.push(self.arrays(&facts, &others, depth));
        }
        if types.may_be("string") {
            let lengths = self.hints.lengths().into_iter();
            kinds.push(lengths.map(|length| Value::from("a".repeat(length))).collect());
        }
        if types.may_be("number") {
            kinds.push(self.hints.numbers(types.is_whole()));
        }
        let plain = [Value::Null, Value::Bool(true), Value::Bool(false)];
        let plain = plain.iter().chain(&self.hints.values).filter(|value| types.may_be(kind(value)));
        kinds.push(plain.cloned().collect());
        let mut values = in_turn(kinds);
        values.sort_by_cached_key(|value| !fits(&facts.0, value));
        values.truncate(MOST);
        values
    }

    fn objects(&self, facts: &Facts<'a>, others: &Facts<'a>, depth: usize) -> Vec<Value> {
        const UNKNOWN: &str = "unknown_member";
        let mut names: BTreeSet<&str> = facts.names().into_iter().chain(others.names()).collect();
        names.extend(facts.required().chain(others.required()));
        names.insert(UNKNOWN);
        let of = |name: &str| {
            let known = |facts: &Facts<'a>| facts.member(Some(name));
            self.values(known(facts), known(others), depth + 1)
        };
        let members: Vec<(&str, Vec<Value>)> = names.into_iter().map(|name| (name, of(name))).collect();
        let least: Map<String, Value> = members
            .iter()
            .filter(|(name, _)| facts.requires(name))
            .filter_map(|(name, values)| Some(((*name).to_owned(), values.first()?.clone())))
            .collect();
        let mut most = least.clone();
        for (name, values) in &members {
            if let Some(first) = values.first().filter(|_| *name != UNKNOWN) {
                most.entry(*name).or_insert_with(|| first.clone());
            }
        }
        let with = |name: &str, value: &Value| {
            let mut object = least.clone();
            object.insert(name.to_owned(), value.clone());
            Value::Object(object)
        };
        let of_member = |(name, values): &(&str, Vec<Value>)| {
            // Of a member that no schema speaks of, one value of each kind is enough.
            let room = if *name == UNKNOWN { 8 } else { MOST };
            values.iter().take(room).map(|value| with(name, value)).collect()
        };
        let mut objects = vec![Value::Object(least.clone()), Value::Object(most)];
        objects.extend(in_turn(members.iter().map(of_member).collect()));
        objects.truncate(MOST);
        objects
    }

    fn arrays(&self, facts: &Facts<'a>, others: &Facts<'a>, depth: usize) -> Vec<Value> {
        let items = self.values(facts.item(), others.item(), depth + 1);
        let Some(first) = items.first() else { return vec![json!([])] };
        let of_length = |length: usize| -> Value {
            let filled = items.iter().chain(std::iter::repeat(first));
            filled.take(length).cloned().collect()
        };
        let repeated = |length: usize| Value::from(vec![first.clone(); length]);
        let lengths = self.hints.lengths();
        let least = lengths.iter().copied().find(|length| fits(&facts.0, &of_length(*length))).unwrap_or(1);
        let with = |item: &Value| {
            let mut array = vec![first.clone(); least.max(1)];
            array[0] = item.clone();
            Value::from(array)
        };
        let mut arrays: Vec<_> = items.iter().take(MOST / 2).map(with).collect();
        arrays.extend(lengths.into_iter().flat_map(|length| [of_length(length), repeated(length)]));
        arrays
    }
}

/// The first of each list, then the second of each, and so on: each has its share of the room.
fn in_turn(lists: Vec<Vec<Value>>) -> Vec<Value> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    while all.len() < MOST {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            break;
        }
    }
    all
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether `value` keeps the bounds that can be seen at a glance: a guess, by which the likely ones come first.
fn fits(facts: &[Node<'_>], value: &Value) -> bool {
    let bound = |node: &Node<'_>, keyword: &str| node.get(keyword).and_then(Value::as_f64);
    let within = |measure: f64, least: &str, most: &str| {
        facts.iter().all(|node| {
            bound(node, least).is_none_or(|least| measure >= least)
                && bound(node, most).is_none_or(|most| measure <= most)
        })
    };
    #[expect(clippy::cast_precision_loss, reason = "a length here is small")]
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            within(number, "minimum", "maximum")
                && facts.iter().all(|node| {
                    bound(node, "exclusiveMinimum").is_none_or(|least| number > least)
                        && bound(node, "exclusiveMaximum").is_none_or(|most| number < most)
                        && bound(node, "multipleOf").is_none_or(|part| number % part == 0.0)
                })
        }
        Value::String(text) => within(text.chars().count() as f64, "minLength", "maxLength"),
        Value::Array(items) => within(items.len() as f64, "minItems", "maxItems"),
        Value::Object(members) => within(members.len() as f64, "minProperties", "maxProperties"),
        _ => true,
    }
}
