//! Whom a request goes to.

use std::borrow::Cow;

use http::{HeaderMap, Uri, header, uri::Scheme};

/// The longest name that an upstream of its own gets; DNS has none longer, and a port.
const LONGEST: usize = 255 + 6;

/// Host and port in lower case, without user information and without the scheme's own port. Empty when the request
/// does not tell, or tells too much.
pub(crate) fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Cow<'a, str> {
    let authority = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    // What stands before an `@` is no part of where it goes.
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let own_port = if uri.scheme() == Some(&Scheme::HTTPS) { ":443" } else { ":80" };
    let authority = authority.strip_suffix(own_port).unwrap_or(authority);
    if authority.len() > LONGEST {
        return Cow::Borrowed("");
    }
    if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(authority.to_ascii_lowercase())
    } else {
        Cow::Borrowed(authority)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of<B>(request: &Request<B>) -> Cow<'_, str> {
        super::of(request.uri(), request.headers())
    }

    #[test]
    fn rl_14_one_upstream_has_one_name() {
        for (uri, host, expected) in [
            ("https://api.example/x", None, "api.example"),
            ("https://API.example:443/x", None, "api.example"),
            ("http://api.example:443/x", None, "api.example:443"),
            ("http://user:secret@api.example:80/", None, "api.example"),
            ("http://[::1]:8080/", None, "[::1]:8080"),
            ("/x", Some("Api.example:80"), "api.example"),
            ("/x", None, ""),
        ] {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            assert_eq!(of(&request.body(()).unwrap()), expected, "{uri}");
        }
        let long = format!("http://{}/", "a".repeat(300));
        assert_eq!(of(&Request::get(long).body(()).unwrap()), "");
    }
}
