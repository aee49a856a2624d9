//! Which media types are read.

use http::{HeaderMap, HeaderValue, header};

use crate::ConfigError;

/// What to do with a body whose declared type is none of those that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherMedia {
    /// 415 with `Accept`, before the body is read.
    Refuse,
    /// It goes on unread, whatever its size: for a layer around routes of many kinds, each of which must look at
    /// the type itself. A body without a type is still refused.
    Pass,
}

/// The media types that are read as JSON.
#[derive(Clone, Debug)]
pub(crate) struct MediaTypes {
    /// In lower case, without parameters.
    names: Vec<String>,
    accept: HeaderValue,
}

/// What the `Content-Type` of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    Json,
    /// JSON by its name, and none of ours: another name, or a charset that is not UTF-8. Some readers take it all the same.
    OtherJson,
    /// Another type.
    Other,
    /// Two types, or none that can be read: nobody can say what a handler would make of it.
    Malformed,
}

impl MediaTypes {
    pub(crate) fn json() -> Self {
        Self {
            names: vec!["application/json".to_owned()],
            accept: HeaderValue::from_static("application/json"),
        }
    }

    #[cfg(feature = "axum")]
    pub(crate) fn form() -> Self {
        const FORM: &str = "application/x-www-form-urlencoded";
        Self { names: vec![FORM.to_owned()], accept: HeaderValue::from_static(FORM) }
    }

    pub(crate) fn add(&mut self, name: &str) -> Result<(), ConfigError> {
        let lower = name.to_ascii_lowercase();
        let is_json = lower.split_once('/').is_some_and(|(kind, subtype)| {
            is_token(kind) && is_token(subtype) && (lower == "application/json" || subtype.ends_with("+json"))
        });
        if !is_json {
            return Err(ConfigError::MediaType(name.to_owned()));
        }
        if !self.names.contains(&lower) {
            self.names.push(lower);
        }
        self.accept = HeaderValue::from_str(&self.names.join(", "))
            .map_err(|_| ConfigError::MediaType(name.to_owned()))?;
        Ok(())
    }

    /// What a refusal says in `Accept`.
    pub(crate) fn accept(&self) -> HeaderValue {
        self.accept.clone()
    }

    pub(crate) fn declared(&self, headers: &HeaderMap) -> Declared {
        let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
        // As nearly everyone writes it.
        if let (Some(value), None) = (lines.next(), lines.next())
            && self.names.iter().any(|known| value.as_bytes() == known.as_bytes())
        {
            return Declared::Json;
        }
        let essence = match Essence::of(headers) {
            Ok(Some(essence)) => essence,
            Ok(None) => return Declared::Nothing,
            Err(Malformed) => return Declared::Malformed,
        };
        let known = self.names.iter().any(|known| essence.name.eq_ignore_ascii_case(known.as_bytes()));
        match (known, essence.is_utf8()) {
            (true, true) => Declared::Json,
            (true, false) => Declared::OtherJson,
            (false, _) if essence.is_json() => Declared::OtherJson,
            (false, _) => Declared::Other,
        }
    }
}

/// The one media type that a `Content-Type` names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Essence<'a> {
    name: &'a [u8],
    parameters: &'a [u8],
}

/// Two types, or none that can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Malformed;

impl<'a> Essence<'a> {
    pub(crate) fn is_json(&self) -> bool {
        std::str::from_utf8(self.name).is_ok_and(is_json)
    }

    /// `None` when there is no such header.
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(value) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(Malformed);
        }
        let value = value.as_bytes();
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (name, parameters) = value.split_at(end);
        let name = name.trim_ascii();
        // `type/subtype`, and one of them: a list is none (RFC 9110 section 8.3).
        if name.iter().filter(|byte| **byte == b'/').count() != 1 || name.contains(&b',') {
            return Err(Malformed);
        }
        Ok(Some(Self { name, parameters }))
    }

    pub(crate) fn is_utf8(&self) -> bool {
        charset_is_utf8(self.parameters)
    }
}

#[cfg(feature = "openapi")]
impl Essence<'_> {
    /// Whether it is of the range, which is in lower case: `application/json`, `text/*`, `*/*`.
    pub(crate) fn is(&self, range: &str) -> bool {
        match range.strip_suffix('*') {
            Some("*/") => true,
            Some(kind) => {
                self.name.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
            }
            None => self.name.eq_ignore_ascii_case(range.as_bytes()),
        }
    }
}

/// Whether a media type is JSON (RFC 8259, RFC 6839 section 3.1).
pub(crate) fn is_json(name: &str) -> bool {
    let suffix = name.len().checked_sub(5).and_then(|start| name.get(start..));
    name.eq_ignore_ascii_case("application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

/// `type/subtype`, `type/*` or `*/*`, in lower case.
#[cfg(feature = "openapi")]
pub(crate) fn is_range(name: &str) -> bool {
    name == "*/*"
        || name
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && (subtype == "*" || is_token(subtype)))
}

fn is_token(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
}

/// JSON is UTF-8 (RFC 8259 section 8.1); a `charset` that says so is harmless, another is a lie or an attack.
fn charset_is_utf8(parameters: &[u8]) -> bool {
    parameters.split(|byte| *byte == b';').all(|parameter| {
        let Some(at) = parameter.iter().position(|byte| *byte == b'=') else { return true };
        let (name, value) = (parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii());
        let value = value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
        !name.eq_ignore_ascii_case(b"charset") || value.eq_ignore_ascii_case(b"utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(value: &[u8]) -> Declared {
        let mut types = MediaTypes::json();
        types.add("application/merge-patch+json").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(value).unwrap());
        types.declared(&headers)
    }

    #[test]
    fn val_01_parameters_and_case_do_not_matter_and_the_charset_does() {
        for value in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; Charset=\"UTF-8\"",
            "application/json; profile=x",
            "application/merge-patch+json",
        ] {
            assert_eq!(declared(value.as_bytes()), Declared::Json, "{value}");
        }
        for value in ["text/json", "application/jsonx", "text/plain", "application/grpc"] {
            assert_eq!(declared(value.as_bytes()), Declared::Other, "{value}");
        }
        for value in [
            "application/problem+json",
            "application/x+JSON",
            "application/grpc+json",
            "application/json;charset=utf-16",
            "application/json; charset=iso-8859-1; charset=utf-8",
        ] {
            assert_eq!(declared(value.as_bytes()), Declared::OtherJson, "{value}");
        }
        for value in ["", "json", "application/json, text/plain", "text/plain, application/json", "a/b/c"] {
            assert_eq!(declared(value.as_bytes()), Declared::Malformed, "{value}");
        }
    }

    #[test]
    fn val_01_two_content_types_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(MediaTypes::json().declared(&headers), Declared::Nothing);
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(MediaTypes::json().declared(&headers), Declared::Malformed);
    }

    #[test]
    fn lay_06_only_json_types_can_be_added() {
        for name in
            ["text/plain", "application/", "json", "application/x json", "application/xml", "a/b/c+json"]
        {
            let error = MediaTypes::json().add(name).unwrap_err();
            assert!(error.to_string().starts_with("media_type: "), "{error}");
        }
    }

    #[test]
    fn val_01_any_header_value_is_judged_without_a_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                headers.insert(header::CONTENT_TYPE, value);
                let _ = MediaTypes::json().declared(&headers);
            }
        });
    }
}
