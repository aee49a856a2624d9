//! A value as it stands in a header: a token, or the inside of a quoted string.

/// Longer values are not looked at: the longest useful one is a host name of 255 bytes with a port.
pub(super) const MAX_VALUE: usize = 261;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    raw: &'a [u8],
    escaped: bool,
}

/// Room for a value whose escapes are resolved.
pub(crate) fn scratch() -> [u8; MAX_VALUE] {
    [0; MAX_VALUE]
}

impl<'a> Value<'a> {
    /// A value that is its own text.
    pub(super) fn bare(raw: &'a [u8]) -> Option<Self> {
        (raw.len() <= MAX_VALUE).then_some(Self { raw, escaped: false })
    }

    /// Reads a token or a quoted string, and what follows it. `None` when `text` starts with neither, or when the
    /// value is too long to mean anything.
    pub(super) fn read(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let Some(inside) = text.strip_prefix(b"\"") else {
            let len = text.iter().take_while(|byte| is_token(**byte)).count();
            let (raw, rest) = text.split_at(len);
            return if raw.is_empty() { None } else { Some((Self::bare(raw)?, rest)) };
        };
        let mut escaped = false;
        let mut at = 0;
        loop {
            match *inside.get(at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += 1;
                    inside.get(at).filter(|byte| is_text(**byte))?;
                }
                byte if !is_text(byte) => return None,
                _ => {}
            }
            at += 1;
        }
        let value = Self { escaped, ..Self::bare(&inside[..at])? };
        Some((value, &inside[at + 1..]))
    }

    /// The text meant, with escapes resolved in `scratch` if there are any.
    pub(crate) fn text<'b>(self, scratch: &'b mut [u8; MAX_VALUE]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        if !self.escaped {
            return Some(self.raw);
        }
        let mut raw = self.raw.iter();
        let mut len = 0;
        while let Some(byte) = raw.next() {
            let byte = if *byte == b'\\' { raw.next()? } else { byte };
            *scratch.get_mut(len)? = *byte;
            len += 1;
        }
        scratch.get(..len)
    }
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 section 5.6.4: what stands in a quoted string, as itself or escaped.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, &str)> {
        let (value, rest) = Value::read(text.as_bytes())?;
        let text = value.text(&mut scratch()).unwrap().to_vec();
        Some((String::from_utf8(text).unwrap(), std::str::from_utf8(rest).unwrap()))
    }

    #[test]
    fn cli_03_values_are_tokens_or_quoted_strings() {
        for (text, value, rest) in [
            ("a;b", "a", ";b"),
            ("1.2.3.4:80", "1.2.3.4", ":80"),
            (r#""a;b"c"#, "a;b", "c"),
            (r#""""#, "", ""),
            (r#""a\"\\\b""#, r#"a"\b"#, ""),
        ] {
            assert_eq!(read(text), Some((value.to_owned(), rest)), "{text}");
        }
        for text in ["", ";", "[::1]", r#"""#, r#""a"#, r#""a\"#, r#""a\""#, "\"a\x01\"", "\"a\\\x7f\""] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert!(read(&"a".repeat(MAX_VALUE)).is_some());
        assert_eq!(read(&"a".repeat(MAX_VALUE + 1)), None);
        assert_eq!(read(&format!("\"{}\"", "a".repeat(MAX_VALUE + 1))), None);
    }

    #[test]
    fn cli_03_a_text_survives_being_quoted() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let mut quoted = vec![b'"'];
            for byte in bytes {
                if matches!(byte, b'"' | b'\\') {
                    quoted.push(b'\\');
                }
                quoted.push(*byte);
            }
            quoted.push(b'"');
            let fits = quoted.len() - 2 <= MAX_VALUE && bytes.iter().all(|byte| is_text(*byte));
            let read = Value::read(&quoted);
            assert_eq!(read.is_some(), fits);
            if let Some((value, rest)) = read {
                assert_eq!((value.text(&mut scratch()), rest), (Some(bytes), &[][..]));
            }
        });
    }
}
