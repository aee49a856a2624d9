//! `tracestate`, whose rules the two sides read differently in places.

use http::HeaderValue;
use opentelemetry::trace::TraceState;

/// The members that OpenTelemetry takes: it knows no key with two `@`, for one, which Level 2 allows.
pub(crate) fn from_header(state: &HeaderValue) -> TraceState {
    let Ok(text) = state.to_str() else { return TraceState::NONE };
    // Not `from_str`: it counts empty members among the 32.
    let members = || text.split(',').filter_map(|member| member.trim_matches(OWS).split_once('='));
    TraceState::from_key_value(members()).unwrap_or_else(|_| {
        let good = members().filter(|member| TraceState::from_key_value([*member]).is_ok());
        TraceState::from_key_value(good).unwrap_or_default()
    })
}

/// The members that may be sent (W3C Trace Context Level 2, section 3.3.1): OpenTelemetry checks less.
pub(crate) fn to_header(state: &TraceState) -> Option<HeaderValue> {
    let text = state.header();
    let members: Vec<&str> = text.split(',').filter(|member| is_member(member)).collect();
    if members.is_empty() {
        return None;
    }
    HeaderValue::try_from(members.join(",")).ok()
}

/// Optional white space (RFC 9110 section 5.6.3).
const OWS: [char; 2] = [' ', '\t'];

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let is_start = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_key = |byte: u8| is_start(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    (1..=256).contains(&key.len())
        && (1..=256).contains(&value.len())
        && key.bytes().next().is_some_and(is_start)
        && key.bytes().all(is_key)
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
        && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn there(text: &'static str) -> String {
        from_header(&HeaderValue::from_static(text)).header()
    }

    fn back<const N: usize>(pairs: [(&str, &str); N]) -> Option<String> {
        let state = TraceState::from_key_value(pairs).unwrap();
        to_header(&state).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn trc_05_members_that_opentelemetry_does_not_know_are_left_out_whole() {
        for (sent, taken) in [
            ("a=1", "a=1"),
            ("b=2,a=1", "b=2,a=1"),
            ("a=1 , ,\tb=2", "a=1,b=2"),
            ("0a@b=x y", "0a@b=x y"),
            ("a=1,x@y@z=2,b=3", "a=1,b=3"),
            ("x@y@z=2", ""),
            (",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,a=1,b=2", "a=1,b=2"),
        ] {
            assert_eq!(there(sent), taken, "{sent}");
        }
    }

    #[test]
    fn trc_05_members_that_may_not_be_sent_are_left_out_whole() {
        assert_eq!(back([("b", "2"), ("a", "1")]).as_deref(), Some("b=2,a=1"));
        assert_eq!(
            back([("a", ""), ("b", "2 "), ("c", "é"), ("d", "x\u{1b}"), ("e", " 5")]).as_deref(),
            Some("e= 5")
        );
        assert_eq!(back([("", "1")]), None);
        assert_eq!(to_header(&TraceState::NONE), None);
    }

    #[test]
    fn trc_05_whatever_opentelemetry_holds_is_sent_as_members_alone() {
        bolero::check!().with_type::<Vec<(String, String)>>().for_each(|pairs| {
            let pairs = pairs.iter().map(|(key, value)| (key.to_ascii_lowercase(), value));
            let Ok(state) = TraceState::from_key_value(pairs) else { return };
            let Some(sent) = to_header(&state) else { return };
            let sent = sent.to_str().unwrap();
            assert!(sent.split(',').all(is_member), "{sent:?}");
            assert!(!sent.bytes().any(|byte| byte.is_ascii_control()));
            assert_eq!(to_header(&TraceState::from_str(sent).unwrap()).unwrap(), sent);
        });
    }
}
