//! The text form of a key: `<prefix>_<id>_<secret><checksum>`.

use std::fmt;

/// Characters of the secret: 32 of 62 kinds are 190 bits. Short enough for one block of SHA-256.
pub(crate) const SECRET_LEN: usize = 32;
/// Characters of the checksum: six base-62 digits hold any CRC-32.
pub(crate) const CHECKSUM_LEN: usize = 6;
pub(crate) const MAX_PREFIX_LEN: usize = 24;
pub(crate) const MAX_ID_LEN: usize = 32;
const MIN_LEN: usize = "a_0_".len() + SECRET_LEN + CHECKSUM_LEN;
const MAX_LEN: usize = MAX_PREFIX_LEN + MAX_ID_LEN + "__".len() + SECRET_LEN + CHECKSUM_LEN;

/// Also the digits of the checksum, most significant first.
pub(crate) const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as a caller presents it, borrowed from the request.
pub(crate) struct Presented<'a> {
    /// The public part, `<prefix>_<id>`.
    pub(crate) id: &'a str,
    pub(crate) secret: &'a [u8; SECRET_LEN],
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Reads a key strictly and without a copy. A typo anywhere breaks the checksum, so that it costs no lookup.
pub(crate) fn parse(text: &[u8]) -> Option<Presented<'_>> {
    if !(MIN_LEN..=MAX_LEN).contains(&text.len()) {
        return None;
    }
    let (checked, sum) = text.split_last_chunk::<CHECKSUM_LEN>()?;
    let (head, secret) = checked.split_last_chunk::<SECRET_LEN>()?;
    let (b'_', id) = head.split_last()? else { return None };
    if !are_alphanumeric(secret) || read_checksum(sum)? != u64::from(crc32fast::hash(checked)) {
        return None;
    }
    let id = public_id(id)?;
    Some(Presented { id, secret })
}

/// `<prefix>_<id>`: the prefix is words of `a-z0-9` joined by `_`, the first of which begins with a letter; the
/// id has letters and digits only, so that the last `_` ends the prefix.
pub(crate) fn public_id(id: &[u8]) -> Option<&str> {
    let mut word_start = 0;
    let mut seen = LOWER;
    for (position, byte) in id.iter().enumerate() {
        let kind = KINDS[usize::from(*byte)];
        seen |= kind;
        if kind >= SEPARATOR {
            if seen & !SEPARATOR != LOWER || position == word_start {
                return None;
            }
            word_start = position + 1;
        }
    }
    let prefix_len = word_start.checked_sub(1)?;
    let id_len = id.len() - word_start;
    let usable =
        prefix_len <= MAX_PREFIX_LEN && (1..=MAX_ID_LEN).contains(&id_len) && id[0].is_ascii_lowercase();
    if usable { std::str::from_utf8(id).ok() } else { None }
}

/// Whether any id may follow it.
pub(crate) fn is_prefix(prefix: &str) -> bool {
    public_id(format!("{prefix}_0").as_bytes()).is_some()
}

/// `a-z0-9`
const LOWER: u8 = 0;
/// `A-Z`
const UPPER: u8 = 1;
/// `_`
const SEPARATOR: u8 = 2;
const OTHER: u8 = 4;

/// One load per byte where ranges would be many branches.
const KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < ALPHABET.len() {
        let character = ALPHABET[byte];
        kinds[character as usize] = if character.is_ascii_uppercase() { UPPER } else { LOWER };
        byte += 1;
    }
    kinds[b'_' as usize] = SEPARATOR;
    kinds
};

/// Without a branch per byte, so that the compiler takes sixteen at a time.
fn are_alphanumeric(secret: &[u8; SECRET_LEN]) -> bool {
    let is_one = |byte: u8| ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10);
    secret.iter().fold(true, |all, byte| all & is_one(*byte))
}

/// CRC-32 of everything before it, as GitHub and others do, which secret scanners check offline.
pub(crate) fn checksum(checked: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(checked);
    let mut digits = [0; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// The number that six digits of base 62 write: each number has one spelling.
fn read_checksum(digits: &[u8; CHECKSUM_LEN]) -> Option<u64> {
    let value = |digit: &u8| u64::from(VALUES[usize::from(*digit)]);
    let is_number = digits.iter().all(|digit| value(digit) < 62);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 62 + value(digit)))
}

/// What each digit of base 62 is worth; 62 is no digit.
const VALUES: [u8; 256] = {
    let mut values = [62; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// A name that may stand in logs and headers: 1 to `max` bytes without control characters.
pub(crate) fn is_text(text: &str, max: usize) -> bool {
    // Most are ASCII, which is looked at without a branch for each character.
    let is_ascii = |text: &str| text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    (1..=max).contains(&text.len()) && (is_ascii(text) || !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdefghijABCDEFGHIJ42";

    fn key(id: &str) -> String {
        let mut key = format!("{id}_{SECRET}");
        let sum = checksum(key.as_bytes());
        key.push_str(std::str::from_utf8(&sum).unwrap());
        key
    }

    #[test]
    fn key_01_the_form_is_prefix_id_secret_and_checksum() {
        let text = key("orders_test_7HqN2mXk4TzB");
        let presented = parse(text.as_bytes()).unwrap();
        assert_eq!(presented.id, "orders_test_7HqN2mXk4TzB");
        assert_eq!(presented.secret, SECRET.as_bytes());
        let longest = key(&format!("{}_{}", "p".repeat(24), "i".repeat(32)));
        assert_eq!(longest.len(), MAX_LEN);
        assert!(parse(longest.as_bytes()).is_some());
        for id in ["a_0", "a_1_0", "a1_Z", "a_b_c_D"] {
            assert!(parse(key(id).as_bytes()).is_some(), "{id}");
        }
    }

    #[test]
    fn key_01_the_checksum_is_the_crc_32_of_the_rest_in_base_62() {
        // CRC-32 of "123456789" is the known 0xCBF43926 = 3 421 780 262.
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
        assert_eq!(&checksum(b""), b"000000");
    }

    #[test]
    fn key_01_public_parts_of_another_form_are_refused() {
        for id in [
            "",
            "_",
            "orders",
            "_7Hq",
            "orders_",
            "Orders_7Hq",
            "1orders_7Hq",
            "a__7Hq",
            "a__b_7Hq",
            "_a_7Hq",
            "a-b_7Hq",
            "a_7-q",
            "a_ö",
            "aB_7Hq",
            "a_B_7Hq",
            "7_a_7Hq",
            &format!("{}_7", "p".repeat(25)),
            &format!("p_{}", "i".repeat(33)),
        ] {
            assert!(parse(key(id).as_bytes()).is_none(), "{id}");
        }
    }

    #[test]
    fn key_01_every_typo_of_one_character_is_noticed_offline() {
        let text = key("orders_7HqN2mXk4TzB");
        for position in 0..text.len() {
            for wrong in b"aA0z9_-. \0\xff" {
                let mut typo = text.clone().into_bytes();
                if typo[position] != *wrong {
                    typo[position] = *wrong;
                    assert!(parse(&typo).is_none(), "{wrong} at {position}");
                }
            }
            assert!(parse(&text.as_bytes()[..position]).is_none(), "cut at {position}");
            let mut swapped = text.clone().into_bytes();
            if position > 0 && swapped[position] != swapped[position - 1] {
                swapped.swap(position, position - 1);
                assert!(parse(&swapped).is_none(), "swapped at {position}");
            }
        }
        assert!(parse(format!("{text}0").as_bytes()).is_none());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_only_keys_are_keys() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            if let Some(presented) = parse(bytes) {
                assert!(public_id(presented.id.as_bytes()).is_some());
                assert_eq!(presented.id.len() + 1 + SECRET_LEN + CHECKSUM_LEN, bytes.len());
            }
        });
    }
}
