//! What gRPC's metadata says of attempts and time.

use std::time::Duration;

use bartizan_core::grpc_timeout::{self, GRPC_TIMEOUT};
use http::{HeaderMap, HeaderName};

pub(crate) const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
pub(crate) const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static(GRPC_TIMEOUT);

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

/// The value of a `grpc-timeout`; `None` for anything that is none.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    grpc_timeout::parse(headers.get(GRPC_TIMEOUT)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
    fn rt_08_any_value_is_read_within_bounds() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
            let with = |name| HeaderMap::from_iter([(name, value.clone())]);
            if let Some(Pushback::After(wait)) = Pushback::read(&with(PUSHBACK)) {
                assert!(wait.as_millis() <= u128::from(u64::MAX) && bytes.iter().all(u8::is_ascii_digit));
            }
            previous_attempts(&with(PREVIOUS_ATTEMPTS));
        });
    }
}
