//! `Authorization: Bearer` (RFC 6750), and `DPoP` (RFC 9449): where the token is.

use http::{HeaderMap, HeaderValue, Uri, header};

use crate::{
    Failure,
    credential::{AUTHORIZATION, take_line, under_scheme},
};

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    /// With a proof that the caller holds the key of the token.
    Dpop,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// That of a value of `Authorization`, if it is ours: `DPoP` is where the layer takes it.
    fn of(value: &HeaderValue, takes_dpop: bool) -> Option<Self> {
        let is_under = |scheme: Self| under_scheme(value.as_bytes(), scheme.as_str()).is_some();
        if is_under(Self::Bearer) {
            Some(Self::Bearer)
        } else {
            (takes_dpop && is_under(Self::Dpop)).then_some(Self::Dpop)
        }
    }
}

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    Missing,
    /// The whole value of `Authorization`, and its scheme.
    One(HeaderValue, Scheme),
    /// More than one, or a header in more than one line.
    Ambiguous,
}

/// Whether there is a token, or what wants to be one.
pub(crate) fn is_presented(headers: &HeaderMap, takes_dpop: bool) -> bool {
    headers.get_all(&AUTHORIZATION).iter().any(|value| Scheme::of(value, takes_dpop).is_some())
}

/// Takes the token of a request. An `Authorization` of another scheme stays where it is. With `keep`, all does.
///
/// A token [in the query](is_in_query) is no credential here (AUT-06); beside one in the header it is a second one
/// (RFC 6750 section 2).
pub(crate) fn take(headers: &mut HeaderMap, takes_dpop: bool, in_query: bool, keep: bool) -> Presented {
    let Ok(found) = take_line(headers, &AUTHORIZATION, keep) else { return Presented::Ambiguous };
    let Some(value) = found else { return Presented::Missing };
    let Some(scheme) = Scheme::of(&value, takes_dpop) else {
        if !keep {
            headers.insert(&AUTHORIZATION, value);
        }
        return Presented::Missing;
    };
    if in_query { Presented::Ambiguous } else { Presented::One(value, scheme) }
}

/// Whether there is a token where RFC 6750 section 2.3 has one in the query.
pub(crate) fn is_in_query(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("access_token=")))
}

/// Takes away every token that nobody looked at.
pub(crate) fn remove_unchecked(headers: &mut HeaderMap, takes_dpop: bool) {
    if is_presented(headers, takes_dpop) {
        headers.remove(&AUTHORIZATION);
    }
}

/// Keeps the token where it is, out of every `Debug`.
pub(crate) fn mark_sensitive(headers: &mut HeaderMap) {
    if let header::Entry::Occupied(mut values) = headers.entry(&AUTHORIZATION) {
        values.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

/// The token in the value of `Authorization`, which is of this scheme, if one space or more stands before it. What it is
/// made of is not looked at yet.
pub(crate) fn token(value: &HeaderValue, scheme: Scheme) -> &[u8] {
    let mut rest = value.as_bytes().get(scheme.as_str().len()..).unwrap_or_default();
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// What is wrong with a header whose token is not accepted: nothing, if it has the form `b64token` (RFC 6750
/// section 2.1).
pub(crate) fn check_form(token: &[u8]) -> Result<(), Failure> {
    let equals = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &token[..token.len() - equals];
    if !body.is_empty() && body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte)) {
        return Ok(());
    }
    // Proxies join lines with a comma (RFC 9110 section 5.3).
    Err(if token.contains(&b',') { Failure::Ambiguous } else { Failure::MalformedHeader })
}

#[cfg(test)]
mod tests {
    use bolero::TypeGenerator;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::AUTHORIZATION, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn seen(lines: &[&str], target: &'static str) -> Result<Option<String>, ()> {
        let in_query = is_in_query(&Uri::from_static(target));
        let kept = take(&mut headers(lines), true, in_query, true);
        let mut headers = headers(lines);
        let taken = take(&mut headers, true, in_query, false);
        assert_eq!(taken, kept);
        match taken {
            Presented::Missing => {
                assert_eq!(headers.len(), lines.len(), "what is not ours stays");
                Ok(None)
            }
            Presented::Ambiguous => Err(()),
            Presented::One(value, scheme) => {
                assert!(headers.is_empty());
                check_form(token(&value, scheme)).map_err(|_| ())?;
                Ok(Some(String::from_utf8(token(&value, scheme).to_vec()).unwrap()))
            }
        }
    }

    #[test]
    fn aut_02_a_token_is_found_under_its_scheme_in_any_case_after_one_space_or_more() {
        for line in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(seen(&[line], "/"), Ok(Some("a.b.c".into())), "{line}");
        }
        for (takes_dpop, expected) in [(true, Some(Scheme::Dpop)), (false, None)] {
            assert_eq!(Scheme::of(&HeaderValue::from_static("dpop a.b.c"), takes_dpop), expected);
            assert_eq!(is_presented(&headers(&["dpop a.b.c"]), takes_dpop), takes_dpop);
        }
        assert_eq!(seen(&["Bearer a-._~+/=="], "/"), Ok(Some("a-._~+/==".into())));
        for line in ["Basic a", "BearerX a", "Bear", "", "ApiKey a", "Bearer=a"] {
            assert_eq!(seen(&[line], "/"), Ok(None), "{line}");
        }
        for line in [
            "Bearer",
            "Bearer ",
            "Bearer\ta",
            "Bearer a b",
            "Bearer =",
            "Bearer a=b",
            "Bearer {}",
            "Bearer \"a\"",
        ] {
            assert_eq!(seen(&[line], "/"), Err(()), "{line}");
        }
    }

    #[test]
    fn aut_02_two_credentials_are_ambiguous_even_when_equal() {
        for lines in [
            ["Bearer a", "Bearer a"],
            ["Bearer a", "Basic a"],
            ["Basic a", "Bearer a"],
            ["DPoP a", "Bearer a"],
        ] {
            assert_eq!(seen(&lines, "/"), Err(()), "{lines:?}");
        }
        assert_eq!(seen(&["Bearer a"], "/?x=1&access_token=a"), Err(()));
        assert_eq!(seen(&["Bearer a"], "/?xaccess_token=a"), Ok(Some("a".into())));
        assert_eq!(seen(&[], "/?access_token=a"), Ok(None), "AUT-06: no credential here");
        assert_eq!(check_form(b"a,Bearer b"), Err(Failure::Ambiguous));
    }

    #[derive(Debug, TypeGenerator)]
    struct Line {
        scheme: u8,
        rest: Vec<u8>,
    }

    #[test]
    fn aut_02_any_header_lines_are_read_without_a_panic_and_removed_whole() {
        bolero::check!().with_type::<Vec<Line>>().for_each(|lines| {
            let mut headers = HeaderMap::new();
            for Line { scheme, rest } in lines {
                let scheme: &[u8] =
                    [&b"Bearer "[..], b"bEARER  ", b"dPoP ", b"Basic ", b""][usize::from(*scheme) % 5];
                if let Ok(value) = HeaderValue::from_bytes(&[scheme, rest].concat()) {
                    headers.append(header::AUTHORIZATION, value);
                }
            }
            let lines = headers.len();
            match take(&mut headers.clone(), true, false, false) {
                Presented::One(value, scheme) => {
                    assert_eq!(lines, 1);
                    let _ = check_form(token(&value, scheme));
                }
                Presented::Missing => assert!(lines <= 1),
                Presented::Ambiguous => assert!(lines > 1),
            }
            remove_unchecked(&mut headers, true);
            assert!(!is_presented(&headers, true));
        });
    }
}
