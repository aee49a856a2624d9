//! Strings: where they end, and what their escapes mean.

use wide::u8x16;

use super::fault::Fault;

/// The index of the closing quote of the string whose first character is at `start`, and whether it has escapes.
///
/// `bytes` is valid UTF-8 as a whole, so that only ASCII matters here.
#[inline(always)]
pub(super) fn end(bytes: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    let at = plain(bytes, start);
    if bytes.get(at) == Some(&b'"') { Ok((at, false)) } else { end_of_odd(bytes, at) }
}

/// The same from the first character that is not plain.
#[inline(never)]
fn end_of_odd(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = plain(bytes, escape(bytes, at)?);
            }
            Some(_) => return Err(Fault::syntax(at, "no control character in a string")),
            None => return Err(Fault::syntax(at, "the end of a string")),
        }
    }
}

/// The index of the next byte that is a quote, a backslash or a control character. Sixteen bytes are looked at
/// together.
#[inline(always)]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let last_control = u8x16::splat(0x1f);
    while let Some(Some(chunk)) = bytes.get(at..).map(<[u8]>::first_chunk::<16>) {
        let chunk = u8x16::new(*chunk);
        let control = chunk.min(last_control).simd_eq(chunk);
        let found = (chunk.simd_eq(quote) | chunk.simd_eq(backslash) | control).to_bitmask();
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += 16;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | ..0x20)) {
        at += 1;
    }
    at
}

/// The index after the escape at `at`, or after both halves of a surrogate pair.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(bytes, at)? {
            0xD800..=0xDBFF => match bytes.get(at + 6..at + 8) {
                Some(b"\\u") if (0xDC00..=0xDFFF).contains(&unit(bytes, at + 6)?) => Ok(at + 12),
                _ => Err(Fault::surrogate(at)),
            },
            0xDC00..=0xDFFF => Err(Fault::surrogate(at)),
            _ => Ok(at + 6),
        },
        _ => Err(Fault::syntax(at, "an escape")),
    }
}

/// The UTF-16 unit of the `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    let digits = bytes.get(at + 2..at + 6).ok_or(Fault::syntax(at, "four hexadecimal digits"))?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(Fault::syntax(at, "four hexadecimal digits"))?;
        Ok(unit * 16 + digit)
    })
}

/// Appends to `out` what `raw`, the inside of a string that [`end`] accepted, means.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let (character, length) = match rest.get(at + 1) {
            Some(b'u') => match unit(rest, at) {
                Ok(high @ 0xD800..=0xDBFF) => {
                    let low = unit(rest, at + 6).unwrap_or_default();
                    let scalar = 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF);
                    (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                unit => (unit.ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            },
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(other) => (char::from(*other), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn val_03_escapes_mean_what_they_mean_to_a_parser() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            for raw in [serde_json::to_string(text).unwrap(), format!("\"{ascii}\"")] {
                let bytes = raw.as_bytes();
                let (end, escaped) = end(bytes, 1).unwrap();
                assert_eq!(end, bytes.len() - 1);
                assert_eq!(escaped, raw.contains('\\'));
                let mut out = Vec::new();
                unescape(&bytes[1..end], &mut out);
                assert_eq!(out, text.as_bytes());
            }
        });
    }

    #[test]
    fn val_03_any_bytes_have_a_plain_prefix_and_no_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let expected = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
            assert_eq!(plain(bytes, 0), expected.unwrap_or(bytes.len()));
            let _ = end(bytes, 0);
            unescape(bytes, &mut Vec::new());
        });
    }
}
