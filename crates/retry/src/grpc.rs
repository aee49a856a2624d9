//! What gRPC's metadata says of attempts and time.

use std::time::Duration;

use bartizan_core::GrpcCode;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub(crate) const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
pub(crate) const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What `grpc-retry-pushback-ms` says (gRFC A6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushback {
    /// Come back after exactly this.
    After(Duration),
    /// Do not come back: negative, or not a number.
    Never,
}

impl Pushback {
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(PUSHBACK)?;
        let millis = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        Some(match millis.map(str::parse) {
            Some(Ok(millis)) => Self::After(Duration::from_millis(millis)),
            _ => Self::Never,
        })
    }
}

/// How often a call was attempted before, as its own request says; 0 when it does not, or not in a number.
pub(crate) fn previous_attempts(headers: &HeaderMap) -> u32 {
    headers.get(PREVIOUS_ATTEMPTS).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// The code of an answer that has none of its own, which is a proxy's and no gRPC server's (GRPC-08).
pub(crate) fn code_of_status(status: StatusCode) -> GrpcCode {
    match status.as_u16() {
        400 | 431 => GrpcCode::Internal,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        404 => GrpcCode::Unimplemented,
        429 | 502 | 503 | 504 => GrpcCode::Unavailable,
        _ => GrpcCode::Unknown,
    }
}

/// The value of a `grpc-timeout`: 1 to 8 digits and a unit; `None` for anything else.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The value of `grpc-timeout` for `timeout`: as exact as 8 digits allow, and never longer.
pub(crate) fn timeout_value(timeout: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let nanos = timeout.as_nanos();
    let units = [(1, "n"), (1_000, "u"), (1_000_000, "m"), (1_000_000_000, "S"), (60_000_000_000, "M")];
    let (count, unit) = units
        .into_iter()
        .map(|(size, unit)| (nanos / size, unit))
        .find(|(count, _)| *count <= MOST)
        .unwrap_or((MOST, "M"));
    HeaderValue::try_from(format!("{count}{unit}")).expect("digits and a letter")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn rt_08_a_pushback_is_a_wait_or_a_stop() {
        for (text, expected) in [
            ("0", Pushback::After(Duration::ZERO)),
            ("1500", Pushback::After(Duration::from_millis(1_500))),
            ("-1", Pushback::Never),
            ("", Pushback::Never),
            ("+5", Pushback::Never),
            ("soon", Pushback::Never),
            ("99999999999999999999", Pushback::Never),
        ] {
            assert_eq!(Pushback::read(&with(PUSHBACK, text)), Some(expected), "{text:?}");
        }
        assert_eq!(Pushback::read(&HeaderMap::new()), None);
    }

    #[test]
    fn rt_11_a_grpc_timeout_is_read_and_written_within_eight_digits() {
        for (text, expected) in [
            ("1n", Some(Duration::from_nanos(1))),
            ("20u", Some(Duration::from_micros(20))),
            ("250m", Some(Duration::from_millis(250))),
            ("3S", Some(Duration::from_secs(3))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("é", None),
        ] {
            assert_eq!(timeout(&with(TIMEOUT, text)), expected, "{text:?}");
        }
        for (duration, text) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (Duration::from_millis(1_500), "1500000u"),
            (Duration::from_secs(3_600), "3600000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::MAX, "99999999M"),
        ] {
            assert_eq!(timeout_value(duration), text);
            assert!(timeout(&with(TIMEOUT, text)).unwrap() <= duration, "never longer");
        }
    }

    #[test]
    fn rt_11_any_value_is_read_within_bounds() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
            let with = |name| HeaderMap::from_iter([(name, value.clone())]);
            if let Some(read) = timeout(&with(TIMEOUT)) {
                assert!((2..=9).contains(&bytes.len()));
                let again = timeout(&HeaderMap::from_iter([(TIMEOUT, timeout_value(read))]));
                assert!(again.unwrap() <= read, "never longer");
            }
            if let Some(Pushback::After(wait)) = Pushback::read(&with(PUSHBACK)) {
                assert!(wait.as_millis() <= u128::from(u64::MAX) && bytes.iter().all(u8::is_ascii_digit));
            }
            previous_attempts(&with(PREVIOUS_ATTEMPTS));
        });
    }
}
