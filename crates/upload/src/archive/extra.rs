//! The extra fields of an entry (APPNOTE.TXT 4.5): what else an archive says of it.

use super::record::{ELSEWHERE, Fields};
use crate::fault::ArchiveFault::{self, Malformed, Special};

const ZIP64: u16 = 0x0001;
const PKWARE_UNIX: u16 = 0x000d;
const UNICODE_PATH: u16 = 0x7075;
const ASI_UNIX: u16 = 0x756e;

/// The extra fields of an entry, none of which makes it another than its record says.
#[derive(Debug)]
pub(super) struct Extra<'a> {
    zip64: Option<&'a [u8]>,
}

impl<'a> Extra<'a> {
    /// Refuses a second name, a second set of sizes, and the target of a link.
    pub(super) fn parse(mut extra: &'a [u8], name: &[u8]) -> Result<Self, ArchiveFault> {
        let mut zip64 = None;
        while extra.len() >= 4 {
            let (id, length) = (Fields(extra).short(0), usize::from(Fields(extra).short(2)));
            let field = extra.get(4..4 + length).ok_or(Malformed)?;
            match id {
                ZIP64 if zip64.replace(field).is_some() => return Err(Malformed),
                // A version and a CRC, then the name, which readers prefer.
                UNICODE_PATH if field.get(5..) != Some(name) => return Err(Malformed),
                // A CRC, and the mode, the length of a link's target, and the owner.
                ASI_UNIX if length < 14 => return Err(Malformed),
                ASI_UNIX if length > 14 || Fields(field).long(6) != 0 => return Err(Special),
                ASI_UNIX if is_special(Fields(field).short(4).into()) => return Err(Special),
                // Two times, the owner, and the target of a link or the numbers of a device.
                PKWARE_UNIX if length > 12 => return Err(Special),
                _ => {}
            }
            extra = &extra[4 + length..];
        }
        // What aligns the data of an entry may leave some zeros.
        if extra.iter().all(|byte| *byte == 0) { Ok(Self { zip64 }) } else { Err(Malformed) }
    }

    /// The packed and the unpacked size, of which those that say so stand in the field of ZIP64, the unpacked one
    /// first. `None` where it should have them, and has not.
    pub(super) fn sizes(&self, packed: u32, unpacked: u32) -> Option<(u64, u64)> {
        if packed != ELSEWHERE && unpacked != ELSEWHERE {
            return Some((u64::from(packed), u64::from(unpacked)));
        }
        let field = self.zip64?;
        let mut at = 0;
        let mut next = |plain: u32| {
            if plain != ELSEWHERE {
                return Some(u64::from(plain));
            }
            let size = field.get(at..at + 8).map(|bytes| Fields(bytes).quad(0));
            at += 8;
            size
        };
        let unpacked = next(unpacked)?;
        Some((next(packed)?, unpacked))
    }
}

/// Whether a mode as Unix has it is that of a link, a device or a pipe. It is zero where the archive is of another
/// system.
pub(super) fn is_special(mode: u32) -> bool {
    const FILE: u32 = 0o100_000;
    const FOLDER: u32 = 0o040_000;
    !matches!(mode & 0o170_000, 0 | FILE | FOLDER)
}
