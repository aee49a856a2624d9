//! Bodies that are forms: `application/x-www-form-urlencoded`.

use bartizan_core::{Location, Rejection, Violation};
use serde_json::{Map, Value};

use super::{
    OpenApiError,
    compile::Compiler,
    document::Place,
    parameter::Parameter,
    style::{Codec, Fault, Source, Style, Want},
};
use crate::{
    JsonLimits, JsonSchema, json,
    media::is_json,
    params::{NOT_DECODABLE, Pairs, Plus, Prefer, REPEATED, Shape, Types, decode},
    refusal,
};

/// How a form is judged: as an object whose members are its fields.
#[derive(Debug)]
pub(super) struct Form {
    schema: JsonSchema,
    fields: Vec<Field>,
    /// Of fields that have no schema of their own.
    others: Codec,
    ambiguous: bool,
}

/// A field that has a schema.
#[derive(Debug)]
struct Field {
    codec: Codec,
    /// Whether the value is a JSON text.
    json: bool,
}

impl Form {
    pub(super) fn compile(
        place: &Place,
        object: &Map<String, Value>,
        compiler: &Compiler<'_>,
    ) -> Result<Self, OpenApiError> {
        let shape = compiler.shape_of_body(&place.child("schema"));
        let place_of_encoding = place.child("encoding");
        let encodings = object.get("encoding").and_then(Value::as_object);
        let mut fields = Vec::new();
        for (name, shape) in shape.members() {
            let encoding = encodings.and_then(|encodings| encodings.get(name));
            let text =
                |member: &str| encoding.and_then(|encoding| encoding.get(member)).and_then(Value::as_str);
            let style = match text("style") {
                None => Style::Form,
                Some(style) => Style::named(style, Location::Query).ok_or_else(|| {
                    OpenApiError::at(&place_of_encoding.child(name).child("style"), "is no style of forms")
                })?,
            };
            let explode = encoding
                .and_then(|encoding| encoding.get("explode"))
                .and_then(Value::as_bool)
                .unwrap_or(style == Style::Form);
            let styled =
                text("style").is_some() || encoding.is_some_and(|encoding| encoding.get("explode").is_some());
            // Of objects it is the default (OpenAPI 3.1, Encoding Object), unless a style is asked for.
            let json = match text("contentType") {
                Some(media) => is_json(media),
                None => !styled && shape.types == Types::OBJECT,
            };
            fields.push(Field { codec: Parameter::of_form(name, style, explode, shape.clone()), json });
        }
        Ok(Self {
            schema: compiler.body(&place.child("schema"))?,
            fields,
            ambiguous: shape.is_ambiguous(),
            others: Parameter::of_form("", Style::Form, true, shape),
        })
    }

    pub(super) fn judge(&self, bytes: &[u8], limits: &JsonLimits) -> Result<(), Rejection> {
        let whole =
            |code, detail: &'static str| refusal::malformed(Violation::in_body([""; 0], code, detail));
        let text = std::str::from_utf8(bytes).map_err(|_| whole("form_encoding", "is not UTF-8"))?;
        let pairs = Pairs::of_query(text, limits.max_members()).map_err(|error| match error {
            crate::params::BadPairs::Name => whole("form_encoding", "has a name that cannot be decoded"),
            crate::params::BadPairs::TooMany(most) => refusal::malformed(Violation::in_body(
                [""; 0],
                "form_limit",
                format!("too many fields: at most {most} allowed"),
            )),
        })?;
        let violations = self.schema.violations(&self.read(&pairs, limits, Prefer::Typed)?);
        if violations.is_empty() {
            return Ok(());
        }
        if self.ambiguous && self.schema.violations(&self.read(&pairs, limits, Prefer::Text)?).is_empty() {
            return Ok(());
        }
        Err(refusal::violates(violations))
    }

    fn read(&self, pairs: &Pairs<'_>, limits: &JsonLimits, prefer: Prefer) -> Result<Value, Rejection> {
        let mut object = Map::new();
        for field in &self.fields {
            if let Some(value) = field.read(pairs, limits, prefer)? {
                object.insert(field.codec.name.clone(), value);
            }
        }
        for (name, raw) in pairs.iter() {
            if self.fields.iter().any(|field| field.codec.claims(name)) {
                continue;
            }
            let any = Shape::any();
            let shape = self.others.shape.member(name).unwrap_or(&any);
            let text = decode(raw, Plus::Space).map_err(|_| faulty(name, Fault::Encoding))?;
            if object.insert(name.to_owned(), shape.scalar(&text, prefer)).is_some() {
                return Err(faulty(name, Fault::Repeated));
            }
        }
        Ok(Value::Object(object))
    }
}

impl Field {
    fn read(
        &self,
        pairs: &Pairs<'_>,
        limits: &JsonLimits,
        prefer: Prefer,
    ) -> Result<Option<Value>, Rejection> {
        let name = &self.codec.name;
        if self.json {
            let mut values = pairs.values(name);
            let Some(raw) = values.next() else { return Ok(None) };
            if values.next().is_some() {
                return Err(faulty(name, Fault::Repeated));
            }
            let text = decode(raw, Plus::Space).map_err(|_| faulty(name, Fault::Encoding))?;
            json::check(text.as_bytes(), limits).map_err(|violation| {
                let detail = violation.detail().to_owned();
                refusal::malformed(Violation::in_body([name.clone()], violation.code(), detail))
            })?;
            return serde_json::from_str(&text).map(Some).map_err(|_| refusal::out_of_range());
        }
        let wants: Vec<Want> = self.codec.wants().collect();
        let mut fault = None;
        for want in wants {
            match self.codec.read(Source::Pairs(pairs), want, prefer) {
                Ok(Some(value)) => return Ok(Some(value)),
                Ok(None) => {}
                Err(found) => fault = fault.or(Some(found)),
            }
        }
        fault.map_or(Ok(None), |fault| Err(faulty(name, fault)))
    }
}

fn faulty(name: &str, fault: Fault) -> Rejection {
    let (code, detail) = match fault {
        Fault::Encoding => ("form_encoding", NOT_DECODABLE),
        Fault::Repeated => ("form_repeated", REPEATED),
        Fault::Syntax => ("form_syntax", "is not written in the style that is asked for"),
    };
    let path = crate::pointer::bounded([name.to_owned().into()]);
    refusal::malformed(Violation::in_body(path, code, detail))
}
