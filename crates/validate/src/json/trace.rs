//! What the reader of a document tells as it goes.

use std::ops::Range;

/// A value that is neither an object nor an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    True,
    False,
    Number { exponent: bool },
    String { escaped: bool },
}

/// Told of every step of the reader. `()` takes no notes.
pub(super) trait Trace {
    fn open(&mut self, _object: bool) {}
    /// The name of a member, as it is written between its quotes.
    fn key(&mut self, _raw: Range<usize>, _escaped: bool) {}
    fn item(&mut self, _index: usize) {}
    /// A value as it is written; a string between its quotes.
    fn scalar(&mut self, _kind: Scalar, _raw: Range<usize>) {}
    /// The innermost object or array ends, with so many members or items.
    fn close(&mut self, _count: usize) {}
}

impl Trace for () {}
