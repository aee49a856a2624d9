//! Where a request carries its key, and how it is taken away.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::PathAndQuery};

pub(crate) static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub(crate) static AUTHORIZATION: HeaderName = header::AUTHORIZATION;

const SCHEME: &str = "ApiKey";

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Missing,
    One(HeaderValue, Place),
    /// More than one, or a header in more than one line.
    Ambiguous,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `x-api-key`, beside an `Authorization` of another scheme or none.
    ApiKeyHeader {
        beside_authorization: bool,
    },
    Authorization,
    Query,
}

/// Takes the key of a request: from `x-api-key`, or from `Authorization` under the scheme `ApiKey`. An
/// `Authorization` of another scheme is none of ours, but there may be only one. With `keep`, all stays in place.
///
/// What was taken from a request that is then refused is of no use to anyone, and to look a header up once, for
/// finding and for removing it, is the cheapest way to do both.
pub(crate) fn take(headers: &mut HeaderMap, keep: bool) -> Credential {
    let Ok(own) = take_line(headers, &X_API_KEY, keep) else { return Credential::Ambiguous };
    let authorization = headers.get(&AUTHORIZATION);
    if authorization.is_some() && headers.get_all(&AUTHORIZATION).iter().nth(1).is_some() {
        return Credential::Ambiguous;
    }
    let is_ours = authorization.is_some_and(|value| under_scheme(value.as_bytes(), SCHEME).is_some());
    match own {
        Some(_) if is_ours => Credential::Ambiguous,
        Some(own) => {
            let beside_authorization = authorization.is_some();
            Credential::One(own, Place::ApiKeyHeader { beside_authorization })
        }
        None if is_ours => match take_line(headers, &AUTHORIZATION, keep) {
            Ok(Some(value)) => Credential::One(value, Place::Authorization),
            Ok(None) | Err(SeveralLines) => Credential::Ambiguous,
        },
        None => Credential::Missing,
    }
}

#[derive(Debug)]
pub(crate) struct SeveralLines;

/// The value of a header that may have one line. Without `keep` it is taken away.
pub(crate) fn take_line(
    headers: &mut HeaderMap,
    name: &HeaderName,
    keep: bool,
) -> Result<Option<HeaderValue>, SeveralLines> {
    if keep {
        let mut lines = headers.get_all(name).iter();
        let first = lines.next().cloned();
        return if lines.next().is_some() { Err(SeveralLines) } else { Ok(first) };
    }
    let before = headers.len();
    let first = headers.remove(name);
    // All lines are gone with the first.
    if before - headers.len() > 1 { Err(SeveralLines) } else { Ok(first) }
}

/// What `found` becomes when the query may carry a key under `parameter`, too.
pub(crate) fn find_in_query(found: Credential, uri: &Uri, parameter: &str) -> Credential {
    let query = uri.query().unwrap_or_default();
    let values = query.split('&').filter_map(|pair| value_of(pair, parameter));
    values.fold(found, |found, value| match (found, HeaderValue::from_str(value)) {
        (Credential::Missing, Ok(value)) => Credential::One(value, Place::Query),
        _ => Credential::Ambiguous,
    })
}

/// The text of the key in a value that was taken from `place`.
pub(crate) fn text(value: &HeaderValue, place: Place) -> &[u8] {
    let text = match place {
        Place::Authorization => under_scheme(value.as_bytes(), SCHEME).unwrap_or_default(),
        Place::ApiKeyHeader { .. } | Place::Query => value.as_bytes(),
    };
    text.trim_ascii()
}

/// Whether a text that is no key is more than one line of a header: proxies join them with a comma (RFC 9110
/// section 5.3), which no key holds.
pub(crate) fn is_joined(text: &[u8]) -> bool {
    text.contains(&b',')
}

/// What follows the scheme, in any case, and at least one space (RFC 9110 section 11.4).
#[inline]
pub(crate) fn under_scheme<'a>(value: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let (scheme, rest) = value.split_at_checked(wanted.len())?;
    // Nearly always it is written as it is wanted.
    let ours = (scheme == wanted.as_bytes() || scheme.eq_ignore_ascii_case(wanted.as_bytes()))
        && matches!(rest.first(), None | Some(b' ' | b'\t'));
    ours.then_some(rest)
}

fn value_of<'a>(pair: &'a str, parameter: &str) -> Option<&'a str> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name == parameter).then_some(value)
}

/// Whether there is a key, or what wants to be one.
pub(crate) fn is_presented(headers: &HeaderMap, uri: &Uri, parameter: Option<&str>) -> bool {
    let ours = |value: &HeaderValue| under_scheme(value.as_bytes(), SCHEME).is_some();
    headers.contains_key(&X_API_KEY)
        || headers.get_all(&AUTHORIZATION).iter().any(ours)
        || parameter.is_some_and(|parameter| {
            uri.query().unwrap_or_default().split('&').any(|pair| value_of(pair, parameter).is_some())
        })
}

/// Takes away an `Authorization` of another scheme beside an accepted key: nobody checked that one.
pub(crate) fn remove_authorization(headers: &mut HeaderMap) {
    headers.remove(&AUTHORIZATION);
}

/// Takes away every key that nobody looked at; an `Authorization` of another scheme stays.
pub(crate) fn remove_unchecked(headers: &mut HeaderMap) {
    headers.remove(&X_API_KEY);
    let ours = |value: &HeaderValue| under_scheme(value.as_bytes(), SCHEME).is_some();
    if headers.get_all(&AUTHORIZATION).iter().any(ours) {
        headers.remove(&AUTHORIZATION);
    }
}

/// Keeps the key where it is, out of every `Debug`.
pub(crate) fn mark_sensitive(headers: &mut HeaderMap) {
    for name in [&X_API_KEY, &AUTHORIZATION] {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

/// Takes every `parameter` out of the query; the rest stays as it was written.
pub(crate) fn remove_parameter<B>(request: &mut Request<B>, parameter: &str) {
    let Some(query) = request.uri().query() else { return };
    if !query.split('&').any(|pair| value_of(pair, parameter).is_some()) {
        return;
    }
    let rest: Vec<&str> = query.split('&').filter(|pair| value_of(pair, parameter).is_none()).collect();
    let path = request.uri().path();
    let target = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    // Parts of a target are legal in a target; were they not, nothing but the path would be safe to forward.
    let target = PathAndQuery::try_from(target).unwrap_or_else(|_| PathAndQuery::from_static("/"));
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(target);
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use bolero::TypeGenerator;
    use http::HeaderValue;

    use super::*;

    fn request(headers: &[(&'static str, &str)], target: &str) -> Request<()> {
        let mut request = Request::get(target).body(()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    /// Found with and without another header in two lines.
    fn seen(headers: &[(&'static str, &str)], target: &str) -> Result<Option<String>, ()> {
        let more = [headers, &[("accept", "a"), ("accept", "b")]].concat();
        let found = seen_in(headers, target);
        assert_eq!(found, seen_in(&more, target));
        found
    }

    fn seen_in(headers: &[(&'static str, &str)], target: &str) -> Result<Option<String>, ()> {
        let mut request = request(headers, target);
        let kept = take(request.headers_mut(), true);
        assert_eq!(request.headers().len(), headers.len(), "all stays in place");
        let found = take(request.headers_mut(), false);
        assert_eq!(found, kept);
        match find_in_query(found, request.uri(), "api_key") {
            Credential::Missing => Ok(None),
            Credential::One(value, place) => {
                assert!(!request.headers().values().any(|left| *left == value), "it was taken");
                Ok(Some(String::from_utf8(text(&value, place).to_vec()).unwrap()))
            }
            Credential::Ambiguous => Err(()),
        }
    }

    #[test]
    fn key_04_a_key_is_found_in_either_header() {
        for headers in [
            [("x-api-key", "k")],
            [("x-api-key", " k\t")],
            [("authorization", "ApiKey k")],
            [("authorization", "apikey   k ")],
            [("authorization", "APIKEY\tk")],
        ] {
            assert_eq!(seen(&headers, "/"), Ok(Some("k".into())), "{headers:?}");
        }
        for headers in [[("x-api-key", "")], [("authorization", "ApiKey")], [("authorization", "ApiKey ")]] {
            assert_eq!(seen(&headers, "/"), Ok(Some(String::new())), "{headers:?}");
        }
        for value in ["", "Bearer k", "ApiKeys k", "ApiKey:k", "Api", "k", "ApiKey=k"] {
            assert_eq!(seen(&[("authorization", value)], "/"), Ok(None), "{value}");
        }
    }

    #[test]
    fn key_04_two_credentials_are_ambiguous_even_when_equal() {
        for headers in [
            &[("x-api-key", "k"), ("x-api-key", "k")][..],
            &[("x-api-key", "k"), ("authorization", "ApiKey k")],
            &[("authorization", "ApiKey k"), ("authorization", "ApiKey k")],
            &[("authorization", "Bearer t"), ("authorization", "ApiKey k")],
            &[("authorization", "Bearer t"), ("authorization", "Basic t")],
        ] {
            assert_eq!(seen(headers, "/"), Err(()), "{headers:?}");
        }
        for (headers, target) in [
            (&[("x-api-key", "k")][..], "/?api_key=k"),
            (&[], "/?api_key=k&api_key=k"),
            (&[], "/?api_key=k&api_key"),
        ] {
            assert_eq!(seen(headers, target), Err(()), "{target}");
        }
        assert_eq!(seen(&[("x-api-key", "k"), ("authorization", "Bearer t")], "/"), Ok(Some("k".into())));
    }

    #[test]
    fn key_04_joined_lines_are_seen() {
        assert!(is_joined(b"k, k") && is_joined(b"k,ApiKey k") && !is_joined(b"k k"));
    }

    #[test]
    fn aut_06_the_query_is_read_by_opt_in() {
        assert_eq!(seen(&[], "/?a=b&api_key=k&c"), Ok(Some("k".into())));
        assert_eq!(seen(&[], "/?Api_key=k&xapi_key=k&api_key2=k"), Ok(None));
    }

    #[test]
    fn the_rest_of_a_query_stays_as_it_was() {
        for (before, after) in [
            ("/a?api_key=k", "/a"),
            ("/a?api_key=k&b=%20&c", "/a?b=%20&c"),
            ("/a?b&&api_key=k&c=1", "/a?b&&c=1"),
            ("/a?api_keys=k", "/a?api_keys=k"),
            ("/a", "/a"),
            ("http://host:1/a?api_key=k&b", "http://host:1/a?b"),
        ] {
            let mut request = request(&[], before);
            remove_parameter(&mut request, "api_key");
            assert_eq!(request.uri().to_string(), after);
        }
    }

    #[derive(Debug, TypeGenerator)]
    struct Wild {
        lines: Vec<(bool, bool, Vec<u8>)>,
        query: Option<String>,
    }

    #[test]
    fn key_04_any_header_lines_are_read_without_a_panic_and_removed_whole() {
        bolero::check!().with_type::<Wild>().for_each(|wild| {
            let mut request = Request::new(());
            let mut ours = 0;
            for (is_own, has_scheme, bytes) in &wild.lines {
                let scheme: &[u8] = if *has_scheme && !*is_own { b"ApiKey " } else { b"" };
                let Ok(value) = HeaderValue::from_bytes(&[scheme, bytes].concat()) else { continue };
                ours += usize::from(*is_own || *has_scheme);
                let name = if *is_own { &X_API_KEY } else { &AUTHORIZATION };
                request.headers_mut().append(name, value);
            }
            if let Some(uri) = wild.query.as_ref().and_then(|query| format!("/?api_key={query}").parse().ok())
            {
                *request.uri_mut() = uri;
                ours += 1;
            }
            let found = take(request.headers_mut(), true);
            match find_in_query(found, request.uri(), "api_key") {
                Credential::One(..) => assert!(ours >= 1),
                Credential::Missing => assert_eq!(ours, 0),
                Credential::Ambiguous => {}
            }
            remove_unchecked(request.headers_mut());
            remove_parameter(&mut request, "api_key");
            assert!(!request.headers().contains_key(&X_API_KEY));
            let left = request.headers().get_all(&AUTHORIZATION);
            assert!(!left.iter().any(|value| under_scheme(value.as_bytes(), SCHEME).is_some()));
            assert!(!request.uri().query().unwrap_or_default().contains("api_key="));
        });
    }
}
