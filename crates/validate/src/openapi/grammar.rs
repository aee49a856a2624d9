//! What stands where in a description of an API: where its schemas are.

use std::collections::HashSet;

use serde_json::Value;

use super::document::{Documents, Place};

/// The kinds of objects that schemas are found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Document,
    Components,
    PathItem,
    Operation,
    Callback,
    /// Headers look the same.
    Parameter,
    /// Request bodies and responses.
    Content,
    MediaType,
    Encoding,
    Schema,
}

/// What a member holds.
#[derive(Clone, Copy, Debug)]
enum Holds {
    One(Kind),
    /// A list, or a map.
    Each(Kind),
}

use Holds::{Each, One};

impl Kind {
    fn members(self) -> &'static [(&'static str, Holds)] {
        match self {
            Self::Document => &[
                ("paths", Each(Self::PathItem)),
                ("webhooks", Each(Self::PathItem)),
                ("components", One(Self::Components)),
            ],
            Self::Components => &[
                ("schemas", Each(Self::Schema)),
                ("responses", Each(Self::Content)),
                ("parameters", Each(Self::Parameter)),
                ("requestBodies", Each(Self::Content)),
                ("headers", Each(Self::Parameter)),
                ("callbacks", Each(Self::Callback)),
                ("pathItems", Each(Self::PathItem)),
            ],
            Self::PathItem => &[
                ("parameters", Each(Self::Parameter)),
                ("get", One(Self::Operation)),
                ("put", One(Self::Operation)),
                ("post", One(Self::Operation)),
                ("delete", One(Self::Operation)),
                ("options", One(Self::Operation)),
                ("head", One(Self::Operation)),
                ("patch", One(Self::Operation)),
                ("trace", One(Self::Operation)),
            ],
            Self::Operation => &[
                ("parameters", Each(Self::Parameter)),
                ("requestBody", One(Self::Content)),
                ("responses", Each(Self::Content)),
                ("callbacks", Each(Self::Callback)),
            ],
            Self::Callback => &[],
            Self::Parameter => &[("schema", One(Self::Schema)), ("content", Each(Self::MediaType))],
            Self::Content => &[("headers", Each(Self::Parameter)), ("content", Each(Self::MediaType))],
            Self::MediaType => &[("schema", One(Self::Schema)), ("encoding", Each(Self::Encoding))],
            Self::Encoding => &[("headers", Each(Self::Parameter))],
            Self::Schema => &[
                ("properties", Each(Self::Schema)),
                ("patternProperties", Each(Self::Schema)),
                ("additionalProperties", One(Self::Schema)),
                ("unevaluatedProperties", One(Self::Schema)),
                ("propertyNames", One(Self::Schema)),
                ("dependentSchemas", Each(Self::Schema)),
                // A list in older drafts.
                ("items", One(Self::Schema)),
                ("prefixItems", Each(Self::Schema)),
                ("additionalItems", One(Self::Schema)),
                ("unevaluatedItems", One(Self::Schema)),
                ("contains", One(Self::Schema)),
                ("contentSchema", One(Self::Schema)),
                ("allOf", Each(Self::Schema)),
                ("anyOf", Each(Self::Schema)),
                ("oneOf", Each(Self::Schema)),
                ("not", One(Self::Schema)),
                ("if", One(Self::Schema)),
                ("then", One(Self::Schema)),
                ("else", One(Self::Schema)),
                ("$defs", Each(Self::Schema)),
                ("definitions", Each(Self::Schema)),
            ],
        }
    }
}

/// A schema, and whether it is no part of another one.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) is_root: bool,
}

/// Every schema of the API: in its document, and in what that refers to.
pub(super) fn schemas(documents: &Documents) -> Vec<Found> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(Place::root(), Kind::Document, true)];
    while let Some((place, kind, is_root)) = open.pop() {
        let Some(value) = documents.get(&place) else { continue };
        if !seen.insert((place.clone(), kind)) {
            continue;
        }
        if kind == Kind::Schema {
            found.push(Found { place: place.clone(), is_root });
        }
        let Value::Object(object) = value else { continue };
        let reference = object.get("$ref").and_then(Value::as_str);
        if let Some(target) = reference.and_then(|reference| documents.locate(place.document, reference)) {
            open.push((target, kind, true));
        }
        let is_root = kind != Kind::Schema;
        if kind == Kind::Callback {
            open.extend(object.keys().map(|name| (place.child(name), Kind::PathItem, is_root)));
        }
        for (name, holds) in kind.members() {
            let Some(value) = object.get(*name) else { continue };
            let place = place.child(name);
            match (holds, value) {
                (Each(kind) | One(kind), Value::Array(items)) => {
                    open.extend((0..items.len()).map(|at| (place.child(&at.to_string()), *kind, is_root)));
                }
                (Each(kind), Value::Object(members)) => {
                    let of_the_standard = |name: &&String| *kind == Kind::Schema || !name.starts_with("x-");
                    let names = members.keys().filter(of_the_standard);
                    open.extend(names.map(|name| (place.child(name), *kind, is_root)));
                }
                (One(kind), _) => open.push((place, *kind, is_root)),
                (Each(_), _) => {}
            }
        }
    }
    found
}
