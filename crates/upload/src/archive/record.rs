//! The records of a ZIP archive (APPNOTE.TXT 4.3), as bytes.

use super::extra::{Extra, is_special};
use crate::fault::ArchiveFault::{self, Malformed, Opaque, Special};

pub(super) const LOCAL: u32 = 0x0403_4b50;
pub(super) const CENTRAL: u32 = 0x0201_4b50;
pub(super) const END: u32 = 0x0605_4b50;
pub(super) const END_64: u32 = 0x0606_4b50;
pub(super) const LOCATOR_64: u32 = 0x0706_4b50;
pub(super) const DESCRIPTOR: u32 = 0x0807_4b50;

/// Stands for a size that the extra field of ZIP64 holds.
pub(super) const ELSEWHERE: u32 = u32::MAX;

/// Little-endian fields of a record. What is not there is zero; the length was checked before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(self, at: usize) -> [u8; N] {
        let slice = self.0.get(at..at + N);
        slice.and_then(|slice| slice.try_into().ok()).unwrap_or([0; N])
    }

    pub(super) fn short(self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    pub(super) fn long(self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    pub(super) fn quad(self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    fn length(self, at: usize) -> usize {
        usize::from(self.short(at))
    }
}

/// How many bytes the record that starts with `bytes` has, as far as that is known by now: never more than 192 KiB.
pub(super) fn length(bytes: &[u8]) -> Result<usize, ArchiveFault> {
    let fields = Fields(bytes);
    if bytes.len() < 4 {
        return Ok(4);
    }
    let (fixed, variable): (usize, &[usize]) = match fields.long(0) {
        LOCAL => (30, &[26, 28]),
        CENTRAL => (46, &[28, 30, 32]),
        END => (22, &[20]),
        END_64 => (56, &[]),
        LOCATOR_64 => (20, &[]),
        _ => return Err(Malformed),
    };
    if bytes.len() < fixed {
        return Ok(fixed);
    }
    Ok(fixed + variable.iter().map(|at| fields.length(*at)).sum::<usize>())
}

/// How an entry is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

/// What a local header says of the entry that follows it.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) name: Vec<u8>,
    pub(super) method: Method,
    /// The packed and the unpacked size; `None` where a descriptor after the entry says it.
    pub(super) sizes: Option<(u64, u64)>,
}

impl Local {
    pub(super) fn parse(record: &[u8]) -> Result<Self, ArchiveFault> {
        let fields = Fields(record);
        let flags = fields.short(6);
        // Encrypted, patched, strongly encrypted, or with a masked header.
        if flags & (1 | 1 << 5 | 1 << 6 | 1 << 13) != 0 {
            return Err(Opaque);
        }
        let method = match fields.short(8) {
            0 => Method::Stored,
            8 => Method::Deflated,
            _ => return Err(Opaque),
        };
        let name_end = 30 + fields.length(26);
        let name = &record[30..name_end];
        let extra = Extra::parse(&record[name_end..], name)?;
        let later = flags & 1 << 3 != 0;
        let (packed, unpacked) = (fields.long(18), fields.long(22));
        let sizes = match (later, packed, unpacked) {
            // Where a stored entry ends could be anywhere.
            (true, ..) if method == Method::Stored && !(name.ends_with(b"/") && packed == 0) => {
                return Err(Opaque);
            }
            (true, ..) => None,
            (false, packed, unpacked) => Some(extra.sizes(packed, unpacked).ok_or(Malformed)?),
        };
        Ok(Self { name: name.to_vec(), method, sizes })
    }
}

/// What the central directory says of an entry.
#[derive(Debug)]
pub(super) struct Central<'a> {
    pub(super) name: &'a [u8],
    pub(super) method: u16,
    /// `None` where the extra field should have it, and has not.
    pub(super) sizes: Option<(u64, u64)>,
    pub(super) offset: u32,
}

impl<'a> Central<'a> {
    pub(super) fn parse(record: &'a [u8]) -> Result<Self, ArchiveFault> {
        let fields = Fields(record);
        if is_special(fields.long(38) >> 16) {
            return Err(Special);
        }
        let name_end = 46 + fields.length(28);
        let name = record.get(46..name_end).unwrap_or_default();
        let extra = record.get(name_end..name_end + fields.length(30)).unwrap_or_default();
        let sizes = Extra::parse(extra, name)?.sizes(fields.long(20), fields.long(24));
        Ok(Self { name, method: fields.short(10), sizes, offset: fields.long(42) })
    }
}

/// What was read, which the records at the end of an archive must say too: a reader starts from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The central directory.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) entries: u64,
    pub(super) end_64: Option<u64>,
}

impl Ends {
    /// Whether `record` says the same; other records say nothing of it.
    pub(super) fn agree_with(&self, record: &[u8]) -> bool {
        let fields = Fields(record);
        let size = self.end - self.begin;
        match fields.long(0) {
            END => {
                // What does not fit stands in the end record of ZIP64, which was looked at.
                let short = |at, value: u64| {
                    let told = fields.short(at);
                    u64::from(told) == value || (told == u16::MAX && self.end_64.is_some())
                };
                let long = |at, value: u64| {
                    let told = fields.long(at);
                    u64::from(told) == value || (told == ELSEWHERE && self.end_64.is_some())
                };
                let begins = self.entries == 0 || long(16, self.begin);
                // A reader that starts from the end would find an end in the comment first.
                let comment = record.get(22..).unwrap_or_default();
                let is_last = memchr::memmem::find(comment, &END.to_le_bytes()).is_none();
                short(8, self.entries) && short(10, self.entries) && long(12, size) && begins && is_last
            }
            END_64 => {
                fields.quad(4) == 44
                    && fields.quad(24) == self.entries
                    && fields.quad(32) == self.entries
                    && fields.quad(40) == size
                    && fields.quad(48) == self.begin
            }
            LOCATOR_64 => self.end_64 == Some(fields.quad(8)),
            _ => true,
        }
    }
}

/// How long the descriptor at the start of `bytes` is, which must say these sizes: 24 bytes are enough to tell, and an
/// archive has at least that many more.
pub(super) fn descriptor(bytes: &[u8], packed: u64, unpacked: u64) -> Option<usize> {
    let fields = Fields(bytes);
    let wide = |at: usize| fields.quad(at) == packed && fields.quad(at + 8) == unpacked;
    let narrow =
        |at: usize| u64::from(fields.long(at)) == packed && u64::from(fields.long(at + 4)) == unpacked;
    let signed = fields.long(0) == DESCRIPTOR;
    match signed {
        true if wide(8) => Some(24),
        true if narrow(8) => Some(16),
        _ if wide(4) => Some(20),
        _ if narrow(4) => Some(12),
        _ => None,
    }
}

/// Whether an entry of this name stays in the folder that the archive is unpacked to, on every system.
pub(super) fn is_safe_path(name: &[u8]) -> bool {
    const MAX: usize = 1024;
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let mut parts = name.strip_suffix(b"/").unwrap_or(name).split(is_separator);
    !name.is_empty()
        && name.len() <= MAX
        && !name.iter().any(|byte| *byte < b' ' || *byte == b':' || *byte == 0x7f)
        // An absolute path has an empty first part.
        && parts.all(|part| !matches!(part, b"" | b"." | b".."))
}
