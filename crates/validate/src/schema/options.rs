//! How a schema is compiled.

use std::{error::Error, fmt, sync::Arc};

use jsonschema::{PatternOptions, Registry, Retrieve, ValidationOptions, json::Json};
use serde_json::Value;

use super::JsonSchema;

/// Whether `format` is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Formats {
    /// It tells readers something, and refuses nothing: what the specification means by default. The default.
    #[default]
    Annotate,
    /// A value that is not of the named format is refused, in every draft. A format that is not known is an error
    /// when the schema is compiled.
    Assert,
}

/// How regular expressions are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Patterns {
    /// In time linear in the value, whatever it is. A pattern that looks around or refers back is an error when the
    /// schema is compiled. The default.
    #[default]
    Linear,
    /// With looking around and referring back, in at most so many steps: a value that needs more is refused. What is
    /// wrong with a document is then told up to 16 KiB of it; a larger one that breaks its schema is refused as a
    /// whole, with the code `schema`.
    Backtracking {
        /// The most steps for one pattern and one value.
        steps: usize,
    },
}

/// A schema that cannot be compiled, or a document that it refers to.
#[derive(Debug)]
#[non_exhaustive]
pub enum SchemaError {
    /// The schema breaks the rules of its draft, refers to what was not supplied, or has a pattern that does not
    /// run in linear time.
    Schema(Box<dyn Error + Send + Sync>),
    /// A supplied document: its URI is none, or the document is no schema.
    Document(Box<dyn Error + Send + Sync>),
    /// A cap of zero steps, with which no pattern matches.
    Steps,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema(_) => "schema: it cannot be compiled",
            Self::Document(_) => "documents: one of them cannot be used",
            Self::Steps => "patterns: the cap is zero steps",
        })
    }
}

impl Error for SchemaError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Schema(source) | Self::Document(source) => Some(&**source),
            Self::Steps => None,
        }
    }
}

/// How a schema is compiled; made by [`JsonSchema::options`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SchemaOptions {
    pub(super) formats: Formats,
    pub(super) patterns: Patterns,
    pub(super) documents: Vec<(String, Value)>,
}

impl SchemaOptions {
    /// Whether `format` is checked. Default: [`Formats::Annotate`].
    pub fn with_formats(self, formats: Formats) -> Self {
        Self { formats, ..self }
    }

    /// How regular expressions are run. Default: [`Patterns::Linear`].
    pub fn with_patterns(self, patterns: Patterns) -> Self {
        Self { patterns, ..self }
    }

    /// A document that the schema may refer to by `uri`. Nothing is ever fetched: what is not supplied cannot be
    /// referred to.
    pub fn with_document(mut self, uri: impl Into<String>, document: Value) -> Self {
        self.documents.push((uri.into(), document));
        self
    }

    /// Whether `format` is checked.
    pub(crate) fn asserts_formats(&self) -> bool {
        self.formats == Formats::Assert
    }

    /// How regular expressions are run.
    pub(crate) fn patterns(&self) -> Patterns {
        self.patterns
    }

    /// Compiles `schema`. Its draft is what its `$schema` says, 2020-12 without one.
    ///
    /// # Errors
    ///
    /// When the schema is not valid, refers to what was not supplied, or has a pattern that
    /// [`with_patterns`](Self::with_patterns) does not allow.
    pub fn build(self, schema: &Value) -> Result<JsonSchema, SchemaError> {
        let registry = registry(&self.documents)?;
        let failed = |error| SchemaError::Schema(Box::new(error));
        let built =
            configured(jsonschema::options_for().with_registry(&registry), self.formats, self.patterns)?;
        let taped =
            configured(jsonschema::options_for().with_registry(&registry), self.formats, self.patterns)?;
        let (built, taped) = (built.build(schema).map_err(failed)?, taped.build(schema).map_err(failed)?);
        Ok(JsonSchema::compiled(built, taped, self.patterns))
    }
}

fn registry(documents: &[(String, Value)]) -> Result<Registry<'_>, SchemaError> {
    let document = |error| SchemaError::Document(Box::new(error));
    let mut registry = Registry::new();
    for (uri, contents) in documents {
        registry = registry.add(uri, contents).map_err(document)?;
    }
    registry.prepare().map_err(document)
}

/// How every schema is compiled, for documents in any form: nothing is fetched, and patterns do not run away.
pub(crate) fn configured<F: Json>(
    options: ValidationOptions<'_, Arc<dyn Retrieve>, F>,
    formats: Formats,
    patterns: Patterns,
) -> Result<ValidationOptions<'_, Arc<dyn Retrieve>, F>, SchemaError> {
    let assert = formats == Formats::Assert;
    let options = options.offline().should_validate_formats(assert).should_ignore_unknown_formats(!assert);
    Ok(match patterns {
        Patterns::Linear => options.with_pattern_options(PatternOptions::regex()),
        Patterns::Backtracking { steps: 0 } => return Err(SchemaError::Steps),
        Patterns::Backtracking { steps } => {
            options.with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(steps))
        }
    })
}
