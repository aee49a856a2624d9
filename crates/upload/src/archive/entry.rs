//! What is in an entry.

use super::{ArchiveLimits, Zip};
use crate::fault::ArchiveFault;

/// The content of one entry, unpacked, as it passes.
#[derive(Debug)]
pub(super) enum Content {
    /// Its first bytes, until they tell what it is.
    Unknown(Vec<u8>),
    Plain,
    Archive(Box<Zip>),
}

/// Archives and packed files that are not looked into.
const ARCHIVES: [&str; 16] = [
    "7z", "Z", "ar", "bz2", "bz3", "cab", "cpio", "deb", "gz", "lz", "lz4", "rar", "rpm", "tar", "xz", "zst",
];

impl Content {
    /// The magic of a TAR archive ends here.
    const HEAD: usize = 262;

    pub(super) fn new() -> Self {
        Self::Unknown(Vec::new())
    }

    pub(super) fn see(&mut self, data: &[u8], limits: &ArchiveLimits) -> Result<(), ArchiveFault> {
        match self {
            Self::Plain => Ok(()),
            Self::Archive(zip) => zip.see(data),
            Self::Unknown(head) => {
                head.extend_from_slice(data);
                if head.len() < Self::HEAD {
                    return Ok(());
                }
                let head = std::mem::take(head);
                self.decide(&head, limits)
            }
        }
    }

    fn decide(&mut self, head: &[u8], limits: &ArchiveLimits) -> Result<(), ArchiveFault> {
        if infer::archive::is_zip(head) {
            let nesting = limits.nesting.checked_sub(1).ok_or(ArchiveFault::Nested)?;
            let mut zip = Box::new(Zip::new(&ArchiveLimits { nesting, ..*limits }));
            zip.see(head)?;
            *self = Self::Archive(zip);
        } else if infer::get(head).is_some_and(|kind| ARCHIVES.contains(&kind.extension())) {
            return Err(ArchiveFault::Nested);
        } else {
            *self = Self::Plain;
        }
        Ok(())
    }

    /// The entry is over.
    pub(super) fn end(mut self, limits: &ArchiveLimits) -> Result<Option<Box<Zip>>, ArchiveFault> {
        if let Self::Unknown(head) = &mut self {
            let head = std::mem::take(head);
            self.decide(&head, limits)?;
        }
        match self {
            Self::Archive(zip) => Ok(Some(zip)),
            _ => Ok(None),
        }
    }
}
