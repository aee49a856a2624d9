//! The HTTP face of a refusal: problem details (RFC 9457).

mod accept;
mod consumer;
mod json;
mod xml;

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

pub(crate) use self::accept::prefers_xml;
pub use self::consumer::{Problem, ProblemError};
use crate::{ExtensionName, Face, Reason, Rejection, grpc};

/// How a service wants its problems to look.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// Absolute, and ends where a code may follow.
    pub(crate) type_base: Option<String>,
    /// Members that every problem of the service has.
    pub(crate) members: Vec<(ExtensionName, serde_json::Value)>,
    /// `ErrorInfo.domain` for gRPC.
    pub(crate) domain: Option<Cow<'static, str>>,
    pub(crate) format: Format,
}

/// The serialization of a problem. JSON may be sent whatever `Accept` says (RFC 9110 section 12.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Xml,
}

impl Style {
    pub(crate) const DEFAULT: Self =
        Self { type_base: None, members: Vec::new(), domain: None, format: Format::Json };

    pub(crate) fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or(grpc::DEFAULT_DOMAIN)
    }
}

/// The members of one problem, ready to be written in either format.
struct Members<'a> {
    problem_type: Option<Cow<'a, str>>,
    title: &'a str,
    rejection: &'a Rejection,
    style: &'a Style,
}

impl<'a> Members<'a> {
    fn of(rejection: &'a Rejection, style: &'a Style) -> Self {
        let reason = rejection.reason();
        let problem_type = match (rejection.problem_type(), &style.type_base) {
            (Some(registered), _) => Some(Cow::Borrowed(registered)),
            (None, Some(base)) => Some(Cow::Owned(format!("{base}{}", reason.code()))),
            (None, None) => None,
        };
        // RFC 9457 section 4.2.1: about:blank, which no type means, goes with the phrase of the status.
        let title = match &problem_type {
            Some(_) => reason.title(),
            None => reason.status().canonical_reason().unwrap_or(reason.title()),
        };
        Self { problem_type, title, rejection, style }
    }
}

/// What [`render`] always sets, and another rendering replaces.
pub(crate) const RENDERED_HEADERS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CACHE_CONTROL, header::X_CONTENT_TYPE_OPTIONS];

/// Fills the head of `response` and returns its body; `None` when the request was a HEAD.
pub(crate) fn render(
    rejection: &Rejection,
    face: &Face,
    style: &Style,
    response: &mut Response<()>,
) -> Option<Bytes> {
    let members = Members::of(rejection, style);
    let (body, content_type) = match style.format {
        Format::Json => {
            (json::write(&members), const { HeaderValue::from_static("application/problem+json") })
        }
        Format::Xml => (xml::write(&members), const { HeaderValue::from_static("application/problem+xml") }),
    };
    *response.status_mut() = rejection.reason().status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    // 404, 405, 410, 414 and 501 may be cached without being told so (RFC 9110 section 15.1).
    headers.insert(header::CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") });
    if let Some(delay) = rejection.told_delay(headers) {
        // By way of a string of the exact length: a value made from a number allocates twice.
        if let Ok(seconds) = HeaderValue::try_from(whole_seconds(delay).to_string()) {
            headers.insert(header::RETRY_AFTER, seconds);
        }
    }
    if rejection.reason() == Reason::RequestTimeout && face.http1 {
        headers.insert(header::CONNECTION, const { HeaderValue::from_static("close") });
    }
    if face.head {
        // What GET would have told (RFC 9110 section 8.6), and no byte of it.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        return None;
    }
    Some(Bytes::from(body))
}

/// Rounded up, and never zero: a caller that waits this long is not too early.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0)).max(1)
}

/// Whether these headers announce a problem in either format.
pub(crate) fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        essence.eq_ignore_ascii_case(b"application/problem+json")
            || essence.eq_ignore_ascii_case(b"application/problem+xml")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rl_01_retry_after_is_rounded_up_and_at_least_one() {
        for (millis, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_001, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }
}
