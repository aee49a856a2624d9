//! One member of a `tracestate`: plain types.

/// A longer member is the first to go when a list is cut.
pub(super) const LARGE: usize = 128;
/// The most characters of a key, and of a value.
const MAX_PART: usize = 256;

/// A member of a list: `key=value`.
#[derive(Clone, Copy, Default)]
pub(super) struct Member<'a> {
    text: &'a [u8],
    key: usize,
}

impl<'a> Member<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let key = text.iter().position(|byte| *byte == b'=')?;
        (is_key(&text[..key]) && is_value(&text[key + 1..])).then_some(Self { text, key })
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn key(&self) -> &'a [u8] {
        &self.text[..self.key]
    }
}

/// An entry of our own, which goes before all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnEntry {
    text: Box<str>,
    key: usize,
}

impl OwnEntry {
    /// `None` when the two make no entry, or one that is the first to go elsewhere.
    pub(super) fn new(key: &str, value: &str) -> Option<Self> {
        let text = format!("{key}={value}");
        let is_good = is_key(key.as_bytes()) && is_value(value.as_bytes()) && text.len() <= LARGE;
        is_good.then(|| Self { text: text.into(), key: key.len() })
    }

    /// The whole entry.
    pub(super) fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.text.as_bytes()[..self.key]
    }
}

const KEY_START: u8 = 1;
const KEY: u8 = 2;
const VALUE: u8 = 4;

/// What each byte may be part of.
const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x20;
    while byte <= 0x7e {
        let char = byte as u8;
        if char.is_ascii_lowercase() || char.is_ascii_digit() {
            table[byte] |= KEY_START | KEY;
        }
        if matches!(char, b'_' | b'-' | b'*' | b'/' | b'@') {
            table[byte] |= KEY;
        }
        if !matches!(char, b',' | b'=') {
            table[byte] |= VALUE;
        }
        byte += 1;
    }
    table
};

/// No early exit: bad bytes are rare.
fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |all, byte| all & CLASSES[usize::from(*byte)]) != 0
}

fn is_key(key: &[u8]) -> bool {
    let start = key.first().is_some_and(|first| CLASSES[usize::from(*first)] & KEY_START != 0);
    start && key.len() <= MAX_PART && all(key, KEY)
}

fn is_value(value: &[u8]) -> bool {
    let end = value.last().is_some_and(|last| *last != b' ');
    end && value.len() <= MAX_PART && all(value, VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trc_05_an_own_entry_is_checked_where_it_is_set() {
        assert!(OwnEntry::new("1a@b", "x y").is_some());
        assert!(OwnEntry::new("k", &"v".repeat(126)).is_some());
        for (key, value) in
            [("", "1"), ("A", "1"), ("@a", "1"), ("a", ""), ("a", "1 "), ("a", "1,b=2"), ("a", "=")]
        {
            assert_eq!(OwnEntry::new(key, value), None, "{key}={value}");
        }
        assert_eq!(OwnEntry::new("k", &"v".repeat(127)), None, "others would cut it first");
    }
}
