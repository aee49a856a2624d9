//! JSON as it is checked before anyone parses it.

mod fault;
mod keys;
mod path;
mod scan;
mod string;

use bartizan_core::Violation;

use self::{fault::Fault, path::Path};
use crate::JsonLimits;

/// The text of a JSON document that keeps the limits and is strictly the standard's (RFC 8259): no duplicate names,
/// no byte order mark, no lone surrogate, nothing after the value.
pub(crate) fn check<'a>(bytes: &'a [u8], limits: &JsonLimits) -> Result<&'a str, Violation> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Fault::bom().violation(Vec::new()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => match scan::scan(text, limits, &mut ()) {
            Ok(()) => Ok(text),
            Err(_) => Err(explain(text, limits)),
        },
        Err(error) => Err(Fault::utf8(error.valid_up_to()).violation(Vec::new())),
    }
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
