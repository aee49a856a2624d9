//! The proof that all the older schema accepts, the newer does.

use std::cmp::Ordering::{Greater, Less};

use serde_json::{Number, Value};

use super::{
    Doubt,
    document::{Document, Node},
    facts::{Facts, Types},
    numbers,
};

/// Proves it, or says where the proof ends.
pub(super) fn holds(old: &Document<'_>, new: &Document<'_>) -> Result<(), Doubt> {
    let root = new.root();
    if !(old.is_known() && new.is_known()) {
        return Err(root.doubt("the draft is none of those that are compared"));
    }
    // What stands beside a reference, and which keywords refuse anything.
    if old.siblings_count() != new.siblings_count() {
        return Err(root.doubt("the drafts read their keywords in different ways"));
    }
    Proof { old, new, steps: MOST_STEPS }.implies(Facts(vec![old.root()]), &root, 0)
}

const MOST_STEPS: usize = 20_000;
const MOST_DEPTH: usize = 48;
/// The most values of an `enum` that are tried one by one.
const MOST_VALUES: usize = 1024;

/// Keywords that the proof does not look into: the older schema must have them too, with these others as they are.
const ALIKE: [(&str, &str, &[&str]); 12] = [
    ("pattern", "string", &["pattern"]),
    ("patternProperties", "object", &["patternProperties"]),
    ("propertyNames", "object", &["propertyNames"]),
    ("dependentRequired", "object", &["dependentRequired"]),
    ("dependentSchemas", "object", &["dependentSchemas"]),
    ("dependencies", "object", &["dependencies"]),
    ("contains", "array", &["contains", "minContains", "maxContains"]),
    ("prefixItems", "array", &["prefixItems"]),
    ("not", "", &["not"]),
    ("if", "", &["if", "then", "else"]),
    ("contentEncoding", "string", &["contentEncoding"]),
    ("contentMediaType", "string", &["contentMediaType", "contentEncoding"]),
];

struct Proof<'p, 'a> {
    old: &'p Document<'a>,
    new: &'p Document<'a>,
    steps: usize,
}

impl<'a> Proof<'_, 'a> {
    /// Whether a value of which `facts` are known keeps `node` of the newer schema.
    fn implies(&mut self, facts: Facts<'a>, node: &Node<'a>, depth: usize) -> Result<(), Doubt> {
        if *node.schema == Value::Bool(true) {
            return Ok(());
        }
        let Some(steps) = self.steps.checked_sub(1) else {
            return Err(node.doubt("the schemas are too large to compare"));
        };
        self.steps = steps;
        if depth == MOST_DEPTH {
            return Err(node.doubt("a reference leads back, or the schema is too deep"));
        }
        let facts = facts.open(self.old);
        if facts.is_never() {
            return Ok(());
        }
        if let Some(values) = facts.values()
            && self.accepts_each(&values, node)
        {
            return Ok(());
        }
        match (self.keywords(&facts, node, depth), facts.split()) {
            (Err(_), Some(cases)) => {
                cases.into_iter().try_for_each(|case| self.implies(case, node, depth + 1))
            }
            (verdict, _) => verdict,
        }
    }

    fn accepts_each(&self, values: &[&Value], node: &Node<'a>) -> bool {
        values.len() <= MOST_VALUES
            && self
                .new
                .compiled(&node.at)
                .is_some_and(|schema| values.iter().all(|value| schema.violations(value).is_empty()))
    }

    fn keywords(&mut self, facts: &Facts<'a>, node: &Node<'a>, depth: usize) -> Result<(), Doubt> {
        let Some(keywords) = node.object() else { return Err(node.doubt("nothing is accepted here")) };
        if let Some(reference) = node.get("$ref") {
            let Some(target) = self.new.resolve(reference) else {
                return Err(node.doubt("the reference leads to no place in the document"));
            };
            self.implies(facts.clone(), &target, depth + 1)?;
            if !self.new.siblings_count() {
                return Ok(());
            }
        }
        let types = facts.types();
        for (keyword, value) in keywords {
            let holds = match keyword.as_str() {
                "$dynamicRef" | "$recursiveRef" => false,
                "type" => types.within(Types::of_keyword(node)),
                "enum" | "const" => facts.has(keyword, value) || all_listed(types, value, keyword == "const"),
                "allOf" => {
                    for case in node.cases(keyword) {
                        self.implies(facts.clone(), &case, depth + 1)?;
                    }
                    true
                }
                "anyOf" => self.keeps_a_case(facts, node, depth),
                "oneOf" => self.keeps_one_case(facts, node, depth),
                "required" => {
                    let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                    !types.may_be("object") || names.into_iter().all(|name| facts.requires(name))
                }
                "properties" if types.may_be("object") => {
                    for (name, member) in node.members(keyword) {
                        self.implies(facts.member(Some(name)), &member, depth + 1)?;
                    }
                    true
                }
                "additionalProperties" if types.may_be("object") => {
                    self.other_members(facts, node, depth)?;
                    true
                }
                "items" if types.may_be("array") => self.items(facts, node, value, depth)?,
                "unevaluatedItems" | "unevaluatedProperties" => *value == Value::Bool(true),
                "format" if self.new.asserts_formats() => {
                    !types.may_be("string") || (self.old.asserts_formats() && facts.has(keyword, value))
                }
                other => self.measures(facts, types, node, other),
            };
            if !holds {
                let at = Node { at: format!("{}/{keyword}", node.at), ..node.clone() };
                return Err(at.doubt("it is not known to hold of all that the older one accepts"));
            }
        }
        Ok(())
    }

    /// Keywords that compare the value with a number, and those that must be alike.
    fn measures(&self, facts: &Facts<'a>, types: Types, node: &Node<'a>, keyword: &str) -> bool {
        let value = node.get(keyword).unwrap_or(&Value::Null);
        if let Some((_, kind, alike)) = ALIKE.iter().find(|(known, ..)| *known == keyword) {
            let concerns = kind.is_empty() || types.may_be(kind);
            let same =
                alike.iter().all(|keyword| node.get(keyword).is_none_or(|value| !has_reference(value)))
                    && facts.has_alike(alike, node);
            return !concerns || (same && self.new.has_patterns_of(self.old));
        }
        let Value::Number(bound) = value else {
            return keyword != "uniqueItems"
                || *value == Value::Bool(false)
                || !types.may_be("array")
                || facts.has(keyword, value)
                || facts.is_bound("maxItems", Less, &Number::from(1));
        };
        let none = Number::from(0);
        match keyword {
            "minimum" => {
                !types.may_be("number")
                    || facts.is_bound("minimum", Greater, bound)
                    || facts.is_bound("exclusiveMinimum", Greater, bound)
            }
            "maximum" => {
                !types.may_be("number")
                    || facts.is_bound("maximum", Less, bound)
                    || facts.is_bound("exclusiveMaximum", Less, bound)
            }
            "exclusiveMinimum" => {
                !types.may_be("number")
                    || facts.is_bound("exclusiveMinimum", Greater, bound)
                    || facts.is_bound_strictly("minimum", Greater, bound)
            }
            "exclusiveMaximum" => {
                !types.may_be("number")
                    || facts.is_bound("exclusiveMaximum", Less, bound)
                    || facts.is_bound_strictly("maximum", Less, bound)
            }
            "multipleOf" => {
                !types.may_be("number")
                    || (types.is_whole() && numbers::divides(bound, &Number::from(1)))
                    || facts.numbers(keyword).any(|known| numbers::divides(bound, known))
            }
            "minLength" | "minItems" | "minProperties" => {
                let kind = kind_of(keyword);
                let mut required: Vec<_> = facts.required().collect();
                required.sort_unstable();
                required.dedup();
                let enough = Number::from(required.len());
                *bound == none
                    || !types.may_be(kind)
                    || facts.is_bound(keyword, Greater, bound)
                    || (kind == "object"
                        && numbers::compare(&enough, bound).is_some_and(|order| order != Less))
            }
            "maxLength" | "maxItems" | "maxProperties" => {
                !types.may_be(kind_of(keyword)) || facts.is_bound(keyword, Less, bound)
            }
            _ => true,
        }
    }

    fn keeps_a_case(&mut self, facts: &Facts<'a>, node: &Node<'a>, depth: usize) -> bool {
        let cases = node.cases("anyOf");
        cases.iter().any(|case| self.implies(facts.clone(), case, depth + 1).is_ok())
    }

    /// One case holds, and the others do not.
    fn keeps_one_case(&mut self, facts: &Facts<'a>, node: &Node<'a>, depth: usize) -> bool {
        let value = node.get("oneOf").unwrap_or(&Value::Null);
        if !has_reference(value) && facts.has("oneOf", value) {
            return true;
        }
        let cases = node.cases("oneOf");
        let (old, new) = (self.old, self.new);
        let is_apart = |case: &Node<'a>| facts.is_apart(old, &Facts(vec![case.clone()]).open(new), new);
        let mut near = cases.iter().filter(|case| !is_apart(case));
        match (near.next(), near.next()) {
            (Some(case), None) => self.implies(facts.clone(), case, depth + 1).is_ok(),
            _ => false,
        }
    }

    /// The members that the newer schema has no name for.
    fn other_members(&mut self, facts: &Facts<'a>, node: &Node<'a>, depth: usize) -> Result<(), Doubt> {
        let Some(other) = node.child("additionalProperties") else { return Ok(()) };
        let own = node.get("properties");
        for name in facts.names() {
            if own.is_none_or(|own| own.get(name).is_none()) {
                self.implies(facts.member(Some(name)), &other, depth + 1)?;
            }
        }
        self.implies(facts.member(None), &other, depth + 1)
    }

    fn items(
        &mut self,
        facts: &Facts<'a>,
        node: &Node<'a>,
        value: &Value,
        depth: usize,
    ) -> Result<bool, Doubt> {
        if value.is_array() || node.get("prefixItems").is_some() {
            let alike = ["items", "prefixItems", "additionalItems"];
            let plain =
                alike.iter().all(|keyword| node.get(keyword).is_none_or(|value| !has_reference(value)));
            return Ok(plain && facts.has_alike(&alike, node));
        }
        if facts.is_bound("maxItems", Less, &Number::from(0)) {
            return Ok(true);
        }
        let Some(items) = node.child("items") else { return Ok(true) };
        self.implies(facts.item(), &items, depth + 1).map(|()| true)
    }
}

fn kind_of(keyword: &str) -> &'static str {
    match keyword {
        "minLength" | "maxLength" => "string",
        "minItems" | "maxItems" => "array",
        _ => "object",
    }
}

/// Whether all values of these types are among those of an `enum` or `const`: only null, true and false are so few.
fn all_listed(types: Types, value: &Value, single: bool) -> bool {
    let listed = |wanted: Value| match value {
        Value::Array(values) if !single => values.contains(&wanted),
        other => single && *other == wanted,
    };
    let others = ["string", "array", "object", "number"];
    !others.into_iter().any(|kind| types.may_be(kind))
        && (!types.may_be("null") || listed(Value::Null))
        && (!types.may_be("boolean") || (listed(Value::Bool(true)) && listed(Value::Bool(false))))
}

/// The same words refer to another place in another document.
fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, member)| {
            matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") || has_reference(member)
        }),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}
