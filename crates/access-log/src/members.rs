//! Members that are the same on every line.

use crate::{ConfigError, fields::is_taken, json::quoted};

/// The longest name.
const MAX_NAME: usize = 64;

/// What the line has that tells of dropped lines.
const DROPPED: &str = "access_log.dropped";

/// The most bytes of all of them together, as they are written.
pub(crate) const MAX_MEMBERS: usize = 1024;

/// What is known before any request: put together once, and written in one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    names: Vec<Box<str>>,
    written: String,
}

impl Members {
    pub(crate) fn add(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_of_a_name) {
            return Err(ConfigError::MemberName);
        }
        if is_taken(name) || name == DROPPED || self.has(name) {
            return Err(ConfigError::MemberTaken);
        }
        let member = format!(",\"{name}\":{}", quoted(value));
        if self.written.len() + member.len() > MAX_MEMBERS {
            return Err(ConfigError::MembersTooLong);
        }
        self.names.push(name.into());
        self.written.push_str(&member);
        Ok(())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| **known == *name)
    }

    /// As they stand in a line, a comma before each.
    pub(crate) fn as_str(&self) -> &str {
        &self.written
    }
}

/// The characters of which attributes' names are made.
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-/@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lay_06_a_member_that_would_spoil_the_line_is_refused() {
        let mut members = Members::default();
        members.add("service.name", "orders").unwrap();
        for name in ["", "a b", "a\"b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(members.add(name, "value"), Err(ConfigError::MemberName), "{name:?}");
        }
        for name in ["service.name", "outcome", "message", "@timestamp", "truncated", "fact.x", DROPPED] {
            assert_eq!(members.add(name, "value"), Err(ConfigError::MemberTaken), "{name}");
        }
        assert_eq!(members.as_str(), ",\"service.name\":\"orders\"", "what was refused left nothing");
    }

    #[test]
    fn log_01_all_members_together_take_at_most_1_kib_as_they_are_written() {
        let mut members = Members::default();
        let rest = MAX_MEMBERS - ",\"a\":\"\"".len();
        assert_eq!(members.add("a", &"x".repeat(rest + 1)), Err(ConfigError::MembersTooLong));
        assert_eq!(members.add("a", &"\u{1}".repeat(rest / 2)), Err(ConfigError::MembersTooLong), "escaped");
        members.add("a", &"x".repeat(rest)).unwrap();
        assert_eq!(members.as_str().len(), MAX_MEMBERS);
        assert_eq!(members.add("b", ""), Err(ConfigError::MembersTooLong));
    }
}
