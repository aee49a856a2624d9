//! How long an upstream asks not to be called.

use std::time::{Duration, SystemTime};

use bartizan_core::{Rejection, retry_after};
use http::response::Parts;

/// The pause that a response asks for: `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3), or gRPC's
/// `grpc-retry-pushback-ms` in a head that has the status. What is malformed, or was made on this side, asks for none.
pub(crate) fn asked(head: &Parts, wall: SystemTime) -> Option<Duration> {
    let headers = &head.headers;
    if head.extensions.get::<Rejection>().is_some() {
        return None;
    }
    let Some(pushback) = headers.get("grpc-retry-pushback-ms") else { return retry_after(headers, wall) };
    let text = pushback.to_str().ok()?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are a very long time.
    is_number.then(|| Duration::from_millis(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use bartizan_core::{Reason, ResponseBody};
    use http::Response;

    use super::*;

    #[test]
    fn a_pause_is_seconds_a_date_or_a_pushback() {
        let pause = |name: &str, value: &str| {
            let response = Response::builder().header(name, value).body(()).unwrap();
            asked(&response.into_parts().0, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(pause("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(pause("grpc-retry-pushback-ms", "1500"), Some(Duration::from_millis(1_500)));
        assert_eq!(pause("retry-after", "99999999999999999999"), Some(Duration::MAX));
        for malformed in ["", "-1", "+1", "1.5", "soon"] {
            assert_eq!(pause("retry-after", malformed), None, "{malformed}");
            assert_eq!(pause("grpc-retry-pushback-ms", malformed), None, "{malformed}");
        }
        assert_eq!(pause("date", "7"), None);
    }

    #[test]
    fn rt_14_a_refusal_of_this_side_asks_for_nothing() {
        let own: Response<ResponseBody<String>> = Rejection::new(Reason::RateLimited)
            .with_retry_after(Duration::from_secs(9))
            .answer(&http::Request::new(()));
        assert_eq!(asked(&own.into_parts().0, SystemTime::UNIX_EPOCH), None);
    }
}
