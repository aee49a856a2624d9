//! How much an archive may hold.

use crate::{ConfigError, limits::positive};

/// How much an archive may hold, all archives in it included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    pub(super) entries: usize,
    pub(super) unpacked: u64,
    pub(super) ratio: u64,
    pub(super) nesting: usize,
}

impl ArchiveLimits {
    /// The defaults: see each `with_*`.
    pub const fn new() -> Self {
        Self { entries: 1000, unpacked: 256 << 20, ratio: 100, nesting: 0 }
    }

    /// Entries, folders included. Default: 1000.
    ///
    /// # Errors
    ///
    /// When it is 0. So for the next two.
    pub fn with_max_entries(self, entries: usize) -> Result<Self, ConfigError> {
        positive("max_entries", entries > 0)?;
        Ok(Self { entries, ..self })
    }

    /// Bytes once unpacked. Default: 256 MiB.
    ///
    /// # Errors
    ///
    /// As [`with_max_entries`](Self::with_max_entries).
    pub fn with_max_unpacked(self, bytes: u64) -> Result<Self, ConfigError> {
        positive("max_unpacked", bytes > 0)?;
        Ok(Self { unpacked: bytes, ..self })
    }

    /// How many times larger it may be once unpacked; the first MiB is free. Default: 100.
    ///
    /// # Errors
    ///
    /// As [`with_max_entries`](Self::with_max_entries).
    pub fn with_max_ratio(self, times: u64) -> Result<Self, ConfigError> {
        positive("max_ratio", times > 0)?;
        Ok(Self { ratio: times, ..self })
    }

    /// Archives within each other. Only ZIP is looked into: an entry that is another archive is always refused.
    /// Default: 0, no archive in an archive.
    #[must_use]
    pub fn with_max_nesting(self, levels: usize) -> Self {
        // Each level is a decoder's memory, and one more call on the stack.
        Self { nesting: levels.min(8), ..self }
    }
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self::new()
    }
}
