//! The `traceparent` that a caller sends (W3C Trace Context Level 2, section 3.2): plain types.

use bartizan_core::{SpanId, TraceId};
use http::HeaderValue;

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) flags: u8,
}

/// Why a caller's trace does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nobody at the edge is believed.
    Untrusted,
    /// More than one `traceparent` line.
    Several,
    /// A line that is no `traceparent`.
    Malformed,
}

impl Why {
    /// The name in the wide event.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Several => "several",
            Self::Malformed => "malformed",
        }
    }
}

/// What the lines of the header say; `None` without a line.
pub(crate) fn read<'a>(mut lines: impl Iterator<Item = &'a HeaderValue>) -> Option<Result<Parent, Why>> {
    let line = lines.next()?;
    Some(match lines.next() {
        Some(_) => Err(Why::Several),
        None => Parent::parse(line.as_bytes().trim_ascii()).ok_or(Why::Malformed),
    })
}

/// `00-<32 hex>-<16 hex>-<2 hex>`
const LENGTH: usize = 55;

impl Parent {
    fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_first_chunk::<LENGTH>()?;
        let hyphens = [known[2], known[35], known[52]] == [b'-'; 3];
        let [version] = decode(&known[..2])?;
        // A version to come may say more after a hyphen; version 00 says no more, and ff will never be one.
        let fits = match version {
            0x00 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        if !(hyphens && fits) {
            return None;
        }
        let trace_id = TraceId::new(decode(&known[3..35])?)?;
        let span_id = SpanId::new(decode(&known[36..52])?)?;
        let [flags] = decode(&known[53..])?;
        Some(Self { trace_id, span_id, flags })
    }
}

/// The value of each lower-case hex digit; the high bits of anything else are set.
const DIGITS: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

/// The bytes that lower-case hex digits write. No early exit: bad digits are rare.
fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use bartizan_core::TraceContext;

    use super::*;

    const GOOD: &str = "00-12345678901234567890123456789012-1234567890123456-01";

    fn parse(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes())
    }

    fn lines(values: &[&str]) -> Option<Result<Parent, Why>> {
        let lines: Vec<_> =
            values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap()).collect();
        read(lines.iter())
    }

    #[test]
    fn trc_01_a_good_parent_is_read() {
        let parent = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03").unwrap();
        assert_eq!(parent.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span_id.to_string(), "b7ad6b7169203331");
        assert_eq!(parent.flags, 3);
    }

    /// The cases of the W3C test suite, by the name they have there.
    #[test]
    fn trc_01_what_is_no_parent_is_malformed() {
        for (name, bad) in [
            ("version 0x00", "00-12345678901234567890123456789012-1234567890123456-01."),
            (
                "version 0x00",
                "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
            ),
            ("version 0x00", "00-12345678901234567890123456789012-1234567890123456-01-"),
            ("version 0xff", "ff-12345678901234567890123456789012-1234567890123456-01"),
            ("version 0xff", "ff-12345678901234567890123456789012-1234567890123456-01-x"),
            ("version illegal characters", ".0-12345678901234567890123456789012-1234567890123456-01"),
            ("version illegal characters", "0.-12345678901234567890123456789012-1234567890123456-01"),
            ("version illegal characters", "CC-12345678901234567890123456789012-1234567890123456-01"),
            ("version too long", "000-12345678901234567890123456789012-1234567890123456-01"),
            ("version too long", "0000-12345678901234567890123456789012-1234567890123456-01"),
            ("version too short", "0-12345678901234567890123456789012-1234567890123456-01"),
            ("trace id all zero", "00-00000000000000000000000000000000-1234567890123456-01"),
            ("trace id illegal characters", "00-.2345678901234567890123456789012-1234567890123456-01"),
            ("trace id illegal characters", "00-1234567890123456789012345678901.-1234567890123456-01"),
            ("trace id illegal characters", "00-1234567890123456789012345678901A-1234567890123456-01"),
            ("trace id too long", "00-123456789012345678901234567890123-1234567890123456-01"),
            ("trace id too short", "00-1234567890123456789012345678901-1234567890123456-01"),
            ("parent id all zero", "00-12345678901234567890123456789012-0000000000000000-01"),
            ("parent id illegal characters", "00-12345678901234567890123456789012-.234567890123456-01"),
            ("parent id illegal characters", "00-12345678901234567890123456789012-123456789012345.-01"),
            ("parent id illegal characters", "00-12345678901234567890123456789012-123456789012345F-01"),
            ("parent id too long", "00-12345678901234567890123456789012-12345678901234567-01"),
            ("parent id too short", "00-12345678901234567890123456789012-123456789012345-01"),
            ("trace flags illegal characters", "00-12345678901234567890123456789012-1234567890123456-.0"),
            ("trace flags illegal characters", "00-12345678901234567890123456789012-1234567890123456-0."),
            ("trace flags illegal characters", "00-12345678901234567890123456789012-1234567890123456-0B"),
            ("trace flags too long", "00-12345678901234567890123456789012-1234567890123456-001"),
            ("trace flags too short", "00-12345678901234567890123456789012-1234567890123456-1"),
            ("hyphens", "00_12345678901234567890123456789012-1234567890123456-01"),
            ("hyphens", "00-12345678901234567890123456789012/1234567890123456-01"),
            ("hyphens", "00-12345678901234567890123456789012-1234567890123456m01"),
            ("empty", ""),
        ] {
            assert_eq!(lines(&[bad]), Some(Err(Why::Malformed)), "{name}: {bad}");
        }
    }

    #[test]
    fn trc_01_two_lines_are_no_parent_even_if_they_are_one() {
        assert_eq!(lines(&[GOOD, GOOD]), Some(Err(Why::Several)));
        assert_eq!(lines(&[]), None);
    }

    #[test]
    fn trc_01_white_space_around_the_value_is_none_of_it() {
        for value in [format!(" {GOOD}"), format!("\t{GOOD}"), format!("{GOOD} "), format!("\t {GOOD} \t")] {
            assert_eq!(lines(&[&value]), Some(Ok(parse(GOOD).unwrap())), "{value:?}");
        }
    }

    #[test]
    fn trc_02_of_a_version_to_come_the_known_fields_are_used() {
        let known = parse(GOOD).unwrap();
        for version in ["01", "cc", "fe"] {
            let known_fields = GOOD.replacen("00", version, 1);
            for (rest, continued) in [
                ("", true),
                ("-", true),
                ("-what-the-future-will-be-like", true),
                (".x", false),
                ("x", false),
            ] {
                let text = format!("{known_fields}{rest}");
                assert_eq!(parse(&text), continued.then_some(known), "{text}");
            }
        }
    }

    #[test]
    fn trc_01_every_byte_is_judged_at_every_place() {
        for place in 0..LENGTH {
            for byte in 0..=u8::MAX {
                let mut text = GOOD.as_bytes().to_vec();
                text[place] = byte;
                let expected = match place {
                    2 | 35 | 52 => byte == b'-',
                    // Of 10 to f0, each a version to come.
                    0 | 1 => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                    _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                };
                assert_eq!(Parent::parse(&text).is_some(), expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn trc_01_what_is_rendered_is_read_again() {
        bolero::check!().with_type::<([u8; 16], [u8; 8], u8)>().for_each(|(trace, span, flags)| {
            let (Some(trace), Some(span)) = (TraceId::new(*trace), SpanId::new(*span)) else { return };
            let context = TraceContext::new(trace, span, *flags);
            let header = context.traceparent(span);
            let parent = Parent { trace_id: trace, span_id: span, flags: context.flags() };
            assert_eq!(read([&header].into_iter()), Some(Ok(parent)));
        });
    }

    #[test]
    fn trc_01_no_text_is_read_as_another_than_it_is() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Some(parent) = Parent::parse(bytes) else { return };
            let again = format!("-{}-{}-{:02x}", parent.trace_id, parent.span_id, parent.flags);
            assert_eq!(&bytes[2..LENGTH], again.as_bytes());
        });
    }
}
