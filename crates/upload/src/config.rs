//! What can be wrong with a setting.

use std::fmt;

/// A setting that can never work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit is zero, or less than another that it must hold.
    Limit {
        /// Which limit.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No type of file, and no field: nothing can ever be accepted.
    Nothing,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { field, why } => write!(f, "{field}: {why}"),
            Self::Nothing => {
                f.write_str("allow: a file type without an extension or a media type matches nothing")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
