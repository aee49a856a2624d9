//! The names of the members of the objects that are open, to find one that stands twice.

use std::{borrow::Cow, ops::Range};

use super::string;

/// The names of one object so far.
///
/// Each name sets one of 64 bits. While no bit was met twice, no name was; and only if one was, names are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    bits: u64,
    /// The bits that were met twice.
    twice: u64,
    /// Where the names begin in [`Keys`].
    mark: usize,
}

impl Seen {
    /// Of what is no object.
    pub(super) const NONE: Self = Self { bits: 0, twice: 0, mark: 0 };
}

/// Up to this many names are compared each with each; more are sorted first, so that nobody can make it slow.
const FEW: usize = 12;

/// The names in all open objects, the innermost object's last.
#[derive(Debug, Default)]
pub(super) struct Keys {
    names: Vec<Name>,
    /// Room for a name that was written with escapes, as it is meant.
    meant: Vec<u8>,
}

/// Where a name stands, between its quotes. Small, since there is one for each member of a document.
#[derive(Clone, Copy, Debug)]
struct Name {
    start: u32,
    /// Twice its length; and one more if it is written with escapes.
    length: u32,
}

impl Name {
    /// `raw` is within a document, of which [`JsonLimits`](crate::JsonLimits) allows no more than 2^30 bytes.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a document has at most 2^30 bytes")]
    fn new(raw: &Range<usize>, escaped: bool) -> Self {
        Self { start: raw.start as u32, length: ((raw.end - raw.start) as u32) << 1 | u32::from(escaped) }
    }

    fn raw(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + (self.length >> 1) as usize
    }

    /// What it means.
    fn text(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let raw = &bytes[self.raw()];
        if self.length & 1 == 0 {
            return Cow::Borrowed(raw);
        }
        let mut meant = Vec::with_capacity(raw.len());
        string::unescape(raw, &mut meant);
        Cow::Owned(meant)
    }
}

impl Keys {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self { names: Vec::new(), meant: Vec::new() }
    }

    /// Forgets all, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.names.clear();
    }

    /// How many names, or bytes of a name, there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.names.capacity().max(self.meant.capacity())
    }

    /// The names of an object that opens now.
    #[inline]
    pub(super) fn open(&self) -> Seen {
        Seen { bits: 0, twice: 0, mark: self.names.len() }
    }

    /// Adds the name at `raw` of the document `bytes` to the names of the innermost object.
    #[inline(always)]
    pub(super) fn push(&mut self, bytes: &[u8], raw: Range<usize>, escaped: bool, seen: &mut Seen) {
        self.names.push(Name::new(&raw, escaped));
        let bit = if escaped { self.bit_of_escaped(&bytes[raw]) } else { bit(bytes, raw) };
        seen.twice |= seen.bits & bit;
        seen.bits |= bit;
    }

    #[cold]
    fn bit_of_escaped(&mut self, raw: &[u8]) -> u64 {
        self.meant.clear();
        string::unescape(raw, &mut self.meant);
        bit(&self.meant, 0..self.meant.len())
    }

    /// Forgets the names of an object that closes. `Err` is where one stands that was there already.
    #[inline(always)]
    pub(super) fn close(&mut self, bytes: &[u8], seen: Seen) -> Result<(), Range<usize>> {
        if seen.twice != 0
            && let Some(name) = self.find_twice(bytes, seen.mark)
        {
            return Err(name.raw());
        }
        self.names.truncate(seen.mark);
        Ok(())
    }

    #[inline(never)]
    fn find_twice(&self, bytes: &[u8], mark: usize) -> Option<Name> {
        let names = &self.names[mark..];
        if names.len() > FEW {
            return twice(bytes, names);
        }
        for (index, name) in names.iter().enumerate() {
            let text = name.text(bytes);
            if names[..index].iter().any(|other| other.text(bytes) == text) {
                return Some(*name);
            }
        }
        None
    }
}

fn twice(bytes: &[u8], names: &[Name]) -> Option<Name> {
    let mut sorted: Vec<_> = names.iter().map(|name| (name.text(bytes), *name)).collect();
    sorted.sort_unstable_by(|(a, one), (b, other)| (a, one.start).cmp(&(b, other.start)));
    sorted
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| pair[1].1)
        .min_by_key(|name| name.start)
}

/// One of 64 bits for the name that stands at `place` in `bytes`, by its length, first and last byte. Equal names have
/// equal bits.
#[inline(always)]
fn bit(bytes: &[u8], place: Range<usize>) -> u64 {
    let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or_default());
    // Of an empty name, whatever stands around it.
    let tag = (place.len() as u64) << 16 ^ byte(place.start) << 8 ^ byte(place.end.wrapping_sub(1));
    // The upper bits of a product are well mixed.
    1 << (tag.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 58)
}
