//! What only the service sets: `readOnly` members, as a request may have them.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::{
    document::{Documents, Place},
    grammar::Found,
};
use crate::schema::READ_ONLY;

/// What to do with a member of a request's body that its schema calls `readOnly`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadOnly {
    /// A 422. The default.
    #[default]
    Reject,
    /// The handler does not see it: it is cut out of the body, and every other byte goes on as it came. At most some
    /// 16 000 members are cut out of one body; one with more is refused.
    Drop,
    /// It goes on, if it is what its schema says.
    Pass,
}

/// The most references in a row, and schemas within each other.
const MAX_NESTED: usize = 32;

/// The documents as a request sees them: no `readOnly` member is required, and unless they pass, none may be there.
pub(super) fn for_requests(documents: &Documents, found: &[Found], mode: ReadOnly) -> Documents {
    let mut changed = documents.clone();
    for Found { place, .. } in found {
        let names = names(documents, place, &mut HashSet::new());
        if names.is_empty() {
            continue;
        }
        no_longer_required(&mut changed, place, &names, 0);
        if mode == ReadOnly::Pass {
            continue;
        }
        for name in names {
            if let Some(Value::Object(properties)) = changed.get_mut(&place.child("properties"))
                && let Some(member) = properties.get_mut(&name)
            {
                *member = json!({ READ_ONLY: true });
            }
        }
    }
    changed
}

/// The `readOnly` members of the object at `place`, and of those that it is composed of.
fn names(documents: &Documents, place: &Place, seen: &mut HashSet<Place>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if seen.len() > MAX_NESTED || !seen.insert(place.clone()) {
        return found;
    }
    let Some(Value::Object(schema)) = documents.get(place) else { return found };
    if let Some(Value::Object(properties)) = schema.get("properties") {
        let place = place.child("properties");
        found
            .extend(properties.keys().filter(|name| is_read_only(documents, &place.child(name), 0)).cloned());
    }
    for part in parts(documents, place) {
        found.append(&mut names(documents, &part, seen));
    }
    found
}

fn is_read_only(documents: &Documents, place: &Place, depth: usize) -> bool {
    depth < MAX_NESTED
        && (documents.get(place).and_then(|schema| schema.get("readOnly")) == Some(&Value::Bool(true))
            || parts(documents, place).iter().any(|part| is_read_only(documents, part, depth + 1)))
}

/// The schemas that must all hold where the one at `place` must.
fn parts(documents: &Documents, place: &Place) -> Vec<Place> {
    let Some(schema) = documents.get(place) else { return Vec::new() };
    let reference = schema.get("$ref").and_then(Value::as_str);
    let referred = reference.and_then(|reference| documents.locate(place.document, reference));
    let all = schema.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
    let all_of = place.child("allOf");
    referred.into_iter().chain((0..all).map(|at| all_of.child(&at.to_string()))).collect()
}

/// Of the schema at `place` and of those written within it.
fn no_longer_required(documents: &mut Documents, place: &Place, names: &BTreeSet<String>, depth: usize) {
    let Some(Value::Object(schema)) = documents.get_mut(place) else { return };
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| name.as_str().is_none_or(|name| !names.contains(name)));
    }
    let all = schema.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
    if depth < MAX_NESTED {
        let all_of = place.child("allOf");
        for at in 0..all {
            no_longer_required(documents, &all_of.child(&at.to_string()), names, depth + 1);
        }
    }
}
