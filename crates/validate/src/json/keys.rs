//! The names of the members of the objects that are open, to find one that stands twice.

use std::ops::Range;

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

/// Up to this many names are compared each with each; more are sorted first, so that nobody can make it slow.
const FEW: usize = 12;

/// The names in all open objects, the innermost object's last.
#[derive(Debug, Default)]
pub(super) struct Keys {
    names: Vec<Name>,
    /// Names that were written with escapes, as they are meant.
    meant: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    /// Length, first and last byte: tells most names apart at one look.
    tag: u32,
    /// Where the name stands, between its quotes.
    start: u32,
    end: u32,
    /// Where in `meant` it begins; `NOT_ESCAPED` for one that means what is written.
    meant: u32,
}

const NOT_ESCAPED: u32 = u32::MAX;

impl Keys {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self { names: Vec::new(), meant: Vec::new() }
    }

    /// Forgets all, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.meant.clear();
    }

    /// How many names, or bytes of names, there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.names.capacity().max(self.meant.capacity())
    }

    /// The names of an object that opens now.
    #[inline]
    pub(super) fn open(&self) -> Seen {
        Seen { bits: 0, twice: 0, mark: self.names.len() }
    }

    /// Adds the name at `raw` of the document `bytes`, of which [`JsonLimits`](crate::JsonLimits) allows no more
    /// than 2^30, to the names of the innermost object.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a document has at most 2^30 bytes")]
    pub(super) fn push(&mut self, bytes: &[u8], raw: Range<usize>, escaped: bool, seen: &mut Seen) {
        let (start, end) = (raw.start as u32, raw.end as u32);
        let name = if escaped {
            self.escaped(bytes, raw)
        } else {
            Name { tag: tag(bytes, raw), start, end, meant: NOT_ESCAPED }
        };
        let bit = 1 << bit(name.tag);
        seen.twice |= seen.bits & bit;
        seen.bits |= bit;
        self.names.push(name);
    }

    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "a document has at most 2^30 bytes")]
    fn escaped(&mut self, bytes: &[u8], raw: Range<usize>) -> Name {
        let meant = self.unescape(&bytes[raw.clone()]);
        let name = Name { tag: 0, start: raw.start as u32, end: raw.end as u32, meant };
        let text = self.text(bytes, &name);
        Name { tag: tag(text, 0..text.len()), ..name }
    }

    /// Appends what `raw` means, with its length before it, since it is shorter than what is written.
    #[expect(clippy::cast_possible_truncation, reason = "a document has at most 2^30 bytes")]
    fn unescape(&mut self, raw: &[u8]) -> u32 {
        let at = self.meant.len();
        self.meant.extend_from_slice(&[0; 4]);
        string::unescape(raw, &mut self.meant);
        let length = (self.meant.len() - at - 4) as u32;
        self.meant[at..at + 4].copy_from_slice(&length.to_le_bytes());
        at as u32
    }

    #[inline]
    fn text<'a>(&'a self, bytes: &'a [u8], name: &Name) -> &'a [u8] {
        if name.meant == NOT_ESCAPED {
            return &bytes[name.start as usize..name.end as usize];
        }
        match self.meant[name.meant as usize..].split_first_chunk::<4>() {
            Some((length, rest)) => &rest[..u32::from_le_bytes(*length) as usize],
            None => &[],
        }
    }

    /// Forgets the names of an object that closes. `Err` is where one stands that was there already.
    #[inline(always)]
    pub(super) fn close(&mut self, bytes: &[u8], seen: Seen) -> Result<(), Range<usize>> {
        if seen.twice != 0
            && let Some(name) = self.find_twice(bytes, seen.mark)
        {
            return Err(name.start as usize..name.end as usize);
        }
        self.names.truncate(seen.mark);
        if seen.mark == 0 {
            self.meant.clear();
        }
        Ok(())
    }

    #[inline(never)]
    fn find_twice(&self, bytes: &[u8], mark: usize) -> Option<Name> {
        let names = &self.names[mark..];
        if names.len() > FEW {
            return self.twice(bytes, names);
        }
        for (index, name) in names.iter().enumerate() {
            for other in &names[..index] {
                if other.tag == name.tag && self.text(bytes, other) == self.text(bytes, name) {
                    return Some(*name);
                }
            }
        }
        None
    }

    fn twice(&self, bytes: &[u8], names: &[Name]) -> Option<Name> {
        let mut sorted: Vec<_> =
            names.iter().map(|name| (self.text(bytes, name), name.start, *name)).collect();
        sorted.sort_unstable_by_key(|(text, start, _)| (*text, *start));
        sorted
            .windows(2)
            .filter(|pair| pair[0].0 == pair[1].0)
            .map(|pair| pair[1].2)
            .min_by_key(|name| name.start)
    }
}

/// The hint of the name that stands at `place` in `bytes`. Equal names have equal hints.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "only a hint")]
fn tag(bytes: &[u8], place: Range<usize>) -> u32 {
    let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or_default());
    // Of an empty name, whatever stands around it.
    (place.len() as u32) << 16 ^ byte(place.start) << 8 ^ byte(place.end.wrapping_sub(1))
}

/// One of 64 for each tag: the upper bits of a product are well mixed.
#[inline(always)]
fn bit(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 58
}
