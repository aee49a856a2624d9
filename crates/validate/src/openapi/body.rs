//! The body that an operation takes.

use bartizan_core::Rejection;
use http::{HeaderMap, HeaderValue};
use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{
    OpenApiError, ReadOnly,
    compile::Compiler,
    cut::{self, Path},
    document::Place,
    form::Form,
};
use crate::{
    JsonLimits, JsonSchema, json,
    media::{self, Essence, is_json},
    refusal,
    schema::{READ_ONLY, segments},
};

/// What an operation takes as its body.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) required: bool,
    /// The most telling first.
    media: Vec<Media>,
    /// What a refusal says in `Accept`.
    pub(super) accept: HeaderValue,
}

/// One media type, or a range of them.
#[derive(Debug)]
struct Media {
    /// In lower case, without parameters: `application/json`, `text/*`, `*/*`.
    name: String,
    /// Which of the API's contents, where bodies are read.
    content: Option<usize>,
    has_schema: bool,
}

/// How bodies that are read are judged.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) required: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// JSON, also without a schema.
    Json(Option<JsonSchema>),
    Form(Form),
}

/// What the head says of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// It is read, and judged as this one of the API's contents.
    Content(usize),
    /// It is of a type that the document names, and goes on unread.
    Opaque,
    /// The operation does not take it.
    Refused,
}

impl Body {
    /// The body that the object at `place` describes. What is read is added to `contents`.
    pub(super) fn compile(
        place: &Place,
        object: &Map<String, Value>,
        compiler: &Compiler<'_>,
        contents: &mut Vec<Content>,
    ) -> Result<Self, OpenApiError> {
        let required = object.get("required") == Some(&Value::Bool(true));
        let mut media = Vec::new();
        if let Some(listed) = object.get("content") {
            let place = place.child("content");
            let Value::Object(listed) = listed else {
                return Err(OpenApiError::at(&place, "must be an object"));
            };
            for (name, _) in listed {
                let (place, object) = compiler.documents.object(place.child(name))?;
                let name = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                if !media::is_range(&name) {
                    return Err(OpenApiError::at(&place, "is no media type, and no range of them"));
                }
                let schema_place = place.child("schema");
                let has_schema = object.contains_key("schema");
                let kind = if name == FORM {
                    has_schema.then(|| Form::compile(&place, object, compiler)).transpose()?.map(Kind::Form)
                } else if is_json(&name) || name.contains('*') {
                    let schema = has_schema.then(|| compiler.body(&schema_place)).transpose()?;
                    Some(Kind::Json(schema))
                } else {
                    None
                };
                let content = kind.map(|kind| {
                    contents.push(Content { required, kind });
                    contents.len() - 1
                });
                media.push(Media { name, content, has_schema });
            }
        }
        let names: Vec<_> = media.iter().map(|media| media.name.as_str()).collect();
        let accept = HeaderValue::try_from(names.join(", "))
            .map_err(|_| OpenApiError::at(place, "has media types that no header can name"))?;
        media.sort_by_key(|media| media.name.matches('*').count());
        Ok(Self { required, media, accept })
    }

    /// Whether everything that the body may be has a schema.
    pub(super) fn has_schemas(&self) -> bool {
        !self.media.is_empty() && self.media.iter().all(|media| media.has_schema)
    }

    pub(super) fn declared(&self, headers: &HeaderMap) -> Declared {
        let essence = match Essence::of(headers) {
            Ok(Some(essence)) => essence,
            // Nothing that it could be compared with.
            Ok(None) if self.media.is_empty() => return Declared::Opaque,
            Ok(None) | Err(_) => return Declared::Refused,
        };
        if self.media.is_empty() {
            return Declared::Opaque;
        }
        let Some(media) = self.media.iter().find(|media| essence.is(&media.name)) else {
            return Declared::Refused;
        };
        match media.content {
            // A range says nothing of how bodies that are not JSON are read.
            Some(_) if media.name.contains('*') && !essence.is_json() => Declared::Opaque,
            // JSON and forms are UTF-8.
            Some(_) if !essence.is_utf8() => Declared::Refused,
            Some(content) => Declared::Content(content),
            None => Declared::Opaque,
        }
    }
}

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

impl Content {
    pub(super) fn is_json(&self) -> bool {
        matches!(self.kind, Kind::Json(_))
    }

    /// Judges a body; what goes on instead of it, where members were cut out.
    pub(super) fn judge(
        &self,
        bytes: &[u8],
        limits: &JsonLimits,
        read_only: ReadOnly,
    ) -> Result<Option<String>, Rejection> {
        let schema = match &self.kind {
            Kind::Json(schema) => schema,
            Kind::Form(form) => return form.judge(bytes, limits).map(|()| None),
        };
        let (text, tape) = json::check_taped(bytes, limits).map_err(refusal::malformed)?;
        let Some(schema) = schema else { return Ok(None) };
        // Most documents are valid, and to see that takes no more than a list of their values.
        if schema.is_valid(text, &tape) {
            return Ok(None);
        }
        let document: Value = serde_json::from_str(text).map_err(|_| refusal::out_of_range())?;
        let violations = schema.violations(&document);
        if violations.is_empty() {
            return Ok(None);
        }
        if read_only != ReadOnly::Drop {
            return Err(refusal::violates(violations));
        }
        drop_read_only(schema, document, text).map(Some)
    }
}

/// Cuts out what only the service sets. What is left must keep the schema.
fn drop_read_only(schema: &JsonSchema, mut document: Value, text: &str) -> Result<String, Rejection> {
    /// A document tells its errors by the thousand, and each round costs its length.
    const ROUNDS: usize = 16;

    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let (paths, all) = schema.errors(&document, |errors, all| {
            (errors.iter().filter_map(droppable).flatten().collect::<Vec<Path>>(), all)
        });
        if !paths.is_empty() {
            text = cut::cut(&text, &paths);
            document = serde_json::from_str(&text).map_err(|_| refusal::out_of_range())?;
        }
        if all || paths.is_empty() {
            break;
        }
    }
    let violations = schema.violations(&document);
    if violations.is_empty() { Ok(text) } else { Err(refusal::violates(violations)) }
}

/// The members that make up an error, if they are all that does.
fn droppable(error: &ValidationError<'_>) -> Option<Vec<Path>> {
    match error.kind() {
        ValidationErrorKind::Custom { keyword, .. } if keyword == READ_ONLY => {
            Some(vec![segments(error.instance_path().as_str())])
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.iter().find_map(|branch| {
                branch.iter().map(droppable).collect::<Option<Vec<_>>>().map(|all| all.concat())
            })
        }
        _ => None,
    }
}
