//! `grpc-timeout`, as gRPC's `PROTOCOL-HTTP2.md` writes it: one to eight digits and a unit.
//!
//! ```
//! use std::time::Duration;
//! use bartizan_core::grpc_timeout;
//!
//! assert_eq!(grpc_timeout::parse(b"250m"), Some(Duration::from_millis(250)));
//! assert_eq!(grpc_timeout::parse(b"0.25S"), None);
//! assert_eq!(grpc_timeout::encode(Duration::from_secs(3)), "3000000u");
//! ```

use std::time::Duration;

use http::HeaderValue;

/// The name of the header.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

const MOST_DIGITS: usize = 8;

/// The most that eight digits say.
const MOST: u64 = 99_999_999;

/// The units, the finest first, in nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60 * 1_000_000_000),
    (b'H', 3_600 * 1_000_000_000),
];

/// The time that is left; `None` when the value is malformed. Eight digits of hours, 11 415 years, are just that.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=MOST_DIGITS).contains(&digits.len()) {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The value that says `left`, in the finest unit that holds it and rounded down: the other side must not believe
/// that it has longer. Zero is a nanosecond, since gRPC wants a positive number.
#[must_use]
pub fn encode(left: Duration) -> HeaderValue {
    let nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1);
    let (unit, size) = UNITS.into_iter().find(|(_, size)| nanos / size <= MOST).unwrap_or((b'H', u64::MAX));
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(nanos / size).as_bytes();
    let mut text = [0; MOST_DIGITS + 1];
    text[..digits.len()].copy_from_slice(digits);
    text[digits.len()] = unit;
    HeaderValue::from_bytes(&text[..=digits.len()]).unwrap_or(HeaderValue::from_static("1n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_09_one_to_eight_digits_and_a_unit() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (text, expected) in [
            ("1H", hours(1)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("004m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0S", Duration::ZERO),
            ("99999999H", hours(99_999_999)),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
        for malformed in [
            "",
            "S",
            "1",
            "1s",
            "1h",
            "123456789S",
            "-1S",
            "+1S",
            "1.5S",
            " 1S",
            "1 S",
            "1S ",
            "1SS",
            "0x1S",
            "\u{e9}",
            "5",
        ] {
            assert_eq!(parse(malformed.as_bytes()), None, "{malformed}");
        }
    }

    #[test]
    fn grpc_09_any_bytes_are_read_without_a_panic() {
        bolero::check!().for_each(|value: &[u8]| {
            if parse(value).is_some() {
                assert!((2..=9).contains(&value.len()));
                assert!(value[..value.len() - 1].iter().all(u8::is_ascii_digit));
            }
        });
    }

    #[test]
    fn rt_11_what_is_written_says_no_more_than_is_left_and_nearly_as_much() {
        for (left, text) in [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (Duration::from_secs(3), "3000000u"),
            (Duration::from_secs(3_600), "3600000m"),
            (Duration::from_secs(99_999_999), "99999999S"),
            (Duration::from_secs(100_000_000), "1666666M"),
            (Duration::MAX, "5124095H"),
        ] {
            assert_eq!(encode(left), text);
        }
        bolero::check!().with_type::<Duration>().for_each(|left| {
            let written = parse(encode(*left).as_bytes()).expect("what we write we read");
            let readable = (*left).min(Duration::from_nanos(u64::MAX)).max(Duration::from_nanos(1));
            assert!(written <= readable);
            let lost = (readable - written).as_secs_f64();
            assert!(lost <= readable.as_secs_f64() * 0.001, "{left:?} became {written:?}");
        });
    }
}
