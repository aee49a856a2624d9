//! How a description is compiled, and what it then demands.

use std::collections::BTreeMap;

use super::{OpenApi, OpenApiError, ReadOnly, SchemeRule};
use crate::{Formats, Patterns};

/// What to do with a request for which the description has no path, or no operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unlisted {
    /// It goes on, unread and unjudged: whoever routes it decides. The default.
    #[default]
    Pass,
    /// 404, or 405 with `Allow`: nothing reaches a handler that the description does not know, but a call of a gRPC
    /// method (`POST /package.Service/Method`) at a path that is not listed.
    Refuse,
}

/// How a description is compiled; made by [`OpenApi::options`].
#[derive(Clone, Debug)]
#[must_use]
pub struct OpenApiOptions {
    pub(super) formats: Formats,
    pub(super) patterns: Patterns,
    pub(super) read_only: ReadOnly,
    pub(super) unlisted: Unlisted,
    pub(super) strict_query: bool,
    pub(super) checks_security: bool,
    pub(super) base_path: Option<String>,
    pub(super) rules: BTreeMap<String, SchemeRule>,
    pub(super) documents: Vec<(String, String)>,
}

impl Default for OpenApiOptions {
    fn default() -> Self {
        Self {
            formats: Formats::default(),
            patterns: Patterns::default(),
            read_only: ReadOnly::default(),
            unlisted: Unlisted::default(),
            strict_query: false,
            checks_security: true,
            base_path: None,
            rules: BTreeMap::new(),
            documents: Vec::new(),
        }
    }
}

impl OpenApiOptions {
    /// Whether `format` is checked. Default: [`Formats::Annotate`]. OpenAPI's own formats are known; of them `int32`,
    /// `int64` and `byte` are checked.
    pub fn with_formats(self, formats: Formats) -> Self {
        Self { formats, ..self }
    }

    /// How regular expressions are run. Default: [`Patterns::Linear`].
    pub fn with_patterns(self, patterns: Patterns) -> Self {
        Self { patterns, ..self }
    }

    /// What to do with members that only the service sets. Default: [`ReadOnly::Reject`].
    pub fn with_read_only(self, read_only: ReadOnly) -> Self {
        Self { read_only, ..self }
    }

    /// What to do with requests that the description does not know. Default: [`Unlisted::Pass`].
    pub fn with_unlisted(self, unlisted: Unlisted) -> Self {
        Self { unlisted, ..self }
    }

    /// Refuses parameters of the query that the description does not know. Default: they pass. Those that carry the
    /// key of a security scheme are known.
    pub fn with_strict_query(self) -> Self {
        Self { strict_query: true, ..self }
    }

    /// Leaves `security` to other layers. Default: it is checked against the
    /// [`Principal`](bartizan_core::Principal) that an authentication layer left, and without one an operation that
    /// demands any is a 401.
    pub fn without_security(self) -> Self {
        Self { checks_security: false, ..self }
    }

    /// Which principals are those of the security scheme `name`. Default: see [`SchemeRule`].
    pub fn with_scheme_rule(mut self, name: impl Into<String>, rule: SchemeRule) -> Self {
        self.rules.insert(name.into(), rule);
        self
    }

    /// Under which path the layer sees the service, instead of those of the document's `servers`: `/` where what
    /// lies further out took it away, as axum's `nest` does.
    pub fn with_base_path(self, path: impl Into<String>) -> Self {
        Self { base_path: Some(path.into()), ..self }
    }

    /// A document in YAML or JSON that the description may refer to by `uri`, which may be relative to it:
    /// `schemas/order.yaml`. Nothing is ever fetched: what is not supplied cannot be referred to.
    pub fn with_document(mut self, uri: impl Into<String>, text: impl Into<String>) -> Self {
        self.documents.push((uri.into(), text.into()));
        self
    }

    /// Compiles the description in `text`, which is YAML or JSON.
    ///
    /// # Errors
    ///
    /// With the place in the document: when it is no OpenAPI 3.0 or 3.1, refers to what was not supplied, has a
    /// schema that cannot be compiled, two paths that are one, a style that does not fit, and so on.
    pub fn build(mut self, text: &str) -> Result<OpenApi, OpenApiError> {
        if let Some(path) = &mut self.base_path {
            if !path.starts_with('/') || path.contains(['{', '}', '?', '#']) {
                return Err(OpenApiError::new("base_path", "must begin with `/`, and has no names in it"));
            }
            path.truncate(path.trim_end_matches('/').len());
        }
        OpenApi::compile(text, &self)
    }
}
