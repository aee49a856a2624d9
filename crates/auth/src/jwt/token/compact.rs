//! The compact form (RFC 7515 section 3.1), and nothing but it.

use base64_simd::{AsOut, URL_SAFE_NO_PAD};
use memchr::memchr;

use crate::Failure;

/// The most bytes of a token.
const MAX: usize = 16 * 1024;

/// The three parts of a token, still encoded. None is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compact<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// Header, dot, payload: what the signature is over.
    pub(crate) signed: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Refuses what has not exactly two dots. Every other character is judged when its part is decoded, and all
    /// three are before anything is done with one of them.
    pub(crate) fn split(token: &'a [u8]) -> Result<Self, Failure> {
        if token.len() > MAX {
            return Err(Failure::Malformed);
        }
        let dot = |text: &[u8]| memchr(b'.', text);
        let first = dot(token).ok_or(Failure::Malformed)?;
        let second = first + 1 + dot(&token[first + 1..]).ok_or(Failure::Malformed)?;
        let (header, payload) = (&token[..first], &token[first + 1..second]);
        let signature = &token[second + 1..];
        if header.is_empty() || payload.is_empty() || signature.is_empty() || dot(signature).is_some() {
            return Err(Failure::Malformed);
        }
        Ok(Self { header, payload, signature, signed: &token[..second] })
    }
}

/// The longest signature: of an RSA key of 8192 bits.
pub(crate) const MAX_SIGNATURE: usize = 1024;

/// The signature, in `buffer`. One that is longer than any is none.
pub(crate) fn decode_signature<'a>(
    encoded: &[u8],
    buffer: &'a mut [u8; MAX_SIGNATURE],
) -> Result<&'a [u8], Failure> {
    let len = decode_into(encoded, buffer)?;
    Ok(&buffer[..len])
}

/// Strictly: no padding, no whitespace, no other alphabet, no bits left over (RFC 7515 section 2).
fn decode_into(encoded: &[u8], buffer: &mut [u8]) -> Result<usize, Failure> {
    let len = URL_SAFE_NO_PAD.decoded_length(encoded).map_err(|_| Failure::Malformed)?;
    let out = buffer.get_mut(..len).ok_or(Failure::Malformed)?;
    URL_SAFE_NO_PAD.decode(encoded, out.as_out()).map_err(|_| Failure::Malformed)?;
    Ok(len)
}

/// Room for a decoded part, on the stack where it is short. It is made first and filled then: moved, it is copied.
pub(crate) struct Segment<const N: usize> {
    short: [u8; N],
    long: Vec<u8>,
}

impl<const N: usize> Segment<N> {
    pub(crate) fn new() -> Self {
        Self { short: [0; N], long: Vec::new() }
    }

    /// The text, as JSON is, that this part encodes.
    pub(crate) fn text(&mut self, encoded: &[u8]) -> Result<&str, Failure> {
        std::str::from_utf8(self.decode(encoded)?).map_err(|_| Failure::Malformed)
    }

    fn decode(&mut self, encoded: &[u8]) -> Result<&[u8], Failure> {
        let room = if encoded.len() <= N {
            &mut self.short[..]
        } else {
            self.long = vec![0; encoded.len()];
            &mut self.long
        };
        let len = decode_into(encoded, room)?;
        Ok(&room[..len])
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn decodes(token: &str) -> bool {
        let all = |token| -> Result<(), Failure> {
            let compact = Compact::split(token)?;
            Segment::<8>::new().decode(compact.header)?;
            Segment::<1024>::new().decode(compact.payload)?;
            decode_signature(compact.signature, &mut [0; MAX_SIGNATURE])?;
            Ok(())
        };
        all(token.as_bytes()).is_ok()
    }

    #[test]
    fn jwt_01_only_three_parts_of_the_compact_form_pass() {
        assert!(decodes("e30.e30.AAAA"));
        assert!(decodes("e30e30e30e30e30e.e30.AAAA"), "longer than its buffer");
        for token in [
            "",
            ".",
            "..",
            "...",
            "e30",
            "e30.e30",
            "e30.e30.",
            ".e30.AAAA",
            "e30..AAAA",
            "e30.e30.AAAA.",
            "e30.e30.AAAA.e30.AAAA",
            " e30.e30.AAAA",
            "e30.e30.AAAA\n",
            "e30. e30.AAAA",
            "{}.e30.AAAA",
            "{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"AAAA\"}",
            "e30.e30.AA==",
            "e30=.e30.AAAA",
            "e30.e3+.AAAA",
            "e30.e3/.AAAA",
            "e30.e30.AAAA\0",
            "é30.e30.AAAA",
        ] {
            assert!(!decodes(token), "{token:?}");
        }
        let long = format!("e30.{}.AAAA", "e30A".repeat(4096));
        assert_eq!(Compact::split(long.as_bytes()), Err(Failure::Malformed));
        assert!(decodes(&format!("e30.{}.AAAA", "e30A".repeat(4090))));
        assert!(!decodes(&format!("e30.e30.{}", "A".repeat(1368))), "no signature is that long");
    }

    #[test]
    fn jwt_02_bits_left_over_and_impossible_lengths_are_refused() {
        assert!(decodes("e30.e30.AA") && decodes("e30.e30.AAA"));
        for token in ["e30.e30.AB", "e30.e30.AAB", "e30.e30.A", "e30.e30.AAAAA", "e31.e30.AA", "e30.e31.AA"] {
            assert!(!decodes(token), "{token}");
        }
    }

    #[test]
    fn jwt_01_any_bytes_are_split_without_a_panic_and_put_together_again() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|token| {
            let Ok(parts) = Compact::split(token) else { return };
            assert_eq!(&[parts.header, parts.payload, parts.signature].join(&b"."[..]), token);
            assert_eq!(parts.signed, [parts.header, parts.payload].join(&b"."[..]));
            if let Ok(text) = Segment::<16>::new().text(parts.payload) {
                assert_eq!(
                    BASE64_URL_SAFE_NO_PAD.encode(text).as_bytes(),
                    parts.payload,
                    "one encoding only"
                );
            }
        });
    }
}
