//! The names that schemas give themselves: `$id`, `$anchor` and their kin.
//!
//! The validator looks for them where a JSON Schema has its schemas. A description of an API has them elsewhere.

use jsonschema::uri;
use serde_json::{Map, Value};

use super::{
    document::{Documents, Place},
    grammar::Found,
};

/// What gives a schema a name that is no pointer.
const NAMES: [&str; 4] = ["$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"];

impl Place {
    /// Whether `self` is `other`, or lies in it.
    fn is_within(&self, other: &Self) -> bool {
        self.document == other.document
            && self
                .pointer
                .strip_prefix(other.pointer.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Documents {
    /// The innermost schema with a URI of its own that `place` is, or lies in.
    pub(super) fn nearest_id(&self, place: &Place) -> Option<&(Place, String)> {
        let around = self.ids.iter().filter(|(id, _)| place.is_within(id));
        around.max_by_key(|(id, _)| id.pointer.len())
    }

    /// Notes the URIs of schemas, and makes references to places in such schemas relative to those URIs.
    pub(super) fn note_ids(&mut self, found: &[Found]) {
        let mut places: Vec<_> = found.iter().map(|found| &found.place).collect();
        // The outer ones first.
        places.sort_by_key(|place| place.pointer.len());
        for place in places {
            let Some(id) = self.get(place).and_then(|schema| schema.get("$id")).and_then(Value::as_str)
            else {
                continue;
            };
            let base = match self.nearest_id(place) {
                Some((_, uri)) => uri.as_str(),
                None => self.list[place.document].uri.as_str(),
            };
            let resolved = uri::from_str(base)
                .and_then(|base| uri::resolve_against(&base.borrow(), id.trim_end_matches('#')));
            // One that is no URI is told of when the schema is compiled.
            if let Ok(uri) = resolved {
                self.ids.push((place.clone(), uri.as_str().to_owned()));
            }
        }
        for Found { place, .. } in found {
            if self.nearest_id(place).is_some() {
                continue;
            }
            let reference = self.get(place).and_then(|schema| schema.get("$ref")).and_then(Value::as_str);
            let target = reference.and_then(|reference| self.locate(place.document, reference));
            let Some(target) = target.filter(|target| self.nearest_id(target).is_some()) else { continue };
            let uri = self.uri_of(&target);
            if let Some(reference) = self.get_mut(place).and_then(|schema| schema.get_mut("$ref")) {
                *reference = Value::String(uri);
            }
        }
    }

    /// Makes schemas known by the names that they give themselves.
    pub(super) fn publish_names(&mut self, found: &[Found]) {
        let roots: Vec<_> = found.iter().filter(|found| found.is_root).map(|found| &found.place).collect();
        for (document, content) in self.list.iter_mut().enumerate() {
            let own = || roots.iter().filter(|place| place.document == document);
            // A document that is a schema is looked through as it is.
            if own().any(|place| place.pointer.is_empty()) {
                continue;
            }
            let named: Vec<_> = own()
                .filter(|place| !place.pointer.starts_with("/$defs/"))
                .filter_map(|place| content.root.pointer(&place.pointer))
                .filter(|schema| has_names(schema))
                .cloned()
                .collect();
            if named.is_empty() {
                continue;
            }
            if let Value::Object(root) = &mut content.root
                && let Value::Object(defs) = root.entry("$defs").or_insert_with(|| Value::Object(Map::new()))
            {
                let name = |at| format!("bartizan {at}");
                defs.extend(named.into_iter().enumerate().map(|(at, schema)| (name(at), schema)));
            }
        }
    }
}

/// How deep a document is, is bounded by its parser.
fn has_names(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            NAMES.iter().any(|name| object.contains_key(*name)) || object.values().any(has_names)
        }
        Value::Array(items) => items.iter().any(has_names),
        _ => false,
    }
}
