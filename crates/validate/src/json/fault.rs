//! What can be wrong with a JSON document.

use std::borrow::Cow;

use bartizan_core::Violation;

/// The first fault of a document, and how many bytes in it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    at: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What should have stood there.
    Syntax(&'static str),
    Encoding(&'static str),
    Duplicate,
    /// What there is too much of, and how much there may be.
    Limit(&'static str, usize),
}

impl Fault {
    pub(crate) fn syntax(at: usize, expected: &'static str) -> Self {
        Self { at, kind: Kind::Syntax(expected) }
    }

    pub(crate) fn bom() -> Self {
        Self { at: 0, kind: Kind::Encoding("begins with a byte order mark") }
    }

    pub(crate) fn utf8(at: usize) -> Self {
        Self { at, kind: Kind::Encoding("is not UTF-8") }
    }

    pub(crate) fn surrogate(at: usize) -> Self {
        Self { at, kind: Kind::Encoding("has half of a surrogate pair") }
    }

    pub(crate) fn duplicate(at: usize) -> Self {
        Self { at, kind: Kind::Duplicate }
    }

    pub(crate) fn limit(at: usize, what: &'static str, most: usize) -> Self {
        Self { at, kind: Kind::Limit(what, most) }
    }

    pub(crate) fn violation(self, path: Vec<Cow<'static, str>>) -> Violation {
        let Self { at, kind } = self;
        let (code, detail) = match kind {
            Kind::Syntax(expected) => ("json_syntax", format!("expected {expected} at byte {at}")),
            Kind::Encoding(what) => ("json_encoding", format!("{what} at byte {at}")),
            Kind::Duplicate => ("duplicate_key", format!("a member has this name already, at byte {at}")),
            Kind::Limit(what, most) => ("json_limit", format!("{what} at byte {at}: at most {most} allowed")),
        };
        Violation::in_body(path, code, detail)
    }
}
