use std::{borrow::Cow, error::Error, fmt};

/// A setting that can never work. Refused where it is made, never on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: &'static str,
}

impl ConfigError {
    /// The setting: `name`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client metrics: `{}` {}", self.field, self.problem)
    }
}

impl Error for ConfigError {}

/// A name that may be a label.
pub(super) fn checked_name(name: Cow<'static, str>) -> Result<Cow<'static, str>, ConfigError> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&name.len()) && name.bytes().all(is_good) {
        Ok(name)
    } else {
        let problem = "must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`";
        Err(ConfigError { field: "name", problem })
    }
}
