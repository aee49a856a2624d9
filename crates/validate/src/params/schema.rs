//! A schema of all parameters in one place of a request.

use std::{borrow::Cow, fmt};

use bartizan_core::Location;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Findings, Pairs, Plus, Prefer, Shape, Types, decode};
use crate::schema::JsonSchema;

/// A compiled schema of the query, the path, the headers or the cookies of a request: of an object that has each
/// parameter as a member.
///
/// A parameter is a text, and becomes what its schema says: a number where it may be one and looks like JSON's, `true`
/// and `false` where it may be a boolean, and several of one name an array where it may be one. Of others, no
/// parameter may stand there twice.
///
/// ```
/// use bartizan_validate::JsonSchema;
/// use serde_json::json;
///
/// # fn main() -> Result<(), bartizan_validate::SchemaError> {
/// let query = JsonSchema::options().build_parameters(&json!({
///     "properties": {
///         "limit": { "type": "integer", "maximum": 100 },
///         "tag": { "type": "array", "items": { "type": "string" } },
///     },
///     "required": ["limit"],
///     "additionalProperties": false,
/// }))?;
/// # let _ = bartizan_validate::JsonSchemaLayer::for_parameters().with_query(query);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ParameterSchema {
    schema: JsonSchema,
    shape: Shape,
}

impl ParameterSchema {
    pub(crate) fn new(schema: JsonSchema, shape: Shape) -> Self {
        Self { schema, shape }
    }

    /// Judges all parameters of a query; there may be none at all.
    pub(crate) fn query(&self, query: &str, most: usize, findings: &mut Findings) {
        match Pairs::of_query(query, most) {
            Ok(pairs) => self.pairs(Location::Query, pairs.iter(), Plus::Space, findings),
            Err(error) => findings.bad_pairs(Location::Query, error),
        }
    }

    /// Judges what a template's names stand for.
    pub(crate) fn path<'a>(
        &self,
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
        findings: &mut Findings,
    ) {
        self.pairs(Location::Path, parameters, Plus::Literal, findings);
    }

    /// Judges the cookies that the schema names: a site has others, of which a service knows nothing.
    pub(crate) fn cookies(&self, headers: &HeaderMap, most: usize, findings: &mut Findings) {
        match super::cookies(headers, most) {
            Ok(pairs) => {
                let known = pairs.iter().filter(|(name, _)| self.shape.names(name));
                self.pairs(Location::Cookie, known, Plus::Literal, findings);
            }
            Err(error) => findings.bad_pairs(Location::Cookie, error),
        }
    }

    /// Judges the headers that the schema names, in any case. Several lines are several values, and so is a line
    /// with commas, where there can be no other reason for them (RFC 9110 section 5.3).
    pub(crate) fn headers(&self, headers: &HeaderMap, findings: &mut Findings) {
        let mut values = Vec::new();
        for (name, shape) in self.shape.members() {
            let is_list = shape.types.has(Types::ARRAY) && !shape.types.has(Types::SCALAR);
            for line in headers.get_all(name) {
                match std::str::from_utf8(line.as_bytes()) {
                    Ok(text) if is_list => values.extend(text.split(',').map(|item| (name, item.trim()))),
                    Ok(text) => values.push((name, text.trim())),
                    Err(_) => findings.malformed(Location::Header, name, "parameter_encoding", NOT_TEXT),
                }
            }
        }
        self.judge(Location::Header, values.iter().copied(), |text| Some(text.into()), findings);
    }

    fn pairs<'a>(
        &self,
        location: Location,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        plus: Plus,
        findings: &mut Findings,
    ) {
        self.judge(location, pairs, |raw| decode(raw, plus).ok(), findings);
    }

    fn judge<'a>(
        &self,
        location: Location,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        decode: impl Fn(&'a str) -> Option<Cow<'a, str>>,
        findings: &mut Findings,
    ) {
        let mut named: Vec<(&str, Vec<Cow<'_, str>>)> = Vec::new();
        let mut sorted: Vec<_> = pairs.collect();
        // Stable: values of one name stay in their order.
        sorted.sort_by_key(|(name, _)| *name);
        let mut sound = true;
        for (name, raw) in sorted {
            let Some(text) = decode(raw) else {
                findings.malformed(location, name, "parameter_encoding", NOT_DECODABLE);
                sound = false;
                continue;
            };
            match named.last_mut() {
                Some((last, texts)) if *last == name => texts.push(text),
                _ => named.push((name, vec![text])),
            }
        }
        let any = Shape::any();
        let shape = |name: &str| self.shape.member(name).unwrap_or(&any);
        for (name, texts) in &named {
            if texts.len() > 1 && !shape(name).types.has(Types::ARRAY) {
                findings.malformed(location, name, "parameter_repeated", REPEATED);
                sound = false;
            }
        }
        if !sound {
            return;
        }
        let object = |prefer| {
            let member = |(name, texts): &(&str, Vec<Cow<'_, str>>)| {
                ((*name).to_owned(), value(shape(name), texts, prefer))
            };
            Value::Object(named.iter().map(member).collect::<Map<_, _>>())
        };
        let broken = self.schema.broken(&object(Prefer::Typed));
        if broken.is_empty() {
            return;
        }
        if self.shape.is_ambiguous() && self.schema.broken(&object(Prefer::Text)).is_empty() {
            return;
        }
        findings.broken_in_all(location, &broken);
    }
}

pub(crate) const NOT_TEXT: &str = "is not text";
pub(crate) const NOT_DECODABLE: &str = "is not percent-encoded UTF-8";
pub(crate) const REPEATED: &str = "must not be there twice";

fn value(shape: &Shape, texts: &[Cow<'_, str>], prefer: Prefer) -> Value {
    match texts {
        [text] if shape.types.has(Types::SCALAR) => shape.scalar(text, prefer),
        _ => {
            let item = shape.item();
            Value::Array(texts.iter().map(|text| item.scalar(text, prefer)).collect())
        }
    }
}

impl fmt::Debug for ParameterSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterSchema").field("schema", &self.schema).finish_non_exhaustive()
    }
}
