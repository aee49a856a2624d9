//! The names of the members of the objects that are open, to find one that stands twice.

use std::ops::Range;

use super::string;

/// Up to this many names are compared each with each; more are sorted first, so that nobody can make it slow.
const FEW: usize = 12;

/// The names in all open objects, the innermost object's last.
#[derive(Debug)]
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
    /// None yet, and room for those of most documents.
    pub(super) fn new() -> Self {
        Self { names: Vec::with_capacity(16), meant: Vec::new() }
    }

    /// Where the names of an object that opens now will begin.
    pub(super) fn mark(&self) -> usize {
        self.names.len()
    }

    /// Adds the name at `raw` of the document `bytes`, of which [`JsonLimits`](crate::JsonLimits) allows no more
    /// than 2^30.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a document has at most 2^30 bytes")]
    pub(super) fn push(&mut self, bytes: &[u8], raw: Range<usize>, escaped: bool) {
        let meant = if escaped { self.unescape(&bytes[raw.clone()]) } else { NOT_ESCAPED };
        let name = Name { tag: 0, start: raw.start as u32, end: raw.end as u32, meant };
        let tag = tag(self.text(bytes, &name));
        self.names.push(Name { tag, ..name });
    }

    /// Appends what `raw` means, with its length before it, since it is shorter than what is written.
    #[cold]
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

    /// Forgets the names since `mark`, whose object closes. `Err` is where one stands that was there already.
    #[inline]
    pub(super) fn close(&mut self, bytes: &[u8], mark: usize) -> Result<(), Range<usize>> {
        let names = &self.names[mark..];
        let twice =
            if names.len() <= FEW { self.twice_of_few(bytes, names) } else { self.twice(bytes, names) };
        if let Some(name) = twice {
            return Err(name.start as usize..name.end as usize);
        }
        self.names.truncate(mark);
        if mark == 0 {
            self.meant.clear();
        }
        Ok(())
    }

    #[inline]
    fn twice_of_few(&self, bytes: &[u8], names: &[Name]) -> Option<Name> {
        names.iter().enumerate().find_map(|(index, name)| {
            names[..index]
                .iter()
                .any(|other| other.tag == name.tag && self.text(bytes, other) == self.text(bytes, name))
                .then_some(*name)
        })
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

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "only a hint; equal names have equal hints")]
fn tag(text: &[u8]) -> u32 {
    let first = text.first().copied().unwrap_or_default();
    let last = text.last().copied().unwrap_or_default();
    (text.len() as u32) << 16 ^ u32::from(first) << 8 ^ u32::from(last)
}
