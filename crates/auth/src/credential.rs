//! Where a request carries its key, and how it is taken away.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::PathAndQuery};

pub(crate) static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

static AUTHORIZATION: HeaderName = header::AUTHORIZATION;

const SCHEME: &[u8] = b"ApiKey";

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    Missing,
    One(&'a [u8], Place),
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

/// Finds the key of a request: in `x-api-key`, in `Authorization` under the scheme `ApiKey`, or in the query
/// under `parameter`. An `Authorization` of another scheme is none of ours, but there may be only one.
pub(crate) fn find<'a>(headers: &'a HeaderMap, uri: &'a Uri, parameter: Option<&str>) -> Credential<'a> {
    let (mut own, mut authorization) = (None, None);
    // One walk over the few headers of a request costs less than to look two names up, and sees every line.
    for (name, value) in headers {
        let line = match name.as_str() {
            "x-api-key" => &mut own,
            "authorization" => &mut authorization,
            _ => continue,
        };
        if line.replace(value.as_bytes()).is_some() {
            return Credential::Ambiguous;
        }
    }
    let under_scheme = authorization.and_then(under_scheme);
    let found = match (own, under_scheme) {
        (None, None) => Credential::Missing,
        (None, Some(key)) => Credential::One(key.trim_ascii(), Place::Authorization),
        (Some(key), None) => {
            let place = Place::ApiKeyHeader { beside_authorization: authorization.is_some() };
            Credential::One(key.trim_ascii(), place)
        }
        (Some(_), Some(_)) => Credential::Ambiguous,
    };
    match parameter {
        Some(parameter) => find_in_query(found, uri.query().unwrap_or_default(), parameter),
        None => found,
    }
}

#[cold]
fn find_in_query<'a>(found: Credential<'a>, query: &'a str, parameter: &str) -> Credential<'a> {
    let values = query.split('&').filter_map(|pair| value_of(pair, parameter));
    values.fold(found, |found, value| match found {
        Credential::Missing => Credential::One(value.as_bytes(), Place::Query),
        _ => Credential::Ambiguous,
    })
}

/// Whether a text that is no key is more than one line of a header: proxies join them with a comma (RFC 9110
/// section 5.3), which no key holds.
pub(crate) fn is_joined(text: &[u8]) -> bool {
    text.contains(&b',')
}

/// What follows the scheme, in any case, and at least one space (RFC 9110 section 11.4).
fn under_scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let ours = scheme.eq_ignore_ascii_case(SCHEME) && matches!(rest.first(), None | Some(b' ' | b'\t'));
    ours.then_some(rest)
}

fn value_of<'a>(pair: &'a str, parameter: &str) -> Option<&'a str> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name == parameter).then_some(value)
}

/// Takes an accepted key out of the headers, and with it an `Authorization` of another scheme: nobody checked
/// that one.
#[inline]
pub(crate) fn remove(headers: &mut HeaderMap, place: Place) {
    match place {
        Place::ApiKeyHeader { beside_authorization } => {
            headers.remove(&X_API_KEY);
            if beside_authorization {
                headers.remove(&AUTHORIZATION);
            }
        }
        Place::Authorization | Place::Query => {
            headers.remove(&AUTHORIZATION);
        }
    }
}

/// Takes away every key that nobody looked at; an `Authorization` of another scheme stays.
pub(crate) fn remove_unchecked(headers: &mut HeaderMap) {
    headers.remove(&X_API_KEY);
    let ours = |value: &HeaderValue| under_scheme(value.as_bytes()).is_some();
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
        let request = request(headers, target);
        match find(request.headers(), request.uri(), Some("api_key")) {
            Credential::Missing => Ok(None),
            Credential::One(key, _) => Ok(Some(String::from_utf8(key.to_vec()).unwrap())),
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
        let request = request(&[], "/?api_key=k");
        assert!(find(request.headers(), request.uri(), None) == Credential::Missing);
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
            match find(request.headers(), request.uri(), Some("api_key")) {
                Credential::One(..) => assert!(ours >= 1),
                Credential::Missing => assert_eq!(ours, 0),
                Credential::Ambiguous => {}
            }
            remove_unchecked(request.headers_mut());
            remove_parameter(&mut request, "api_key");
            assert!(!request.headers().contains_key(&X_API_KEY));
            let left = request.headers().get_all(&AUTHORIZATION);
            assert!(!left.iter().any(|value| under_scheme(value.as_bytes()).is_some()));
            assert!(!request.uri().query().unwrap_or_default().contains("api_key="));
        });
    }
}
