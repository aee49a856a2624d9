//! How much a form may hold.

use std::time::Duration;

use crate::ConfigError;

/// How much a form may hold, and how long it may take. Every limit is on; none can be switched off, only raised.
///
/// ```
/// use bartizan_upload::UploadLimits;
///
/// # fn main() -> Result<(), bartizan_upload::ConfigError> {
/// let limits = UploadLimits::new().with_max_file(1024 * 1024)?;
/// assert_eq!(limits.max_file(), 1024 * 1024);
/// assert!(limits.with_max_parts(0).is_err(), "a limit that refuses everything is a mistake");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    total: u64,
    file: u64,
    field: usize,
    parts: usize,
    headers: usize,
    time: Duration,
}

impl UploadLimits {
    /// The defaults: see each `with_*`.
    pub const fn new() -> Self {
        Self {
            total: 32 << 20,
            file: 10 << 20,
            field: 64 << 10,
            parts: 64,
            headers: 8 << 10,
            time: Duration::from_secs(30),
        }
    }

    /// Bytes of the whole form. Default: 32 MiB.
    ///
    /// # Errors
    ///
    /// When it is 0. So for the other limits.
    pub fn with_max_total(self, bytes: u64) -> Result<Self, ConfigError> {
        positive("max_total", bytes > 0)?;
        Ok(Self { total: bytes, ..self })
    }

    /// Bytes of one file. Default: 10 MiB.
    ///
    /// # Errors
    ///
    /// As [`with_max_total`](Self::with_max_total).
    pub fn with_max_file(self, bytes: u64) -> Result<Self, ConfigError> {
        positive("max_file", bytes > 0)?;
        Ok(Self { file: bytes, ..self })
    }

    /// Bytes of one field that is no file. Default: 64 KiB.
    ///
    /// # Errors
    ///
    /// As [`with_max_total`](Self::with_max_total).
    pub fn with_max_field(self, bytes: usize) -> Result<Self, ConfigError> {
        positive("max_field", bytes > 0)?;
        Ok(Self { field: bytes, ..self })
    }

    /// Parts of a form, files and others. Default: 64.
    ///
    /// # Errors
    ///
    /// As [`with_max_total`](Self::with_max_total).
    pub fn with_max_parts(self, parts: usize) -> Result<Self, ConfigError> {
        positive("max_parts", parts > 0)?;
        Ok(Self { parts, ..self })
    }

    /// Bytes of the headers of one part. Default: 8 KiB.
    ///
    /// # Errors
    ///
    /// As [`with_max_total`](Self::with_max_total).
    pub fn with_max_part_headers(self, bytes: usize) -> Result<Self, ConfigError> {
        positive("max_part_headers", bytes > 0)?;
        Ok(Self { headers: bytes, ..self })
    }

    /// How long one part may be waited for in all. Time that the handler takes does not count. Default: 30 seconds.
    ///
    /// # Errors
    ///
    /// As [`with_max_total`](Self::with_max_total).
    pub fn with_part_time(self, time: Duration) -> Result<Self, ConfigError> {
        positive("part_time", !time.is_zero())?;
        Ok(Self { time, ..self })
    }

    /// Bytes of the whole form.
    pub const fn max_total(&self) -> u64 {
        self.total
    }

    /// Bytes of one file.
    pub const fn max_file(&self) -> u64 {
        self.file
    }

    /// Bytes of one field that is no file.
    pub const fn max_field(&self) -> usize {
        self.field
    }

    /// Parts of a form.
    pub const fn max_parts(&self) -> usize {
        self.parts
    }

    /// Bytes of the headers of one part.
    pub const fn max_part_headers(&self) -> usize {
        self.headers
    }

    /// How long one part may be waited for.
    pub const fn part_time(&self) -> Duration {
        self.time
    }
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn positive(field: &'static str, is_positive: bool) -> Result<(), ConfigError> {
    if is_positive { Ok(()) } else { Err(ConfigError::Limit { field, why: "it is zero" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lay_06_a_limit_of_zero_names_its_field() {
        let limits = UploadLimits::default;
        for (error, field) in [
            (limits().with_max_total(0), "max_total"),
            (limits().with_max_file(0), "max_file"),
            (limits().with_max_field(0), "max_field"),
            (limits().with_max_parts(0), "max_parts"),
            (limits().with_max_part_headers(0), "max_part_headers"),
            (limits().with_part_time(Duration::ZERO), "part_time"),
        ] {
            assert_eq!(error.unwrap_err().to_string(), format!("{field}: it is zero"));
        }
    }

    #[test]
    fn upl_02_the_limits_are_on_by_default() {
        let limits = UploadLimits::new();
        assert_eq!((limits.max_parts(), limits.max_part_headers()), (64, 8192));
        assert_eq!(
            (limits.max_total(), limits.max_file(), limits.max_field()),
            (32 << 20, 10 << 20, 64 << 10)
        );
        assert_eq!(limits.part_time(), Duration::from_secs(30));
    }
}
