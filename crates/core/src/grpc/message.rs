//! `grpc-message`: percent-encoded UTF-8.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Every byte outside 0x20–0x7E, and `%` itself.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// The header value of `message`.
pub(super) fn encode(message: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(message, MESSAGE).to_string();
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Shortens `message` so that its encoding takes at most `max` bytes, on a character boundary.
pub(super) fn truncate(message: &str, max: usize) -> &str {
    let mut used = 0;
    for (index, char) in message.char_indices() {
        let plain = matches!(char, ' '..='~') && char != '%';
        used += if plain { 1 } else { 3 * char.len_utf8() };
        if used > max {
            return &message[..index];
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

    #[test]
    fn grpc_04_the_interop_vector_is_percent_encoded() {
        assert_eq!(
            encode(SPECIAL),
            "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A"
        );
        assert_eq!(encode("100 % ~\u{7f}"), "100 %25 ~%7F");
    }

    #[test]
    fn grpc_04_what_we_encode_decodes_to_itself() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let encoded = encode(text);
            assert!(encoded.as_bytes().iter().all(|b| (0x20..=0x7e).contains(b)));
            let decoded = percent_encoding::percent_decode(encoded.as_bytes()).decode_utf8().unwrap();
            assert_eq!(decoded, text.as_str());
            let short = truncate(text, 20);
            assert!(text.starts_with(short) && encode(short).len() <= 20);
        });
    }
}
