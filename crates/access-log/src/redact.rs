//! What a log must not hold (LOG-04).

use std::borrow::Cow;

use bartizan_core::is_secret_name;

/// What stands for what was taken out.
pub(crate) const REDACTED: &str = "[redacted]";

/// What is named like a secret and is none: public ids, made to be logged.
const PUBLIC: [&str; 1] = ["auth.token_id"];

/// Whether a value under this name is a secret, whatever it says.
#[cold]
pub(crate) fn is_secret(name: &str) -> bool {
    !PUBLIC.contains(&name) && is_secret_name(name)
}

/// The text without what has the form of a JWT, or of the number of a payment card with its check digit.
#[cold]
pub(crate) fn redacted(text: &str) -> Cow<'_, str> {
    let (bytes, mut kept, mut done, mut at) = (text.as_bytes(), String::new(), 0, 0);
    while at < bytes.len() {
        let is_within = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
        let (length, is_secret) = match bytes[at] {
            b'e' if bytes[at..].starts_with(b"eyJ") => token(&bytes[at..]),
            b'0'..=b'9' if !is_within => card(&bytes[at..]),
            _ => (1, false),
        };
        if is_secret {
            kept.push_str(&text[done..at]);
            kept.push_str(REDACTED);
            done = at + length;
        }
        at += length;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[done..]);
    Cow::Owned(kept)
}

/// How many bytes from the start are a token, or are none.
fn token(bytes: &[u8]) -> (usize, bool) {
    let run = |from: usize| {
        let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        bytes[from..].iter().take_while(is_plain).count()
    };
    let header = run(0);
    if bytes.get(header) != Some(&b'.') {
        return (header, false);
    }
    let payload = header + 1 + run(header + 1);
    // What begins within the header ends where it does, and is no token either.
    if payload == header + 1 || bytes.get(payload) != Some(&b'.') {
        return (header, false);
    }
    (payload + 1 + run(payload + 1), true)
}

/// How many bytes from the start are the number of a card: digits, in groups with one space or hyphen between by choice.
/// If none is, those of the first group.
fn card(bytes: &[u8]) -> (usize, bool) {
    const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
    let (mut digits, mut found) = ([0; 19], None);
    let first = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (mut count, mut at) = (0, 0);
    while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
        if count == digits.len() {
            break;
        }
        digits[count] = byte - b'0';
        (count, at) = (count + 1, at + 1);
        let next = bytes.get(at);
        if !next.is_some_and(u8::is_ascii_alphanumeric)
            && DIGITS.contains(&count)
            && is_checked(&digits[..count])
        {
            found = Some(at);
        }
        if matches!(next, Some(b' ' | b'-')) {
            at += 1;
        }
    }
    found.map_or((first, false), |length| (length, true))
}

/// Luhn's check (ISO/IEC 7812-1).
fn is_checked(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit @ 5..) => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_04_public_ids_are_no_secrets() {
        assert!(!is_secret("auth.token_id") && is_secret("auth.token"));
    }

    #[test]
    fn log_04_tokens_and_numbers_of_cards_are_taken_out_of_texts() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_X";
        for (text, expected) in [
            (format!("/reset/{jwt}"), "/reset/[redacted]"),
            (format!("/reset/{jwt}/{jwt}?"), "/reset/[redacted]/[redacted]?"),
            ("a eyJh.eyJh. b".into(), "a [redacted] b"),
            ("eyJ.eyJ.eyJ.".into(), "[redacted]."),
            ("/cards/4111111111111111".into(), "/cards/[redacted]"),
            ("paid by 4111 1111 1111 1111, thanks".into(), "paid by [redacted], thanks"),
            ("no 12: 5500-0000-0000-0004".into(), "no 12: [redacted]"),
            ("é378282246310005é".into(), "é[redacted]é"),
        ] {
            assert_eq!(redacted(&text), expected);
        }
        for text in [
            "",
            "/v1/orders/7",
            "eyJ",
            "eyJa.b",
            "eyJa..c",
            "eyJa.b c",
            "4111111111111112",
            "41111111111111114111111111111111",
            "x4111111111111111",
            "4111111111111111x",
            "4111  1111 1111 1111",
            "2026-01-01T00:00:00",
        ] {
            assert!(matches!(redacted(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn log_04_of_any_text_what_is_left_is_clean() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let once = redacted(text).into_owned();
            assert_eq!(redacted(&once), once);
        });
    }
}
