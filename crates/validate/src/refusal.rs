//! Every refusal of the crate but those of schemas and types.

use bartizan_core::{ExtensionName, Reason, Rejection, Violation};
use http::{HeaderValue, Method, header};

/// The name of the layers, as in metrics.
pub(crate) const LAYER: &str = "validate";

const LIMIT: ExtensionName = ExtensionName::new("limit_bytes");

pub(crate) fn too_large(most: usize) -> Rejection {
    Rejection::new(Reason::ContentTooLarge).with_layer(LAYER).with_extension(LIMIT, most)
}

/// The 415 names what would be accepted where the standards look for it: RFC 9110 section 15.5.16, for PATCH
/// RFC 5789 section 2.2.
pub(crate) fn media_type(method: &Method, accept: HeaderValue) -> Rejection {
    let rejection = Rejection::new(Reason::UnsupportedMediaType).with_layer(LAYER);
    if *method == Method::PATCH {
        return rejection
            .with_header(http::HeaderName::from_static("accept-patch"), accept.clone())
            .with_header(header::ACCEPT, accept);
    }
    rejection.with_header(header::ACCEPT, accept)
}

pub(crate) fn coding() -> Rejection {
    Rejection::new(Reason::UnsupportedContentEncoding)
        .with_layer(LAYER)
        .with_header(header::ACCEPT_ENCODING, crate::coding::Coding::ACCEPTED)
}

pub(crate) fn malformed(violation: Violation) -> Rejection {
    Rejection::new(Reason::MalformedRequest).with_layer(LAYER).with_violation(violation)
}

pub(crate) fn body_missing() -> Rejection {
    malformed(Violation::in_body([""; 0], "required", "a body is required"))
}

#[cfg(feature = "decompress")]
pub(crate) fn not_decodable() -> Rejection {
    malformed(Violation::in_body(
        [""; 0],
        "content_encoding",
        "is not of the coding that Content-Encoding names",
    ))
}

pub(crate) fn unreadable(cause: String) -> Rejection {
    Rejection::new(Reason::MalformedRequest)
        .with_layer(LAYER)
        .with_detail("The request body did not arrive completely.")
        .with_cause(cause)
}

/// Parses, and breaks its schema, its type or its rules.
#[cfg(any(feature = "schema", feature = "tonic", feature = "typed"))]
pub(crate) fn violates(violations: impl IntoIterator<Item = Violation>) -> Rejection {
    let rejection = Rejection::new(Reason::SchemaViolation).with_layer(LAYER);
    violations.into_iter().fold(rejection, Rejection::with_violation)
}

/// JSON as text, with a number that no 64-bit float can hold.
#[cfg(any(feature = "schema", feature = "typed"))]
pub(crate) fn out_of_range() -> Rejection {
    malformed(number_out_of_range())
}

#[cfg(any(feature = "schema", feature = "typed"))]
pub(crate) fn number_out_of_range() -> Violation {
    Violation::in_body([""; 0], "json_limit", "has a number that is out of range")
}
