//! One pass over a document: its grammar, its limits, its names. Nothing is built, and nothing recurses.
//!
//! What is usual is looked for first: white space, of which most documents have none, is only seen where something
//! else was due.

use std::cell::Cell;

use super::{
    fault::Fault,
    keys::{Keys, Seen},
    string,
    trace::{Scalar, Trace},
};
use crate::JsonLimits;

/// What the reader is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// The document itself.
    Document,
    Object,
    Array,
}

/// An object or array whose end was not seen yet, or the document.
#[derive(Clone, Copy, Debug)]
struct Open {
    within: Within,
    /// Members or items so far, the current one included.
    count: usize,
    /// Its names so far.
    seen: Seen,
}

/// What encloses the outermost value.
const DOCUMENT: Open = Open { within: Within::Document, count: 0, seen: Seen::NONE };

/// What the reader of a document remembers.
#[derive(Debug, Default)]
struct Memory {
    /// What encloses the innermost, from the outside.
    opened: Vec<Open>,
    keys: Keys,
}

thread_local! {
    /// That of the last document of this thread: most need no more.
    static MEMORY: Cell<Memory> = const { Cell::new(Memory { opened: Vec::new(), keys: Keys::new() }) };
}

impl Memory {
    /// The most names that a thread keeps room for.
    const MOST: usize = 1024;

    fn take() -> Self {
        // While the thread is going away a fresh one does as well.
        MEMORY.try_with(Cell::take).unwrap_or_default()
    }

    fn leave(mut self) {
        if self.keys.capacity() <= Self::MOST {
            self.opened.clear();
            self.keys.clear();
            let _ = MEMORY.try_with(|memory| memory.set(self));
        }
    }
}

/// Ok when `text` is one JSON value (RFC 8259) within `limits`, and no object in it has a name twice.
pub(super) fn scan(text: &str, limits: &JsonLimits, trace: &mut impl Trace) -> Result<(), Fault> {
    let mut memory = Memory::take();
    let Memory { opened, keys } = &mut memory;
    let scanned = scan_with(opened, keys, text, limits, trace);
    memory.leave();
    scanned
}

#[inline(always)]
fn scan_with(
    opened: &mut Vec<Open>,
    keys: &mut Keys,
    text: &str,
    limits: &JsonLimits,
    trace: &mut impl Trace,
) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    let mut at = 0;
    // The innermost is kept apart from the others, where each step has it at hand.
    let mut open = DOCUMENT;
    loop {
        // Begin => a value is due.
        let start = at;
        match bytes.get(at) {
            Some(b'"') => {
                let (end, escaped) = string::end(bytes, start + 1)?;
                if end - start > limits.max_string() + 1 {
                    return Err(Fault::limit(start + 1, "too long a string", limits.max_string()));
                }
                trace.scalar(Scalar::String { escaped }, start + 1..end);
                at = end + 1;
            }
            Some(b'0'..=b'9' | b'-') => {
                let (end, exponent) = number(bytes, start)?;
                if end - start > limits.max_number() {
                    return Err(Fault::limit(start, "too long a number", limits.max_number()));
                }
                trace.scalar(Scalar::Number { exponent }, start..end);
                at = end;
            }
            Some(bracket @ (b'{' | b'[')) => {
                let object = *bracket == b'{';
                if opened.len() == limits.max_depth() {
                    return Err(Fault::limit(start, "too deep", limits.max_depth()));
                }
                trace.open(object);
                at = after_space(bytes, start + 1);
                if bytes.get(at) == Some(if object { &b'}' } else { &b']' }) {
                    trace.close(0);
                    at += 1;
                } else {
                    opened.push(open);
                    let within = if object { Within::Object } else { Within::Array };
                    open = Open { within, count: 1, seen: keys.open() };
                    if object {
                        at = key(bytes, at, limits, keys, &mut open.seen, trace)?;
                    } else {
                        trace.item(0);
                    }
                    continue;
                }
            }
            Some(b' ' | b'\n' | b'\r' | b'\t') => {
                at = space(bytes, at);
                continue;
            }
            Some(first) => {
                let (kind, word) = literal(*first).ok_or(Fault::syntax(start, "a value"))?;
                if !bytes[at..].starts_with(word) {
                    return Err(Fault::syntax(start, "a value"));
                }
                at += word.len();
                trace.scalar(kind, start..at);
            }
            None => return Err(Fault::syntax(start, "a value")),
        }
        // Value ended => the next one of the innermost object or array is due, or nothing.
        loop {
            match (bytes.get(at), open.within) {
                (Some(b','), Within::Object) => {
                    if open.count == limits.max_members() {
                        return Err(Fault::limit(at, "too many members", limits.max_members()));
                    }
                    open.count += 1;
                    at = key(bytes, at + 1, limits, keys, &mut open.seen, trace)?;
                    break;
                }
                (Some(b','), Within::Array) => {
                    if open.count == limits.max_members() {
                        return Err(Fault::limit(at, "too many items", limits.max_members()));
                    }
                    trace.item(open.count);
                    open.count += 1;
                    at += 1;
                    break;
                }
                (Some(b'}'), Within::Object) => {
                    if let Err(twice) = keys.close(bytes, open.seen) {
                        let at = twice.start;
                        trace.key(twice, false);
                        return Err(Fault::duplicate(at));
                    }
                }
                (Some(b']'), Within::Array) => {}
                (Some(b' ' | b'\n' | b'\r' | b'\t'), _) => {
                    at = space(bytes, at);
                    continue;
                }
                (None, Within::Document) => return Ok(()),
                (_, Within::Document) => return Err(Fault::syntax(at, "nothing after the value")),
                (_, Within::Object) => return Err(Fault::syntax(at, "`,` or `}`")),
                (_, Within::Array) => return Err(Fault::syntax(at, "`,` or `]`")),
            }
            at += 1;
            trace.close(open.count);
            // What closed was opened within something: there is always one.
            open = opened.pop().unwrap_or(DOCUMENT);
        }
    }
}

/// The place after the white space at `at`.
#[inline(never)]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The same, where there is seldom any.
#[inline(always)]
fn after_space(bytes: &[u8], at: usize) -> usize {
    if matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) { space(bytes, at) } else { at }
}

/// Where this very byte stands, after white space if need be.
#[inline(always)]
fn expect(bytes: &[u8], at: usize, byte: u8) -> Result<usize, usize> {
    if bytes.get(at) == Some(&byte) {
        return Ok(at);
    }
    let at = space(bytes, at);
    if bytes.get(at) == Some(&byte) { Ok(at) } else { Err(at) }
}

/// The name of a member, and the colon after it.
#[inline(always)]
fn key(
    bytes: &[u8],
    at: usize,
    limits: &JsonLimits,
    keys: &mut Keys,
    seen: &mut Seen,
    trace: &mut impl Trace,
) -> Result<usize, Fault> {
    let quote = expect(bytes, at, b'"').map_err(|at| Fault::syntax(at, "the name of a member"))?;
    let start = quote + 1;
    let (end, escaped) = string::end(bytes, start)?;
    if end - start > limits.max_key() {
        return Err(Fault::limit(start, "too long a name", limits.max_key()));
    }
    keys.push(bytes, start..end, escaped, seen);
    trace.key(start..end, escaped);
    let colon = expect(bytes, end + 1, b':').map_err(|at| Fault::syntax(at, "`:`"))?;
    Ok(colon + 1)
}

/// Where a number ends, and whether it has an exponent.
#[inline(always)]
fn number(bytes: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if !matches!(bytes.get(at), Some(b'e' | b'E')) {
        return Ok((at, false));
    }
    at += 1;
    at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    Ok((digits(bytes, at)?, true))
}

/// One digit or more.
#[inline(always)]
fn digits(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == start { Err(Fault::syntax(start, "a digit")) } else { Ok(at) }
}

fn literal(first: u8) -> Option<(Scalar, &'static [u8])> {
    match first {
        b't' => Some((Scalar::True, b"true")),
        b'f' => Some((Scalar::False, b"false")),
        b'n' => Some((Scalar::Null, b"null")),
        _ => None,
    }
}
