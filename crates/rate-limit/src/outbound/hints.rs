//! What an upstream says about its limits (RL-07).

use std::time::{Duration, SystemTime};

use bartizan_core::{Rejection, retry_after};
use http::{HeaderMap, Response, StatusCode, header};
use sfv::{BareItem, List, ListEntry, Parser};

/// Longer waits are cut to this: an upstream must not be able to stop a client for good by a typing error.
pub(super) const LONGEST: Duration = Duration::from_secs(3_600);

/// The most policies that one response may tell of, and the longest name of one.
const MOST_POLICIES: usize = 8;
const LONGEST_NAME: usize = 64;

/// What one response tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Nothing may be sent for so long.
    pub(super) pause: Option<Duration>,
    /// What is left of each policy, and until when.
    pub(super) policies: Vec<PolicyHint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyHint {
    pub(super) name: Box<str>,
    pub(super) remaining: u64,
    /// Then there is more.
    pub(super) more_after: Duration,
}

/// Reads a response. What is malformed tells nothing.
pub(super) fn read<B>(response: &Response<B>, wall: SystemTime) -> Hints {
    let headers = response.headers();
    // A refusal of our own side says nothing about the upstream, and a stored response nothing about now.
    if response.extensions().get::<Rejection>().is_some() || is_stored(headers) {
        return Hints::default();
    }
    let pause = pause(response.status(), headers, wall).map(|pause| pause.min(LONGEST));
    // `Retry-After` wins over `t`.
    let policies = if pause.is_some() { Vec::new() } else { policies(headers).unwrap_or_default() };
    Hints { pause, policies }
}

fn is_stored(headers: &HeaderMap) -> bool {
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok());
    age.is_some_and(|age| age.trim().parse::<u64>().is_ok_and(|age| age > 0))
}

fn pause(status: StatusCode, headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let is_grpc_refusal = headers.get("grpc-status").is_some_and(|status| status == "8");
    if is_grpc_refusal {
        let millis = headers.get("grpc-retry-pushback-ms")?.to_str().ok()?.parse::<u64>().ok()?;
        return Some(Duration::from_millis(millis));
    }
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    retry_after(headers, wall)
}

/// The items of `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10); `None` when a line is malformed.
fn policies(headers: &HeaderMap) -> Option<Vec<PolicyHint>> {
    let mut lines = headers.get_all("ratelimit").iter();
    let mut text = lines.next()?.to_str().ok()?.to_owned();
    for line in lines {
        text.push_str(", ");
        text.push_str(line.to_str().ok()?);
    }
    let list: List = Parser::new(&text).parse().ok()?;
    let mut policies = Vec::new();
    for entry in list {
        let ListEntry::Item(item) = entry else { return None };
        let BareItem::String(name) = &item.bare_item else { return None };
        let number = |wanted: &str| match item.params.iter().find(|(key, _)| key.as_str() == wanted) {
            Some((_, BareItem::Integer(number))) => u64::try_from(i64::from(*number)).ok().map(Some),
            Some(_) => None,
            None => Some(None),
        };
        let (remaining, more_after) = (number("r")??, number("t")?);
        if let Some(more_after) = more_after
            && name.as_str().len() <= LONGEST_NAME
            && policies.len() < MOST_POLICIES
        {
            let more_after = Duration::from_secs(more_after).min(LONGEST);
            policies.push(PolicyHint { name: name.as_str().into(), remaining, more_after });
        }
    }
    Some(policies)
}

#[cfg(test)]
mod tests {
    use bartizan_core::{Reason, ResponseBody};
    use http::{HeaderName, HeaderValue};

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn hints(status: u16, headers: &[(&'static str, &str)]) -> Hints {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response
                .headers_mut()
                .append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        read(&response, NOW)
    }

    fn policy(name: &str, remaining: u64, seconds: u64) -> PolicyHint {
        PolicyHint { name: name.into(), remaining, more_after: Duration::from_secs(seconds) }
    }

    #[test]
    fn rl_07_retry_after_is_seconds_or_a_date() {
        let pause = |status, value: &str| hints(status, &[("retry-after", value)]).pause;
        assert_eq!(pause(429, "7"), Some(Duration::from_secs(7)));
        assert_eq!(pause(503, "0"), Some(Duration::ZERO));
        assert_eq!(pause(429, "Thu, 01 Jan 1970 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(pause(429, "99999999999999999999"), Some(LONGEST));
        for malformed in ["", "-1", "+5", "1.5", "soon", "Thu, 01 Jan"] {
            assert_eq!(pause(429, malformed), None, "{malformed}");
        }
        assert_eq!(pause(200, "7"), None, "no refusal");
        let pushback = [("grpc-status", "8"), ("grpc-retry-pushback-ms", "1500")];
        assert_eq!(hints(200, &pushback).pause, Some(Duration::from_millis(1_500)));
        assert_eq!(hints(200, &[("grpc-status", "8"), ("grpc-retry-pushback-ms", "-1")]).pause, None);
    }

    #[test]
    fn rl_07_rate_limit_is_a_list_of_strings_over_any_lines() {
        let read = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("ratelimit", *line)).collect();
            hints(200, &lines).policies
        };
        assert_eq!(read(&[r#""a";r=5;t=30"#]), [policy("a", 5, 30)]);
        assert_eq!(read(&[r#""a";r=0;t=1, "b";r=9;t=2"#, r#""c";t=3;r=1;pk=:YQ==:"#]).len(), 3);
        assert_eq!(read(&[r#""a";r=5"#]), [], "it does not say until when");
        for malformed in [
            r#"a;r=5;t=1"#,
            r#""a";r=-1;t=1"#,
            r#""a";t=1"#,
            r#""a";r="5";t=1"#,
            r#"("a");r=1;t=1"#,
            r#""a"#,
            "5, 6",
        ] {
            assert_eq!(read(&[r#""good";r=0;t=1"#, malformed]), [], "{malformed}");
        }
        assert_eq!(read(&[&[r#""a";r=1;t=1"#; 20].join(",")]).len(), MOST_POLICIES);
        assert_eq!(read(&[&format!("\"{}\";r=0;t=9", "n".repeat(65))]), []);
    }

    #[test]
    fn rl_07_retry_after_wins_and_stored_responses_tell_nothing() {
        let both = [("retry-after", "3"), ("ratelimit", r#""a";r=0;t=60"#)];
        let told = hints(429, &both);
        assert_eq!((told.pause, told.policies.len()), (Some(Duration::from_secs(3)), 0));
        let aged = |age| hints(429, &[both[0], both[1], ("age", age)]);
        assert_eq!(aged("1"), Hints::default());
        assert_eq!(aged("0"), told);
        let own: Response<ResponseBody<String>> = Rejection::new(Reason::RateLimited)
            .with_retry_after(Duration::from_secs(9))
            .answer(&http::Request::new(()));
        assert_eq!(read(&own, NOW), Hints::default());
    }

    #[test]
    fn rl_07_no_field_makes_it_panic() {
        bolero::check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(first, second)| {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            for (name, value) in [("ratelimit", first), ("retry-after", second), ("age", second)] {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    response.headers_mut().append(HeaderName::from_static(name), value);
                }
            }
            let hints = read(&response, NOW);
            assert!(
                hints.policies.len() <= MOST_POLICIES && hints.pause.is_none_or(|pause| pause <= LONGEST)
            );
        });
    }
}
