//! How large a JSON document may be.

use crate::ConfigError;

/// How large a JSON document may be, in bytes and in shape.
///
/// Every limit is on; none can be switched off, only raised. All are enforced while the document is read, before
/// anything is built from it.
///
/// ```
/// use bartizan_validate::JsonLimits;
///
/// # fn main() -> Result<(), bartizan_validate::ConfigError> {
/// let limits = JsonLimits::new().with_max_body(16 * 1024)?.with_max_depth(8)?;
/// assert_eq!(limits.max_body(), 16 * 1024);
/// assert!(limits.with_max_depth(0).is_err(), "a limit that refuses everything is a mistake");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    body: usize,
    depth: usize,
    members: usize,
    key: usize,
    string: usize,
    number: usize,
}

impl JsonLimits {
    /// The most that each limit can be: offsets are kept in 32 bits.
    const MOST: usize = 1 << 30;
    /// Deeper than this, and the parsers behind would refuse the document or run out of stack.
    const MOST_DEPTH: usize = 127;

    /// As large as documents can be, for those that no caller sent.
    #[cfg(feature = "openapi")]
    pub(crate) const LARGEST: Self = Self {
        body: Self::MOST,
        depth: Self::MOST_DEPTH,
        members: Self::MOST,
        key: Self::MOST,
        string: Self::MOST,
        number: Self::MOST,
    };

    /// The defaults: see each `with_*`.
    pub const fn new() -> Self {
        Self { body: 1024 * 1024, depth: 64, members: 10_000, key: 256, string: 256 * 1024, number: 64 }
    }

    /// Bytes of the body, before and after decompression. Default: 1 MiB.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^30. So for the other limits.
    pub fn with_max_body(self, bytes: usize) -> Result<Self, ConfigError> {
        Ok(Self { body: checked("max_body", bytes, Self::MOST)?, ..self })
    }

    /// Objects and arrays within each other. Default: 64.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 127.
    pub fn with_max_depth(self, levels: usize) -> Result<Self, ConfigError> {
        Ok(Self { depth: checked("max_depth", levels, Self::MOST_DEPTH)?, ..self })
    }

    /// Members of one object, and items of one array. Default: 10 000.
    ///
    /// # Errors
    ///
    /// As [`with_max_body`](Self::with_max_body).
    pub fn with_max_members(self, members: usize) -> Result<Self, ConfigError> {
        Ok(Self { members: checked("max_members", members, Self::MOST)?, ..self })
    }

    /// Bytes of the name of a member, as written: an escape counts with all its characters. Default: 256.
    ///
    /// # Errors
    ///
    /// As [`with_max_body`](Self::with_max_body).
    pub fn with_max_key(self, bytes: usize) -> Result<Self, ConfigError> {
        Ok(Self { key: checked("max_key", bytes, Self::MOST)?, ..self })
    }

    /// Bytes of a string, as written: an escape counts with all its characters. Default: 256 KiB.
    ///
    /// # Errors
    ///
    /// As [`with_max_body`](Self::with_max_body).
    pub fn with_max_string(self, bytes: usize) -> Result<Self, ConfigError> {
        Ok(Self { string: checked("max_string", bytes, Self::MOST)?, ..self })
    }

    /// Characters of a number: digits, sign, point and exponent. Default: 64.
    ///
    /// # Errors
    ///
    /// As [`with_max_body`](Self::with_max_body).
    pub fn with_max_number(self, characters: usize) -> Result<Self, ConfigError> {
        Ok(Self { number: checked("max_number", characters, Self::MOST)?, ..self })
    }

    /// Whether a document within these limits is within `others` too.
    pub(crate) fn are_within(&self, others: &Self) -> bool {
        self.body <= others.body
            && self.depth <= others.depth
            && self.members <= others.members
            && self.key <= others.key
            && self.string <= others.string
            && self.number <= others.number
    }

    /// Bytes of the body.
    pub const fn max_body(&self) -> usize {
        self.body
    }

    /// Objects and arrays within each other.
    pub const fn max_depth(&self) -> usize {
        self.depth
    }

    /// Members of one object, and items of one array.
    pub const fn max_members(&self) -> usize {
        self.members
    }

    /// Bytes of the name of a member.
    pub const fn max_key(&self) -> usize {
        self.key
    }

    /// Bytes of a string.
    pub const fn max_string(&self) -> usize {
        self.string
    }

    /// Characters of a number.
    pub const fn max_number(&self) -> usize {
        self.number
    }
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self::new()
    }
}

fn checked(field: &'static str, given: usize, most: usize) -> Result<usize, ConfigError> {
    if (1..=most).contains(&given) { Ok(given) } else { Err(ConfigError::Limit { field, given, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lay_06_a_limit_that_can_never_work_names_its_field() {
        let error = JsonLimits::new().with_max_key(0).unwrap_err();
        assert_eq!(error.to_string(), "max_key: 0 is not between 1 and 1073741824");
        assert!(JsonLimits::new().with_max_depth(128).is_err());
        assert!(JsonLimits::new().with_max_number(usize::MAX).is_err());
    }

    #[test]
    fn val_02_the_limits_are_on_by_default() {
        let limits = JsonLimits::default();
        assert_eq!((limits.max_body(), limits.max_depth(), limits.max_members()), (1 << 20, 64, 10_000));
        assert_eq!((limits.max_key(), limits.max_string(), limits.max_number()), (256, 256 * 1024, 64));
    }
}
