//! The description of an API, and what it refers to.

use std::{borrow::Cow, fmt};

use jsonschema::{Uri, uri};
use serde_json::{Map, Value};

use super::{OpenApiError, yaml};
use crate::{JsonLimits, json, params::Sources};

/// The most references in a row.
const MAX_REFERENCES: usize = 32;

/// All documents; the first describes the API.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    pub(super) list: Vec<Document>,
    /// Schemas that have a URI of their own, which is what references within them are relative to.
    pub(super) ids: Vec<(Place, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Document {
    /// As the user calls it.
    name: String,
    pub(super) uri: Uri<String>,
    pub(super) root: Value,
}

/// A place in one of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) document: usize,
    /// The document's name, but for the first.
    name: Option<String>,
    /// A JSON Pointer.
    pub(super) pointer: String,
}

impl Place {
    pub(super) fn root() -> Self {
        Self { document: 0, name: None, pointer: String::new() }
    }

    pub(super) fn child(&self, segment: &str) -> Self {
        let segment = segment.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{segment}", self.pointer), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name.as_deref().unwrap_or_default(), self.pointer)
    }
}

impl Documents {
    /// Where the first document is, so that the others can be named relative to it.
    const BASE: &'static str = "bartizan:///openapi";

    pub(super) fn new(root: Value, supplied: Vec<(String, Value)>) -> Result<Self, OpenApiError> {
        let invalid = |name: &str| OpenApiError::new(name, "is no URI of a document");
        let base = uri::from_str(Self::BASE).map_err(|error| invalid(Self::BASE).because(error))?;
        let mut documents = vec![Document { name: String::new(), uri: base.clone(), root }];
        for (name, root) in supplied {
            let uri =
                uri::resolve_against(&base.borrow(), &name).map_err(|error| invalid(&name).because(error))?;
            if uri.has_fragment() || documents.iter().any(|known| known.uri == uri) {
                return Err(invalid(&name));
            }
            documents.push(Document { name, uri, root });
        }
        Ok(Self { list: documents, ids: Vec::new() })
    }

    /// Each document with its URI.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.list.iter().map(|document| (document.uri.as_str(), &document.root))
    }

    pub(super) fn root(&self) -> &Value {
        &self.list[0].root
    }

    pub(super) fn get(&self, place: &Place) -> Option<&Value> {
        self.list.get(place.document)?.root.pointer(&place.pointer)
    }

    pub(super) fn get_mut(&mut self, place: &Place) -> Option<&mut Value> {
        self.list.get_mut(place.document)?.root.pointer_mut(&place.pointer)
    }

    /// The URI of a place, for schemas to refer to.
    pub(super) fn uri_of(&self, place: &Place) -> String {
        /// RFC 3986 `fragment`.
        const FRAGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
            .remove(b'/')
            .remove(b'~')
            .remove(b'-')
            .remove(b'_')
            .remove(b'.');
        let document = self.list[place.document].uri.as_str();
        let (base, pointer) = match self.nearest_id(place) {
            Some((id, uri)) => (uri.as_str(), &place.pointer[id.pointer.len()..]),
            None => (document, place.pointer.as_str()),
        };
        format!("{base}#{}", percent_encoding::utf8_percent_encode(pointer, FRAGMENT))
    }

    /// The place that `reference`, written in `from`, names by a pointer; `None` for an anchor, or when nothing that
    /// was supplied is meant.
    pub(super) fn locate(&self, from: usize, reference: &str) -> Option<Place> {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        let (document, pointer) = if document.is_empty() {
            (from, fragment.into_owned())
        } else {
            let target = uri::resolve_against(&self.list.get(from)?.uri.borrow(), document).ok()?;
            match self.list.iter().position(|known| known.uri == target) {
                Some(document) => (document, fragment.into_owned()),
                None => {
                    let (id, _) = self.ids.iter().find(|(_, uri)| uri == target.as_str())?;
                    (id.document, format!("{}{fragment}", id.pointer))
                }
            }
        };
        let name = (document != 0).then(|| self.list[document].name.clone());
        let place = Place { document, name, pointer };
        self.get(&place).is_some().then_some(place)
    }

    /// The object at `place`, or the one that it refers to.
    pub(super) fn object(&self, mut place: Place) -> Result<(Place, &Map<String, Value>), OpenApiError> {
        for _ in 0..MAX_REFERENCES {
            let Some(Value::Object(object)) = self.get(&place) else {
                return Err(OpenApiError::at(&place, "must be an object"));
            };
            let Some(reference) = object.get("$ref") else { return Ok((place, object)) };
            let target = reference.as_str().and_then(|reference| self.locate(place.document, reference));
            place = target.ok_or_else(|| {
                OpenApiError::at(&place.child("$ref"), "refers to what is not there: nothing is ever fetched")
            })?;
        }
        Err(OpenApiError::at(&place, "refers to itself, or through too many references"))
    }
}

impl Sources for Documents {
    fn find(&self, base: usize, reference: &str) -> Option<(usize, &Value)> {
        let place = self.locate(base, reference)?;
        Some((place.document, self.get(&place)?))
    }
}

/// A document in JSON or YAML.
pub(super) fn parse(text: &str) -> Result<Value, Cow<'static, str>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') && json::check(text.as_bytes(), &JsonLimits::LARGEST).is_ok() {
        return serde_json::from_str(text).map_err(|error| Cow::Owned(error.to_string()));
    }
    yaml::parse(text)
}
