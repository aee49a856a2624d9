use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode_str;

/// One member of a [`Baggage`](crate::Baggage).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BaggageMember<'a> {
    pub(super) text: &'a str,
    key: &'a str,
    value: &'a str,
    properties: &'a str,
}

impl<'a> BaggageMember<'a> {
    /// `text` is a good member, with white space around it.
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.trim_ascii();
        let (pair, properties) = text.split_once(';').unwrap_or((text, ""));
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Self { text, key: key.trim_ascii(), value: value.trim_ascii(), properties }
    }

    /// The key.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// The value as it was sent, percent-encoded.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// The value decoded; what is not UTF-8 becomes U+FFFD. It may hold anything: line breaks too.
    pub fn decoded(&self) -> Cow<'a, str> {
        percent_decode_str(self.value).decode_utf8_lossy()
    }

    /// The properties, in order, their values as they were sent: `ttl=3` or `secret`.
    pub fn properties(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let properties = self.properties.split(';').filter(|property| !property.is_empty());
        properties.map(|property| match property.split_once('=') {
            Some((key, value)) => (key.trim_ascii(), Some(value.trim_ascii())),
            None => (property.trim_ascii(), None),
        })
    }
}

impl fmt::Debug for BaggageMember<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaggageMember").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A header value has no white space but what RFC 9110 calls optional.
pub(super) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// `key OWS "=" OWS value *( OWS ";" OWS property )`
pub(super) fn is_member(member: &[u8]) -> bool {
    let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let is_pair = parts.next().is_some_and(|pair| split(pair).is_some_and(is_good_pair));
    is_pair
        && parts.all(|property| match split(property) {
            Some(pair) => is_good_pair(pair),
            None => is_token(property),
        })
}

/// At the first `=`: a value may hold more of them.
fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
}

fn is_good_pair((key, value): (&[u8], &[u8])) -> bool {
    is_token(key) && value.iter().all(|byte| is_baggage_octet(*byte))
}

pub(super) fn is_token(key: &[u8]) -> bool {
    !key.is_empty()
        && key.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_baggage_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
