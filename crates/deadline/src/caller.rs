//! How long a caller gives a request.

use std::time::Duration;

use bartizan_core::{
    Protocol,
    grpc_timeout::{self, GRPC_TIMEOUT},
};
use http::{HeaderMap, HeaderName, HeaderValue, header::AsHeaderName};

use crate::ConfigError;

/// Where HTTP callers say it.
pub(crate) const REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");

/// What a caller says about its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nothing.
    Silent,
    /// It waits so long.
    Waits(Duration),
    /// It says something that nobody understands.
    Malformed,
}

impl Caller {
    /// What the headers of a request in `protocol` say; over HTTP in the field `header`.
    pub(crate) fn of(headers: &HeaderMap, protocol: Protocol, header: Option<&HeaderName>) -> Self {
        match header {
            _ if protocol.is_grpc() => Self::read(headers, GRPC_TIMEOUT, grpc_timeout::parse),
            Some(header) => Self::read(headers, header, parse_millis),
            None => Self::Silent,
        }
    }

    fn read<N>(headers: &HeaderMap, name: N, parse: fn(&[u8]) -> Option<Duration>) -> Self
    where
        N: AsHeaderName + Copy,
    {
        let Some(value) = headers.get(name) else { return Self::Silent };
        // Two lines contradict each other.
        if headers.get_all(name).iter().nth(1).is_some() {
            return Self::Malformed;
        }
        parse(value.as_bytes()).map_or(Self::Malformed, Self::Waits)
    }
}

/// Milliseconds that are left: one to ten digits, as the longest time is four months.
fn parse_millis(value: &[u8]) -> Option<Duration> {
    if !(1..=10).contains(&value.len()) {
        return None;
    }
    let millis = value.iter().try_fold(0_u64, |millis, digit| {
        digit.is_ascii_digit().then(|| millis * 10 + u64::from(digit - b'0'))
    })?;
    Some(Duration::from_millis(millis))
}

/// The value that says `left`, rounded down, and no less than a millisecond.
pub(crate) fn encode_millis(left: Duration) -> HeaderValue {
    const MOST: u128 = 9_999_999_999;
    HeaderValue::from(u64::try_from(left.as_millis().clamp(1, MOST)).unwrap_or(1))
}

/// The name of a field that may be configured.
pub(crate) fn checked_header(name: HeaderName) -> Result<HeaderName, ConfigError> {
    if name == GRPC_TIMEOUT {
        return Err(ConfigError::new("header", "must be another than grpc-timeout, whose form is its own"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_that_are_left() {
        for (text, expected) in
            [("0", Some(0)), ("1500", Some(1_500)), ("0005", Some(5)), ("9999999999", Some(9_999_999_999))]
        {
            assert_eq!(parse_millis(text.as_bytes()), expected.map(Duration::from_millis), "{text}");
        }
        for malformed in ["", "-1", "+1", "1.5", "5s", " 5", "10000000000", "2026-01-01T00:00:00Z"] {
            assert_eq!(parse_millis(malformed.as_bytes()), None, "{malformed}");
        }
        for (left, text) in [
            (Duration::ZERO, "1"),
            (Duration::from_micros(1_999), "1"),
            (Duration::from_secs(3), "3000"),
            (Duration::MAX, "9999999999"),
        ] {
            assert_eq!(encode_millis(left), text);
        }
    }

    #[test]
    fn each_protocol_has_its_own_field_and_two_lines_are_none() {
        let mut headers = HeaderMap::new();
        let of = |headers: &HeaderMap, protocol| Caller::of(headers, protocol, Some(&REQUEST_DEADLINE));
        assert_eq!(of(&headers, Protocol::Http), Caller::Silent);
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("2S"));
        assert_eq!(of(&headers, Protocol::Http), Caller::Silent);
        assert_eq!(of(&headers, Protocol::Grpc), Caller::Waits(Duration::from_secs(2)));
        headers.insert(REQUEST_DEADLINE, HeaderValue::from_static("70"));
        assert_eq!(of(&headers, Protocol::Http), Caller::Waits(Duration::from_millis(70)));
        assert_eq!(Caller::of(&headers, Protocol::Http, None), Caller::Silent);
        headers.append(REQUEST_DEADLINE, HeaderValue::from_static("70"));
        assert_eq!(of(&headers, Protocol::Http), Caller::Malformed);
    }

    #[test]
    fn grpc_09_no_field_makes_it_panic() {
        bolero::check!().with_type::<(Vec<u8>, bool)>().for_each(|(value, is_grpc)| {
            let Ok(value) = HeaderValue::from_bytes(value) else { return };
            let headers = HeaderMap::from_iter([
                (HeaderName::from_static(GRPC_TIMEOUT), value.clone()),
                (REQUEST_DEADLINE, value),
            ]);
            let protocol = if *is_grpc { Protocol::Grpc } else { Protocol::Http };
            assert_ne!(Caller::of(&headers, protocol, Some(&REQUEST_DEADLINE)), Caller::Silent);
        });
    }
}
