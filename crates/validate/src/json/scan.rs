//! One pass over a document: its grammar, its limits, its names. Nothing is built, and nothing recurses.

use super::{fault::Fault, keys::Keys, path::Trace, string};
use crate::JsonLimits;

/// An object or array whose end was not seen yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    object: bool,
    /// Members or items so far, the current one included.
    count: usize,
    /// Where its names begin in [`Keys`].
    mark: usize,
}

/// Ok when `text` is one JSON value (RFC 8259) within `limits`, and no object in it has a name twice.
pub(super) fn scan(text: &str, limits: &JsonLimits, trace: &mut impl Trace) -> Result<(), Fault> {
    Scanner { bytes: text.as_bytes(), at: 0, limits, open: Vec::with_capacity(8), keys: Keys::new() }
        .document(trace)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: &'a JsonLimits,
    open: Vec<Open>,
    keys: Keys,
}

impl Scanner<'_> {
    fn document(mut self, trace: &mut impl Trace) -> Result<(), Fault> {
        loop {
            // Begin => a value is due.
            self.skip_space();
            let ended = match self.peek() {
                Some(b'"') => self.string().map(|()| true),
                Some(b'{') => self.open(true, trace),
                Some(b'[') => self.open(false, trace),
                Some(b'-' | b'0'..=b'9') => self.number().map(|()| true),
                Some(b't') => self.literal(b"true"),
                Some(b'f') => self.literal(b"false"),
                Some(b'n') => self.literal(b"null"),
                _ => Err(Fault::syntax(self.at, "a value")),
            }?;
            // Value ended => the next one of the innermost open object or array is due, or nothing.
            if ended && !self.next(trace)? {
                self.skip_space();
                return match self.peek() {
                    None => Ok(()),
                    Some(_) => Err(Fault::syntax(self.at, "nothing after the value")),
                };
            }
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Opens an object or array. Whether it ended at once.
    #[inline]
    fn open(&mut self, object: bool, trace: &mut impl Trace) -> Result<bool, Fault> {
        if self.open.len() == self.limits.max_depth() {
            return Err(Fault::limit(self.at, "too deep", self.limits.max_depth()));
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.at += 1;
            return Ok(true);
        }
        trace.open();
        self.open.push(Open { object, count: 1, mark: self.keys.mark() });
        if object {
            self.key(trace)?;
        } else {
            trace.item(0);
        }
        Ok(false)
    }

    /// After a value: goes to the next one, out of all objects and arrays that end here. Whether there is one.
    #[inline]
    fn next(&mut self, trace: &mut impl Trace) -> Result<bool, Fault> {
        while let Some(open) = self.open.last_mut() {
            while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
                self.at += 1;
            }
            match (self.bytes.get(self.at), open.object) {
                (Some(b','), object) => {
                    if open.count == self.limits.max_members() {
                        let what = if object { "too many members" } else { "too many items" };
                        return Err(Fault::limit(self.at, what, self.limits.max_members()));
                    }
                    open.count += 1;
                    self.at += 1;
                    if object {
                        self.skip_space();
                        self.key(trace)?;
                    } else {
                        trace.item(open.count - 1);
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) => {
                    if let Err(twice) = self.keys.close(self.bytes, open.mark) {
                        let at = twice.start;
                        trace.key(twice);
                        return Err(Fault::duplicate(at));
                    }
                }
                (Some(b']'), false) => {}
                (_, true) => return Err(Fault::syntax(self.at, "`,` or `}`")),
                (_, false) => return Err(Fault::syntax(self.at, "`,` or `]`")),
            }
            self.at += 1;
            self.open.pop();
            trace.close();
        }
        Ok(false)
    }

    /// The name of a member, and the colon after it.
    #[inline]
    fn key(&mut self, trace: &mut impl Trace) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(Fault::syntax(self.at, "the name of a member"));
        }
        let start = self.at + 1;
        let (end, escaped) = string::end(self.bytes, start)?;
        if end - start > self.limits.max_key() {
            return Err(Fault::limit(start, "too long a name", self.limits.max_key()));
        }
        self.keys.push(self.bytes, start..end, escaped);
        trace.key(start..end);
        self.at = end + 1;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(Fault::syntax(self.at, "`:`"));
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at + 1;
        let (end, _) = string::end(self.bytes, start)?;
        if end - start > self.limits.max_string() {
            return Err(Fault::limit(start, "too long a string", self.limits.max_string()));
        }
        self.at = end + 1;
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at - start > self.limits.max_number() {
            return Err(Fault::limit(start, "too long a number", self.limits.max_number()));
        }
        Ok(())
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(Fault::syntax(start, "a digit")) } else { Ok(()) }
    }

    #[inline]
    fn literal(&mut self, word: &'static [u8]) -> Result<bool, Fault> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Fault::syntax(self.at, "a value"));
        }
        self.at += word.len();
        Ok(true)
    }
}
