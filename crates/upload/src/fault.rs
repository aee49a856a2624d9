//! What is wrong with an upload, and what the caller is told.

use std::borrow::Cow;

use bartizan_core::{ExtensionName, Reason, Rejection, Violation};
use http::{HeaderValue, header};

use crate::form::Malformed;

/// The name of the layer, as in metrics.
pub(crate) const LAYER: &str = "upload";

const LIMIT: ExtensionName = ExtensionName::new("limit_bytes");

/// What is wrong with one file; its code is API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFault {
    /// There is no name, or none that is safe.
    Name,
    /// The name has a second extension that runs or hides something.
    DoubleExtension,
    /// No allowed type has this extension.
    Extension,
    /// The declared type is none that its extension allows.
    MediaType,
    /// The bytes are of another type.
    Content,
    /// The bytes are of a second type too.
    Polyglot,
    Archive(ArchiveFault),
}

/// What is wrong with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArchiveFault {
    /// It is damaged, cut short, or says two things about one entry.
    Malformed,
    /// It is encrypted, or packed in a way that is not looked into.
    Opaque,
    /// Too many entries.
    Entries,
    /// Too large, or too much larger, once unpacked.
    Ratio,
    /// An archive in it, deeper than is allowed.
    Nested,
    /// An entry whose name leads out of the folder it is unpacked to, or is there twice.
    Path,
    /// An entry that is a link or a device.
    Special,
    /// It lacks what makes it a document of its type, or has what does not belong there.
    Document,
}

impl FileFault {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Name => "file_name",
            Self::DoubleExtension => "file_double_extension",
            Self::Extension => "file_extension",
            Self::MediaType => "file_media_type",
            Self::Content => "file_content",
            Self::Polyglot => "file_polyglot",
            Self::Archive(fault) => fault.code(),
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Name => "has a file name that is missing or not allowed",
            Self::DoubleExtension => "has a file name with an extension within",
            Self::Extension => "has a file name whose extension is not accepted here",
            Self::MediaType => "declares a type that is not that of its extension",
            Self::Content => "is not of the type that its extension and its declared type say",
            Self::Polyglot => "can be read as two types of file",
            Self::Archive(fault) => fault.detail(),
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Name => Reason::MalformedRequest,
            Self::Archive(_) => Reason::SchemaViolation,
            _ => Reason::UnsupportedMediaType,
        }
    }

    /// The refusal, at the part of this name.
    pub(crate) fn refuse(self, part: &str) -> Rejection {
        let rejection = match self.reason() {
            Reason::UnsupportedMediaType => unsupported(),
            reason => Rejection::new(reason).with_layer(LAYER),
        };
        rejection.with_violation(at(part, self.code(), Cow::Borrowed(self.detail())))
    }
}

impl ArchiveFault {
    fn code(self) -> &'static str {
        match self {
            Self::Malformed => "archive_malformed",
            Self::Opaque => "archive_opaque",
            Self::Entries => "archive_entries",
            Self::Ratio => "archive_ratio",
            Self::Nested => "archive_nested",
            Self::Path => "archive_path",
            Self::Special => "archive_special",
            Self::Document => "archive_document",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "is an archive that is damaged or contradicts itself",
            Self::Opaque => "is an archive that cannot be looked into",
            Self::Entries => "is an archive of too many entries",
            Self::Ratio => "is an archive that unpacks to too much",
            Self::Nested => "is an archive with an archive in it",
            Self::Path => "is an archive with an entry whose name is not allowed",
            Self::Special => "is an archive with an entry that is no file and no folder",
            Self::Document => "is no document of its type",
        }
    }
}

fn at(part: &str, code: &'static str, detail: Cow<'static, str>) -> Violation {
    Violation::in_body([bartizan_core::excerpt(part).into_owned()], code, detail)
}

/// What was sent is no form, or breaks its form's limits.
pub(crate) fn malformed(fault: Malformed) -> Rejection {
    let (code, detail) = match fault {
        Malformed::Delimiter => {
            ("multipart_delimiter", "a delimiter is missing, or followed by something else")
        }
        Malformed::Headers => ("multipart_headers", "the headers of a part do not parse"),
        Malformed::HeadersTooLarge => ("multipart_limit", "the headers of a part are too large"),
        Malformed::Disposition => {
            ("multipart_disposition", "a part needs one Content-Disposition with a name")
        }
        Malformed::ExtendedName => ("multipart_extended_name", "a part must not use `filename*` or `name*`"),
        Malformed::Encoding => {
            ("multipart_encoding", "a part must come as it is, without a transfer encoding")
        }
        Malformed::Truncated => ("multipart_truncated", "the form ends too early"),
        Malformed::Trailing => ("multipart_trailing", "something follows the end of the form"),
    };
    bad(code, Cow::Borrowed(detail))
}

pub(crate) fn boundary() -> Rejection {
    bad(
        "multipart_boundary",
        Cow::Borrowed("the Content-Type needs one boundary of 1 to 70 legal characters"),
    )
}

pub(crate) fn too_many_parts(most: usize) -> Rejection {
    bad("multipart_limit", Cow::Owned(format!("too many parts: at most {most} allowed")))
}

fn bad(code: &'static str, detail: Cow<'static, str>) -> Rejection {
    Rejection::new(Reason::MalformedRequest)
        .with_layer(LAYER)
        .with_violation(Violation::in_body([""; 0], code, detail))
}

/// The text of a field is not UTF-8.
pub(crate) fn not_text(part: &str) -> Rejection {
    Rejection::new(Reason::MalformedRequest).with_layer(LAYER).with_violation(at(
        part,
        "field_encoding",
        Cow::Borrowed("is not UTF-8"),
    ))
}

pub(crate) fn too_large(most: u64) -> Rejection {
    Rejection::new(Reason::ContentTooLarge).with_layer(LAYER).with_extension(LIMIT, most)
}

pub(crate) fn too_slow() -> Rejection {
    Rejection::new(Reason::RequestTimeout).with_layer(LAYER)
}

pub(crate) fn unreadable(cause: String) -> Rejection {
    Rejection::new(Reason::MalformedRequest)
        .with_layer(LAYER)
        .with_detail("The request body did not arrive completely.")
        .with_cause(cause)
}

/// `Accept` is about the body, which is a form also where one of its files is none that is accepted.
pub(crate) fn unsupported() -> Rejection {
    Rejection::new(Reason::UnsupportedMediaType)
        .with_layer(LAYER)
        .with_header(header::ACCEPT, HeaderValue::from_static("multipart/form-data"))
}

/// RFC 9110 section 12.5.3.
pub(crate) fn coding() -> Rejection {
    Rejection::new(Reason::UnsupportedContentEncoding)
        .with_layer(LAYER)
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

/// The program's own mistake.
pub(crate) fn bug() -> Rejection {
    Rejection::new(Reason::Internal).with_layer(LAYER)
}
