//! When the server says that it may be asked again (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// The wait that `Retry-After` asks for: seconds, or a date in any of the three forms of RFC 9110 section 5.6.7,
/// which is counted from `wall`. A date in the past is no wait; what is neither is as if it was not there.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use bartizan_core::retry_after;
/// use http::{HeaderMap, HeaderValue, header};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::RETRY_AFTER, HeaderValue::from_static("120"));
/// assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(120)));
/// headers.insert(header::RETRY_AFTER, HeaderValue::from_static("soon"));
/// assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), None);
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long time.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(wall).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// 1994-11-06T08:49:07Z, half a minute before the dates of RFC 9110's examples.
    const WALL: u64 = 784_111_747;

    fn seconds(text: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(WALL)).map(|wait| wait.as_secs())
    }

    #[test]
    fn rt_04_seconds_and_all_three_forms_of_a_date_are_understood() {
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("Sat Nov  6 08:49:37 1993", Some(0)),
            ("", None),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("+5", None),
            ("5s", None),
            ("Sun, 06 Nov 1994", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn rt_04_any_value_is_a_wait_or_nothing() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(WALL);
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
            let wait = retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value)]), wall);
            assert!(wait.is_none() || bytes.iter().any(u8::is_ascii_digit));
        });
    }
}
