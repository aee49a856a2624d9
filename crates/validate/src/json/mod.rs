//! JSON as it is checked before anyone parses it.

mod fault;
mod keys;
mod path;
mod scan;
mod string;
#[cfg(feature = "schema")]
mod tape;
mod trace;

use bartizan_core::Violation;

#[cfg(feature = "schema")]
pub(crate) use self::tape::{Entry, Kind, Tape};
use self::{fault::Fault, path::Path, trace::Trace};
use crate::JsonLimits;

/// The text of a JSON document that keeps the limits and is strictly the standard's (RFC 8259): no duplicate names,
/// no byte order mark, no lone surrogate, nothing after the value.
pub(crate) fn check<'a>(bytes: &'a [u8], limits: &JsonLimits) -> Result<&'a str, Violation> {
    check_noting(bytes, limits, &mut ())
}

/// The same, and what it is made of.
#[cfg(feature = "schema")]
pub(crate) fn check_taped<'a>(bytes: &'a [u8], limits: &JsonLimits) -> Result<(&'a str, Tape), Violation> {
    let mut tape = Tape::new(bytes.len());
    check_noting(bytes, limits, &mut tape).map(|text| (text, tape))
}

fn check_noting<'a>(
    bytes: &'a [u8],
    limits: &JsonLimits,
    trace: &mut impl Trace,
) -> Result<&'a str, Violation> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Fault::bom().violation(Vec::new()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => match scan::scan(text, limits, trace) {
            Ok(()) => Ok(text),
            Err(_) => Err(explain(text, limits)),
        },
        Err(error) => Err(Fault::utf8(error.valid_up_to()).violation(Vec::new())),
    }
}

/// What the inside of a string that was checked means.
#[cfg(feature = "schema")]
pub(crate) fn unescaped(raw: &str) -> String {
    let mut meant = Vec::with_capacity(raw.len());
    string::unescape(raw.as_bytes(), &mut meant);
    // What was checked has no half of a surrogate pair: this never replaces anything.
    String::from_utf8(meant).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Reads a second time, to the same fault, and this time notes where it is.
#[cold]
fn explain(text: &str, limits: &JsonLimits) -> Violation {
    let mut path = Path::default();
    let fault = scan::scan(text, limits, &mut path).err().unwrap_or(Fault::syntax(0, "valid JSON"));
    fault.violation(path.segments(text))
}

#[cfg(test)]
mod tests;
