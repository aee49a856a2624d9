//! What a schema's error says to the caller.

use std::borrow::Cow;

use bartizan_core::{Violation, excerpt};
use jsonschema::{ValidationError, error::TypeKind, error::ValidationErrorKind as Kind};

use crate::pointer;

/// The keyword of a member that a request must not have.
pub(crate) const READ_ONLY: &str = "x-bartizan-read-only";

const BREAKS: &str = "breaks its schema";

/// One thing that a schema found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// From the root of the document to the value.
    pub(crate) path: Vec<Cow<'static, str>>,
    pub(crate) code: &'static str,
    pub(crate) detail: Cow<'static, str>,
    /// The member that the value lacks, if that is what is wrong.
    pub(crate) missing: Option<String>,
}

impl Broken {
    /// What is known of a document whose errors cannot be told.
    pub(super) fn somewhere() -> Self {
        Self { path: Vec::new(), code: "schema", detail: Cow::Borrowed(BREAKS), missing: None }
    }

    pub(crate) fn in_body(self) -> Violation {
        Violation::in_body(pointer::bounded(self.path), self.code, self.detail)
    }
}

/// What `error` stands for: one thing, or one for each member that should not be there.
pub(super) fn of(error: &ValidationError<'_>) -> Vec<Broken> {
    let path = segments(error.instance_path().as_str());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => each(&path, unexpected, "additional_properties"),
        Kind::UnevaluatedProperties { unexpected } => each(&path, unexpected, "unevaluated_properties"),
        kind => {
            let (code, detail) = describe(kind);
            let missing = match kind {
                Kind::Required { property } => property.as_str().map(str::to_owned),
                _ => None,
            };
            vec![Broken { path, code, detail, missing }]
        }
    }
}

/// One for each of the members `names` of the object at `path`.
fn each(path: &[Cow<'static, str>], names: &[String], code: &'static str) -> Vec<Broken> {
    let at = |name: &String| Broken {
        path: path.iter().cloned().chain([Cow::Owned(name.clone())]).collect(),
        code,
        detail: Cow::Borrowed("is not a member that is known here"),
        missing: None,
    };
    // One more than a refusal keeps tells it that there are more.
    names.iter().take(bartizan_core::Rejection::MAX_VIOLATIONS + 1).map(at).collect()
}

/// The segments of a JSON Pointer (RFC 6901).
pub(crate) fn segments(pointer: &str) -> Vec<Cow<'static, str>> {
    let segments = pointer.split('/').skip(1);
    segments.map(|segment| Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))).collect()
}

/// A stable code, and a sentence made of the schema alone.
fn describe(kind: &Kind) -> (&'static str, Cow<'static, str>) {
    let text = Cow::Borrowed::<'static, str>;
    let bound = |words: &str, bound: &dyn std::fmt::Display| Cow::Owned(format!("{words} {bound}"));
    match kind {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            ("required", Cow::Owned(format!("`{}` is required", excerpt(name))))
        }
        Kind::Type { kind } => ("type", types(kind)),
        Kind::Enum { .. } => ("enum", text("must be one of the allowed values")),
        Kind::Constant { .. } => ("const", text("must be the one value that is allowed")),
        Kind::Minimum { limit } => ("minimum", bound("must be at least", limit)),
        Kind::Maximum { limit } => ("maximum", bound("must be at most", limit)),
        Kind::ExclusiveMinimum { limit } => ("exclusive_minimum", bound("must be more than", limit)),
        Kind::ExclusiveMaximum { limit } => ("exclusive_maximum", bound("must be less than", limit)),
        Kind::MultipleOf { multiple_of } => ("multiple_of", bound("must be a multiple of", multiple_of)),
        Kind::MinLength { limit } => ("min_length", bound("must be no shorter than", limit)),
        Kind::MaxLength { limit } => ("max_length", bound("must be no longer than", limit)),
        Kind::MinItems { limit } => ("min_items", bound("fewest items:", limit)),
        Kind::MaxItems { limit } => ("max_items", bound("most items:", limit)),
        Kind::MinProperties { limit } => ("min_properties", bound("fewest members:", limit)),
        Kind::MaxProperties { limit } => ("max_properties", bound("most members:", limit)),
        Kind::UniqueItems => ("unique_items", text("must not have an item twice")),
        Kind::Contains => ("contains", text("must have an item that it lacks")),
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => {
            ("additional_items", text("has too many items"))
        }
        Kind::Pattern { .. } | Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            ("pattern", text("must have the form that is asked for"))
        }
        Kind::Format { format } => {
            ("format", Cow::Owned(format!("must be of the format `{}`", excerpt(format))))
        }
        Kind::ContentEncoding { .. } | Kind::FromUtf8 { .. } => {
            ("content_encoding", text("must be encoded as is asked for"))
        }
        Kind::ContentMediaType { .. } => {
            ("content_media_type", text("must be of the media type that is asked for"))
        }
        Kind::PropertyNames { .. } => ("property_names", text("has a member whose name is not allowed")),
        Kind::AnyOf { .. } => ("any_of", text("is none of what is allowed here")),
        Kind::OneOfNotValid { .. } => ("one_of", text("is none of what is allowed here")),
        Kind::OneOfMultipleValid { .. } => {
            ("one_of", text("is several of what is allowed here, and must be one"))
        }
        Kind::Not { .. } => ("not", text("is what is not allowed here")),
        Kind::Custom { keyword, .. } if keyword == READ_ONLY => {
            ("read_only", text("is set by the service alone"))
        }
        Kind::FalseSchema => ("false_schema", text("must not be here")),
        _ => ("schema", text(BREAKS)),
    }
}

fn types(kind: &TypeKind) -> Cow<'static, str> {
    match kind {
        TypeKind::Single(one) => Cow::Owned(format!("must be of type {one}")),
        TypeKind::Multiple(several) => {
            let names: Vec<_> = several.iter().map(|one| one.to_string()).collect();
            Cow::Owned(format!("must be of type {}", names.join(" or ")))
        }
    }
}
