//! The boundary, as the `Content-Type` of the request names it.

use http::{HeaderMap, header};

/// A boundary: 1 to 70 characters that RFC 2046 section 5.1.1 allows, the last of which is no space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Boundary(pub(super) String);

/// What the `Content-Type` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Form(Boundary),
    /// A form whose boundary is missing, doubled or not allowed, or two types at once.
    Malformed,
    Other,
}

impl Declared {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(value) = lines.next() else { return Self::Other };
        let text = value.as_bytes();
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let (name, parameters) = text.split_at(end);
        if !name.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data") {
            return Self::Other;
        }
        if lines.next().is_some() {
            return Self::Malformed;
        }
        std::str::from_utf8(parameters).ok().and_then(boundary).map_or(Self::Malformed, Self::Form)
    }
}

/// The one parameter `boundary` of `;name=value;name="value"`.
fn boundary(mut rest: &str) -> Option<Boundary> {
    let mut found = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return found;
        }
        rest = rest.strip_prefix(';')?.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return found;
        }
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            // No character of a boundary is written as an escape.
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find([';', ' ', '\t']).unwrap_or(value.len())),
        };
        rest = after;
        if name.eq_ignore_ascii_case("boundary") {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
            let legal =
                (1..=70).contains(&value.len()) && value.bytes().all(allowed) && !value.ends_with(' ');
            if !legal || found.is_some() {
                return None;
            }
            found = Some(Boundary(value.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn declared(value: &[u8]) -> Declared {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(value).unwrap());
        Declared::of(&headers)
    }

    #[test]
    fn upl_01_a_boundary_is_1_to_70_legal_characters() {
        let seventy = "x".repeat(70);
        for (value, boundary) in [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b\"", "a b"),
            ("multipart/form-data; boundary=\"a:b\" ; x=y;", "a:b"),
            ("multipart/form-data; boundary=----WebKitFormBoundary7MA4", "----WebKitFormBoundary7MA4"),
            (&format!("multipart/form-data; boundary={seventy}"), &seventy),
        ] {
            assert_eq!(declared(value.as_bytes()), Declared::Form(Boundary(boundary.to_owned())), "{value}");
        }
        for value in [
            "multipart/form-data",
            "multipart/form-data;",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=a{b",
            "multipart/form-data; boundary=\"a\tb\"",
            "multipart/form-data; boundary=\"a\\b\"",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=a b",
            "multipart/form-data boundary=a",
            &format!("multipart/form-data; boundary={seventy}x"),
        ] {
            let expected =
                if value.starts_with("multipart/form-data ") { Declared::Other } else { Declared::Malformed };
            assert_eq!(declared(value.as_bytes()), expected, "{value}");
        }
        for value in
            ["application/json", "multipart/mixed; boundary=a", "multipart/form-datax; boundary=a", ""]
        {
            assert_eq!(declared(value.as_bytes()), Declared::Other, "{value}");
        }
    }

    #[test]
    fn upl_01_two_types_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Declared::of(&headers), Declared::Other);
        let value = HeaderValue::from_static("multipart/form-data; boundary=a");
        headers.append(header::CONTENT_TYPE, value.clone());
        headers.append(header::CONTENT_TYPE, value);
        assert_eq!(Declared::of(&headers), Declared::Malformed);
    }

    #[test]
    fn upl_01_any_header_value_is_judged_without_a_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let text = [b"multipart/form-data", bytes].concat();
            if HeaderValue::from_bytes(&text).is_ok()
                && let Declared::Form(Boundary(boundary)) = declared(&text)
            {
                assert!((1..=70).contains(&boundary.len()));
            }
        });
    }
}
