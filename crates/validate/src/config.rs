//! What can be wrong with a setting.

use std::fmt;

/// A setting that can never work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit is zero, or beyond what can be counted.
    Limit {
        /// Which limit: `max_body`, `max_depth`, `max_members`, `max_key`, `max_string` or `max_number`.
        field: &'static str,
        /// What was given.
        given: usize,
        /// The most that is possible.
        most: usize,
    },
    /// The text is no `type/subtype`, or one that is not JSON.
    MediaType(String),
    /// The text is no path template.
    Template {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// The part of the responses to check is not more than 0 and at most 1.
    Sample,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { field, given, most } => {
                write!(f, "{field}: {given} is not between 1 and {most}")
            }
            Self::MediaType(text) => {
                write!(f, "media_type: {text:?} is neither `application/json` nor a `type/subtype+json`")
            }
            Self::Template { given, why } => write!(f, "template: {given:?}: {why}"),
            Self::Sample => f.write_str("sample: it is not more than 0 and at most 1"),
        }
    }
}

impl std::error::Error for ConfigError {}
