//! What becomes of an id that a caller sent: plain types.

use bartizan_core::{IdError, RequestId};
use http::HeaderValue;

use crate::Trust;

/// Why an id was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nobody at the edge is believed.
    Untrusted,
    /// Empty.
    Empty,
    /// Over 128 characters.
    TooLong,
    /// A character outside of the alphabet.
    BadCharacter,
    /// More than one: several header lines, or a comma.
    List,
}

impl Why {
    #[cfg(any(feature = "metrics", test))]
    pub(crate) const ALL: [Self; 5] =
        [Self::Untrusted, Self::Empty, Self::TooLong, Self::BadCharacter, Self::List];

    /// The name in metrics, events and the wide event.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::BadCharacter => "bad_character",
            Self::List => "list",
        }
    }
}

/// The one id among the lines of a header, if it may be taken; `None` without a line.
pub(crate) fn take<'a>(
    mut lines: impl Iterator<Item = &'a HeaderValue>,
    trust: Trust,
) -> Option<Result<RequestId, Why>> {
    let value = lines.next()?;
    Some(match trust {
        Trust::Edge => Err(Why::Untrusted),
        Trust::Internal if lines.next().is_some() => Err(Why::List),
        Trust::Internal => RequestId::from_header(value).map_err(|error| match error {
            IdError::Empty => Why::Empty,
            IdError::TooLong => Why::TooLong,
            _ if value.as_bytes().contains(&b',') => Why::List,
            _ => Why::BadCharacter,
        }),
    })
}

/// The most bytes that are kept of an id that was not taken.
const MAX_ORIGINAL: usize = 128;

/// What the caller sent, in printable ASCII: any other byte, `\` and quotes are escaped as in a Rust literal.
pub(crate) fn escape<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> String {
    const MARK: &str = "...";
    let mut text = String::new();
    for (index, line) in lines.enumerate() {
        let separator: &[u8] = if index == 0 { b"" } else { b", " };
        for byte in separator.iter().chain(line.as_bytes()) {
            let before = text.len();
            text.extend(byte.escape_ascii().map(char::from));
            if text.len() > MAX_ORIGINAL - MARK.len() {
                text.truncate(before);
                text.push_str(MARK);
                return text;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: &[&[u8]]) -> Vec<HeaderValue> {
        values.iter().map(|value| HeaderValue::from_bytes(value).unwrap()).collect()
    }

    fn judge(values: &[&[u8]], trust: Trust) -> Result<String, Why> {
        take(lines(values).iter(), trust).expect("a line").map(|id| id.to_string())
    }

    #[test]
    fn cid_01_what_did_not_come_is_neither_taken_nor_replaced() {
        for trust in [Trust::Internal, Trust::Edge] {
            assert_eq!(take([].iter(), trust), None);
        }
    }

    #[test]
    fn cid_02_only_one_line_of_the_alphabet_is_taken() {
        let longest = [b'x'; 128];
        for good in [b"a".as_slice(), b"AZaz09._~+/=:@-", &longest] {
            assert_eq!(judge(&[good], Trust::Internal).unwrap().as_bytes(), good);
        }
        for (bad, why) in [
            ([b"".as_slice()].as_slice(), Why::Empty),
            (&[&[b'x'; 129]], Why::TooLong),
            (&[&[b'x'; 10_000]], Why::TooLong),
            (&[b"a b"], Why::BadCharacter),
            (&[b"%0d%0a"], Why::BadCharacter),
            (&["\u{2028}".as_bytes()], Why::BadCharacter),
            (&[b"a,b"], Why::List),
            (&[b"a, a"], Why::List),
            (&[b"a", b"b"], Why::List),
            (&[b"a", b"a"], Why::List),
        ] {
            assert_eq!(judge(bad, Trust::Internal), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn cid_03_nothing_is_taken_at_the_edge() {
        for values in [[b"good".as_slice()].as_slice(), &[b"a b"], &[b"a", b"b"]] {
            assert_eq!(judge(values, Trust::Edge), Err(Why::Untrusted));
        }
    }

    #[test]
    fn reasons_have_names_of_their_own() {
        for (index, why) in Why::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
            assert!(Why::ALL[index + 1..].iter().all(|other| other.as_str() != why.as_str()));
        }
    }

    #[test]
    fn cid_03_the_original_is_kept_escaped_and_short() {
        for (values, kept) in [
            ([b"plain-1".as_slice()].as_slice(), "plain-1"),
            (&[b"a", b"b"], "a, b"),
            (&[b"\"\\"], r#"\"\\"#),
            (&["\u{2028}".as_bytes()], r"\xe2\x80\xa8"),
            (&[b"%0d%0a\t"], r"%0d%0a\t"),
        ] {
            assert_eq!(escape(lines(values).iter()), kept);
        }
        let long = escape(lines(&[&[b'x'; 10_000]]).iter());
        assert_eq!((long.len(), long.ends_with("xxx...")), (128, true));
    }

    #[test]
    fn cid_05_what_is_kept_is_printable_and_short_whatever_came() {
        bolero::check!().with_type::<Vec<Vec<u8>>>().for_each(|values| {
            let lines: Vec<_> =
                values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()).collect();
            let kept = escape(lines.iter());
            assert!(kept.len() <= MAX_ORIGINAL);
            assert!(kept.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{kept}");
        });
    }
}
