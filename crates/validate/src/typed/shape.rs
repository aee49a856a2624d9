//! Why a document is not of a type.

use std::borrow::Cow;

use bartizan_core::{Location, Rejection, excerpt};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::Broken;
use crate::refusal;

/// Parses once more, noting where: that costs several times the plain parse, and only a refusal pays it.
#[cold]
pub(super) fn explain<T: DeserializeOwned>(text: &str) -> Rejection {
    let mut parser = serde_json::Deserializer::from_str(text);
    let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut parser) {
        Err(error) => (segments(error.path()), error.into_inner()),
        // Only a type whose parsing is not repeatable gets here.
        Ok(_) => (Vec::new(), serde::de::Error::custom("")),
    };
    // The text is JSON; a number too large for its type's parser is all that is left of "syntax".
    if error.classify() != Category::Data {
        return refusal::out_of_range();
    }
    refusal::violates([broken(path, &error.to_string(), Location::Body).at(Location::Body)])
}

pub(super) fn segments(path: &Path) -> Vec<Cow<'static, str>> {
    let names = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(Cow::Owned(index.to_string())),
        Segment::Map { key } => Some(Cow::Owned(key.clone())),
        Segment::Enum { variant } => Some(Cow::Owned(variant.clone())),
        Segment::Unknown => None,
    });
    names.collect()
}

/// What serde's `message` says of the value at `path`. What is missing in a document is told of its parent, and a
/// parameter that is missing by its own name.
pub(super) fn broken(mut path: Vec<Cow<'static, str>>, message: &str, location: Location) -> Broken {
    if location != Location::Body
        && let Some(name) = missing(message)
    {
        path.push(Cow::Owned(name.to_owned()));
    }
    let (code, detail) = describe(message);
    Broken::new(path, code, detail)
}

/// The field that serde misses.
pub(super) fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// A code and a sentence for serde's message, without the caller's value that it repeats.
///
/// What serde expected is text of the program; it stands last, so that nothing of the caller's can look like it.
fn describe(message: &str) -> (&'static str, Cow<'static, str>) {
    let expected = || {
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected)?;
        let end = expected.rfind(" at line ").unwrap_or(expected.len());
        Some(excerpt(&expected[..end]).into_owned())
    };
    let must_be = |otherwise: &'static str| {
        expected().map_or(Cow::Borrowed(otherwise), |expected| Cow::Owned(format!("must be {expected}")))
    };
    if let Some(field) = missing(message) {
        return ("required", Cow::Owned(format!("`{}` is required", excerpt(field))));
    }
    if message.starts_with("unknown field `") {
        return ("unknown_field", Cow::Borrowed("is not a member that is known here"));
    }
    if message.starts_with("unknown variant `") {
        return ("enum", must_be("must be one of the allowed values"));
    }
    if message.starts_with("invalid type: ") {
        return ("type", must_be("is of the wrong type"));
    }
    if message.starts_with("invalid value: ") {
        return ("value", must_be("has a value that is not allowed"));
    }
    if message.starts_with("invalid length ") {
        return ("length", must_be("has the wrong length"));
    }
    if message.starts_with("duplicate field `") {
        return ("duplicate_key", Cow::Borrowed("has two names of one member"));
    }
    let of_text = OF_TEXT.iter().find(|(said, ..)| message == *said);
    of_text.map_or(("invalid", Cow::Borrowed("is not valid")), |(_, code, detail)| {
        (*code, Cow::Borrowed(*detail))
    })
}

/// What the standard library says of texts that should be numbers, and the reader of forms of a name that comes
/// several times and may not.
const OF_TEXT: [(&str, &str, &str); 7] = [
    ("invalid digit found in string", "type", "must be a whole number"),
    ("cannot parse integer from empty string", "type", "must be a whole number"),
    ("number too large to fit in target type", "value", "is too large"),
    ("number too small to fit in target type", "value", "is too small"),
    ("invalid float literal", "type", "must be a number"),
    ("cannot parse float from empty string", "type", "must be a number"),
    ("unsupported value", "duplicate_key", "must be there once"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn val_06_no_value_of_the_callers_is_repeated() {
        for (message, code, detail) in [
            ("invalid type: string \"s3cret\", expected u32 at line 1 column 9", "type", "must be u32"),
            ("invalid value: integer `4711`, expected u8", "value", "must be u8"),
            (
                "invalid type: string \"x, expected y\", expected u32 at line 1 column 2",
                "type",
                "must be u32",
            ),
            ("unknown variant `s3cret`, expected `a` or `b`", "enum", "must be `a` or `b`"),
            ("unknown field `s3cret`, expected `a`", "unknown_field", "is not a member that is known here"),
            ("missing field `a` at line 1 column 2", "required", "`a` is required"),
            ("the caller sent s3cret", "invalid", "is not valid"),
        ] {
            let (seen, text) = describe(message);
            assert_eq!((seen, &*text), (code, detail));
        }
    }
}
