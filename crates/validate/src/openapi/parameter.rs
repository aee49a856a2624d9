//! One parameter of an operation.

use bartizan_core::Location;
use http::{HeaderMap, HeaderName, header};
use serde_json::{Map, Value};

use super::{
    OpenApiError,
    compile::Compiler,
    document::Place,
    style::{Codec, Fault, Source, Style},
};
use crate::{
    JsonLimits, JsonSchema, json,
    media::is_json,
    params::{Findings, NOT_DECODABLE, NOT_TEXT, Pairs, Plus, Prefer, REPEATED, Shape, decode},
    schema::Broken,
};

/// A parameter, and how it is judged.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) location: Location,
    header: Option<HeaderName>,
    /// Which of the path's names it is.
    capture: usize,
    required: bool,
    may_be_empty: bool,
    form: Form,
    pub(super) schema: Option<JsonSchema>,
}

/// How the value is written.
#[derive(Debug)]
enum Form {
    Styled(Codec),
    /// A JSON text.
    Json,
    /// A text of another media type, which is judged as it is.
    Text,
}

/// What a request has outside of its body.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) captures: &'a [&'a str],
    pub(super) query: Pairs<'a>,
    pub(super) cookies: Pairs<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) limits: &'a JsonLimits,
}

impl Parameter {
    /// The parameter that the object at `place` describes; `None` for headers that others decide about. `names` are
    /// those of the path.
    pub(super) fn compile(
        place: &Place,
        object: &Map<String, Value>,
        names: &[&str],
        compiler: &Compiler<'_>,
    ) -> Result<Option<Self>, OpenApiError> {
        let text = |member: &str| object.get(member).and_then(Value::as_str);
        let flag = |member: &str| match object.get(member) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(OpenApiError::at(&place.child(member), "must be true or false")),
        };
        let name =
            text("name").ok_or_else(|| OpenApiError::at(place, "a parameter needs a `name`"))?.to_owned();
        let location = match text("in") {
            Some("query") => Location::Query,
            Some("path") => Location::Path,
            Some("header") => Location::Header,
            Some("cookie") => Location::Cookie,
            _ => {
                return Err(OpenApiError::at(
                    &place.child("in"),
                    "must be `query`, `path`, `header` or `cookie`",
                ));
            }
        };
        let header = match location {
            Location::Header => {
                let header = HeaderName::try_from(&name)
                    .map_err(|_| OpenApiError::at(&place.child("name"), "is no name of a header"))?;
                if [header::ACCEPT, header::CONTENT_TYPE, header::AUTHORIZATION].contains(&header) {
                    return Ok(None);
                }
                Some(header)
            }
            _ => None,
        };
        let required = flag("required")?.unwrap_or(false);
        let mut capture = 0;
        if location == Location::Path {
            capture = names
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| OpenApiError::at(&place.child("name"), "is not in the path"))?;
            if !required {
                return Err(OpenApiError::at(place, "a parameter of a path must be `required`"));
            }
        }
        let may_be_empty = flag("allowEmptyValue")?.unwrap_or(false) && location == Location::Query;
        let (form, schema) = match (object.get("schema"), object.get("content")) {
            (Some(_), None) => {
                let style = match object.get("style") {
                    None => Style::default_of(location),
                    Some(style) => {
                        style.as_str().and_then(|style| Style::named(style, location)).ok_or_else(|| {
                            OpenApiError::at(&place.child("style"), "is no style of parameters in this place")
                        })?
                    }
                };
                let explode = flag("explode")?.unwrap_or(style == Style::Form);
                let (schema, shape) = compiler.parameter(&place.child("schema"))?;
                let codec = Codec {
                    name: name.clone(),
                    style,
                    explode,
                    shape,
                    taken: Vec::new(),
                    plus: plus(location),
                };
                (Form::Styled(codec), Some(schema))
            }
            (None, Some(Value::Object(content))) if content.len() == 1 => {
                let place = place.child("content");
                let (media, _) = content.iter().next().ok_or_else(|| one_of(&place))?;
                let (place, object) = compiler.documents.object(place.child(media))?;
                let schema = match object.get("schema") {
                    Some(_) => Some(compiler.parameter(&place.child("schema"))?.0),
                    None => None,
                };
                let essence = media.split(';').next().unwrap_or_default().trim();
                (if is_json(essence) { Form::Json } else { Form::Text }, schema)
            }
            _ => return Err(one_of(place)),
        };
        Ok(Some(Self { name, location, header, capture, required, may_be_empty, form, schema }))
    }

    /// A property of a form, which is written as a parameter of a query.
    pub(super) fn of_form(name: &str, style: Style, explode: bool, shape: Shape) -> Codec {
        Codec { name: name.to_owned(), style, explode, shape, taken: Vec::new(), plus: Some(Plus::Space) }
    }

    /// Tells the parameter what other parameters of its location are called.
    pub(super) fn leave(&mut self, taken: Vec<String>) {
        if let Form::Styled(codec) = &mut self.form {
            codec.taken = taken;
        }
    }

    /// Whether a pair of the query is this parameter's.
    pub(super) fn claims(&self, name: &str) -> bool {
        match &self.form {
            Form::Styled(codec) => codec.claims(name),
            _ => self.name == name,
        }
    }

    pub(super) fn check(&self, given: &Given<'_>, findings: &mut Findings) {
        let line;
        let source = match self.location {
            Location::Path => given.captures.get(self.capture).map(|text| Source::Text(text)),
            Location::Header => match self.line(given.headers) {
                Ok(found) => {
                    line = found;
                    line.as_deref().map(Source::Text)
                }
                Err((code, detail)) => return findings.malformed(self.location, &self.name, code, detail),
            },
            Location::Cookie => Some(Source::Pairs(&given.cookies)),
            _ => Some(Source::Pairs(&given.query)),
        };
        let found = match source {
            Some(source) => self.judge(source, given.limits, findings),
            None => false,
        };
        if !found && self.required {
            findings.wrong(self.location, &self.name, "required", "is required");
        }
    }

    /// The lines of a header as one (RFC 9110 section 5.3).
    fn line(&self, headers: &HeaderMap) -> Result<Option<String>, (&'static str, &'static str)> {
        let Some(name) = &self.header else { return Ok(None) };
        let mut joined: Option<String> = None;
        for value in headers.get_all(name) {
            let text =
                std::str::from_utf8(value.as_bytes()).map_err(|_| ("parameter_encoding", NOT_TEXT))?.trim();
            match &mut joined {
                None => joined = Some(text.to_owned()),
                Some(_) if !self.may_be_several() => return Err(("parameter_repeated", REPEATED)),
                Some(joined) => {
                    joined.push(',');
                    joined.push_str(text);
                }
            }
        }
        Ok(joined)
    }

    fn may_be_several(&self) -> bool {
        use crate::params::Types;
        match &self.form {
            Form::Styled(codec) => {
                codec.shape.types != Types::ANY
                    && (codec.shape.types.has(Types::ARRAY) || codec.shape.types.has(Types::OBJECT))
            }
            _ => false,
        }
    }

    /// Whether the parameter is there; what is wrong with it is noted.
    fn judge(&self, source: Source<'_>, limits: &JsonLimits, findings: &mut Findings) -> bool {
        let codec = match &self.form {
            Form::Styled(codec) => codec,
            Form::Json | Form::Text => return self.judge_content(source, limits, findings),
        };
        if self.may_be_empty
            && let Source::Pairs(pairs) = source
            && pairs.values(&self.name).eq([""])
        {
            return true;
        }
        let mut first: Option<Trouble> = None;
        for want in codec.wants() {
            let preferences: &[Prefer] =
                if codec.shape.is_ambiguous() { &[Prefer::Typed, Prefer::Text] } else { &[Prefer::Typed] };
            for prefer in preferences {
                let trouble = match codec.read(source, want, *prefer) {
                    Ok(None) => break,
                    Ok(Some(value)) => match self.broken(&value) {
                        broken if broken.is_empty() => return true,
                        broken => Trouble::Broken(broken),
                    },
                    Err(fault) => Trouble::Fault(fault),
                };
                first.get_or_insert(trouble);
            }
        }
        let Some(trouble) = first else { return false };
        match trouble {
            Trouble::Broken(broken) => findings.broken(self.location, &self.name, &broken),
            Trouble::Fault(fault) => {
                let (code, detail) = match fault {
                    Fault::Encoding => ("parameter_encoding", NOT_DECODABLE),
                    Fault::Repeated => ("parameter_repeated", REPEATED),
                    Fault::Syntax => ("parameter_syntax", "is not written in the style that is asked for"),
                };
                findings.malformed(self.location, &self.name, code, detail);
            }
        }
        true
    }

    fn broken(&self, value: &Value) -> Vec<Broken> {
        self.schema.as_ref().map_or_else(Vec::new, |schema| schema.broken(value))
    }

    /// A value in a media type of its own.
    fn judge_content(&self, source: Source<'_>, limits: &JsonLimits, findings: &mut Findings) -> bool {
        let raw = match source {
            Source::Text(text) => text,
            Source::Pairs(pairs) => {
                let mut values = pairs.values(&self.name);
                let Some(first) = values.next() else { return false };
                if values.next().is_some() {
                    findings.malformed(self.location, &self.name, "parameter_repeated", REPEATED);
                    return true;
                }
                first
            }
        };
        let Ok(text) = plus(self.location).map_or(Ok(raw.into()), |plus| decode(raw, plus)) else {
            findings.malformed(self.location, &self.name, "parameter_encoding", NOT_DECODABLE);
            return true;
        };
        let value = if matches!(self.form, Form::Json) {
            match json::check(text.as_bytes(), limits).map(serde_json::from_str) {
                Ok(Ok(value)) => value,
                Ok(Err(_)) => {
                    let detail = "has a number that is out of range";
                    findings.malformed(self.location, &self.name, "json_limit", detail);
                    return true;
                }
                Err(violation) => {
                    let detail = violation.detail().to_owned();
                    findings.malformed(self.location, &self.name, violation.code(), detail);
                    return true;
                }
            }
        } else {
            Value::String(text.into_owned())
        };
        let broken = self.broken(&value);
        findings.broken(self.location, &self.name, &broken);
        true
    }
}

enum Trouble {
    Fault(Fault),
    Broken(Vec<Broken>),
}

/// How the texts of a location are encoded.
fn plus(location: Location) -> Option<Plus> {
    match location {
        Location::Query => Some(Plus::Space),
        Location::Header => None,
        _ => Some(Plus::Literal),
    }
}

fn one_of(place: &Place) -> OpenApiError {
    OpenApiError::at(place, "a parameter needs a `schema`, or a `content` with one media type")
}
