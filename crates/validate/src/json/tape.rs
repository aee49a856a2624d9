//! A document as a list of its values: what can be asked of it without building it.

use std::ops::Range;

use smallvec::SmallVec;

use super::trace::{Scalar, Trace};

/// What stands at one place of a [`Tape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    /// Between its quotes it means what is written; an [`Escaped`](Self::Escaped) one does not.
    String,
    Escaped,
    Array,
    Object,
}

/// One value, or the name of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Where it is written in the document; of an object or array, the number of its members or items.
    start: u32,
    /// Where that ends; of an object or array, the place of the entry after its last.
    end: u32,
}

/// The values of a document in the order in which they are written: after an object the names and values of its
/// members, after an array its items.
///
/// It takes 12 bytes for each, and one allocation for most documents.
#[derive(Debug)]
pub(crate) struct Tape {
    entries: Vec<Entry>,
    open: SmallVec<[usize; 8]>,
    unusual: bool,
}

/// Objects with more members than this are unusual: every look for one goes through all.
const WIDE: usize = 64;
/// A number of more characters than this may be too large for a float.
const LONG: usize = 300;

impl Tape {
    /// For a document of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        /// The bytes of document that one entry usually stands for.
        const USUAL: usize = 8;
        Self { entries: Vec::with_capacity(length / USUAL + 1), open: SmallVec::new(), unusual: false }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the document has something that is quicker, or told better, by who builds it: an object of many
    /// members, a name with escapes, a number that may be too large for a float.
    pub(crate) fn is_unusual(&self) -> bool {
        self.unusual
    }

    #[inline]
    fn push(&mut self, kind: Kind, raw: Range<usize>) {
        self.entries.push(Entry::new(kind, raw));
    }
}

impl Entry {
    /// `raw` is within a document, of which [`JsonLimits`](crate::JsonLimits) allows no more than 2^30.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a document has at most 2^30 bytes")]
    pub(crate) fn new(kind: Kind, raw: Range<usize>) -> Self {
        Self { kind, start: raw.start as u32, end: raw.end as u32 }
    }

    /// Where a scalar or a name is written.
    #[inline]
    pub(crate) fn raw(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// How many members or items it has.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.start as usize
    }

    /// The place after this entry, which is at `at`, and all within it.
    #[inline]
    pub(crate) fn after(&self, at: usize) -> usize {
        match self.kind {
            Kind::Array | Kind::Object => self.end as usize,
            _ => at + 1,
        }
    }
}

impl Trace for Tape {
    #[inline]
    fn open(&mut self, object: bool) {
        self.open.push(self.entries.len());
        self.push(if object { Kind::Object } else { Kind::Array }, 0..0);
    }

    #[inline]
    fn key(&mut self, raw: Range<usize>, escaped: bool) {
        self.unusual |= escaped;
        self.push(Kind::String, raw);
    }

    #[inline]
    fn scalar(&mut self, kind: Scalar, raw: Range<usize>) {
        let kind = match kind {
            Scalar::Null => Kind::Null,
            Scalar::True => Kind::True,
            Scalar::False => Kind::False,
            Scalar::Number { exponent } => {
                self.unusual |= exponent || raw.len() > LONG;
                Kind::Number
            }
            Scalar::String { escaped: false } => Kind::String,
            Scalar::String { escaped: true } => Kind::Escaped,
        };
        self.push(kind, raw);
    }

    #[inline]
    fn close(&mut self, count: usize) {
        let after = self.entries.len();
        if let Some(at) = self.open.pop()
            && let Some(entry) = self.entries.get_mut(at)
        {
            self.unusual |= count > WIDE && entry.kind == Kind::Object;
            *entry = Entry::new(entry.kind, count..after);
        }
    }
}
