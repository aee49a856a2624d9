//! What spans say, in the words of OpenTelemetry's semantic conventions.

use std::borrow::Cow;

use bartizan_core::{MethodName, excerpt};
use http::{HeaderMap, Method, Request, Version, header, uri::Authority};
use percent_encoding::{CONTROLS, utf8_percent_encode};

/// A standard method; for any other `_OTHER` and what the caller wrote.
pub(crate) fn method(method: &Method) -> (&'static str, Option<Cow<'_, str>>) {
    let known = MethodName::of(method);
    let original = (known == MethodName::OTHER).then(|| excerpt(method.as_str()));
    (known.as_str(), original)
}

/// What is no printable ASCII is percent-encoded: `http` lets any UTF-8 through, and so line ends of its own.
pub(crate) fn printable(text: &str, max: usize) -> Cow<'_, str> {
    utf8_percent_encode(cut(text, max), CONTROLS).into()
}

/// No name is longer (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 255;

/// Whom a request is meant for: as it says itself.
pub(crate) fn server<B>(request: &Request<B>) -> Option<Authority> {
    let from_host = |headers: &HeaderMap| Authority::try_from(headers.get(header::HOST)?.as_bytes()).ok();
    request.uri().authority().cloned().or_else(|| from_host(request.headers()))
}

/// The host of an authority: of an IPv6 address without its brackets.
pub(crate) fn address(authority: &Authority) -> &str {
    cut(authority.host(), MAX_HOST).trim_start_matches('[').trim_end_matches(']')
}

pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

pub(crate) fn hex(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

/// The first bytes of a text, as far as they are characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((cut("abc", 3), cut("abc", 2)), ("abc", "ab"));
        assert_eq!(cut("aé", 2), "a");
    }

    #[test]
    fn obs_02_an_address_has_no_brackets() {
        for (authority, expected) in
            [("[::1]:8443", "::1"), ("a.example:1", "a.example"), ("10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(address(&authority.parse().unwrap()), expected);
        }
    }
}
