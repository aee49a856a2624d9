//! One thing wrong with a request's input.

use std::borrow::Cow;

/// Where in a request the offending value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Location {
    /// In the body, at a JSON Pointer or protobuf field path.
    Body,
    /// In the query string.
    Query,
    /// In a header.
    Header,
    /// In the path.
    Path,
    /// In a cookie.
    Cookie,
}

impl Location {
    /// The value of the `in` member, as OpenAPI spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Header => "header",
            Self::Path => "path",
            Self::Cookie => "cookie",
        }
    }
}

/// One entry of a problem's `errors`, and of gRPC's `BadRequest`.
///
/// ```
/// use bartizan_core::{Location, Violation};
///
/// let missing = Violation::in_body(["items", "0", "a/b"], "required", "is required");
/// assert_eq!(missing.pointer().unwrap(), "#/items/0/a~1b");
/// let limit = Violation::in_parameter(Location::Query, "limit", "maximum", "must be at most 100");
/// assert_eq!(limit.pointer(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    location: Location,
    /// Path segments of a body value, or the one name of a parameter.
    path: Vec<Cow<'static, str>>,
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Violation {
    /// A value in the body. `path` holds the unescaped member names and indices from the root; an empty path is
    /// the whole body.
    pub fn in_body<P>(path: P, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self
    where
        P: IntoIterator,
        P::Item: Into<Cow<'static, str>>,
    {
        let path = path.into_iter().map(Into::into).collect();
        Self { location: Location::Body, path, code, detail: detail.into() }
    }

    /// A parameter outside the body.
    pub fn in_parameter(
        location: Location,
        name: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { location, path: vec![name.into()], code, detail: detail.into() }
    }

    /// Where the value stands.
    pub fn location(&self) -> Location {
        self.location
    }

    /// What rule it breaks: a stable snake-case name.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The name of a parameter; `None` for a body value.
    pub fn parameter(&self) -> Option<&str> {
        (self.location != Location::Body).then(|| self.path.first().map_or("", |name| name))
    }

    /// The URI-fragment JSON Pointer (RFC 6901 section 6) of a body value; `None` for a parameter.
    pub fn pointer(&self) -> Option<String> {
        /// RFC 3986 `fragment` less what RFC 6901 escapes: everything else is percent-encoded.
        const FRAGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
            .add(b' ')
            .add(b'"')
            .add(b'#')
            .add(b'%')
            .add(b'<')
            .add(b'>')
            .add(b'[')
            .add(b'\\')
            .add(b']')
            .add(b'^')
            .add(b'`')
            .add(b'{')
            .add(b'|')
            .add(b'}');
        if self.location != Location::Body {
            return None;
        }
        let mut pointer = String::from("#");
        for segment in &self.path {
            pointer.push('/');
            let escaped = segment.replace('~', "~0").replace('/', "~1");
            pointer.extend(percent_encoding::utf8_percent_encode(&escaped, FRAGMENT));
        }
        Some(pointer)
    }

    /// The dotted path that gRPC's `BadRequest.FieldViolation.field` wants.
    pub(crate) fn field(&self) -> String {
        self.path.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_07_pointers_are_uri_fragments() {
        for (path, expected) in [
            (vec![], "#"),
            (vec!["a", "b/c"], "#/a/b~1c"),
            (vec!["m~n"], "#/m~0n"),
            (vec!["c%d", "e^f", "g|h", "i\\j", "k\"l", " "], "#/c%25d/e%5Ef/g%7Ch/i%5Cj/k%22l/%20"),
            (vec!["ü"], "#/%C3%BC"),
            (vec![""], "#/"),
        ] {
            assert_eq!(Violation::in_body(path, "x", "y").pointer().unwrap(), expected);
        }
    }
}
