//! Where ids may be sent.

use std::net::Ipv6Addr;

use http::{Request, header, uri::Scheme};

use crate::ConfigError;

/// A list of authorities, checked.
#[derive(Clone, Debug)]
pub(super) struct Authorities(Box<[Entry]>);

#[derive(Clone, Debug)]
struct Entry {
    host: Box<str>,
    port: Option<u16>,
}

impl Authorities {
    pub(super) fn new<I>(entries: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let entry = |entry: I::Item| {
            let entry = entry.into();
            match split(&entry) {
                Some((host, port)) if is_host(host) => Ok(Entry { host: host.into(), port }),
                _ => Err(ConfigError::Authority(entry)),
            }
        };
        let entries = entries.into_iter().map(entry).collect::<Result<Box<[_]>, _>>()?;
        if entries.is_empty() {
            return Err(ConfigError::NoAuthority);
        }
        Ok(Self(entries))
    }

    /// Whether `request` goes to one of them.
    pub(super) fn contain<B>(&self, request: &Request<B>) -> bool {
        let uri = request.uri();
        let authority = match uri.authority() {
            // What stands before an `@` is no part of where it goes.
            Some(authority) => authority.as_str().rsplit('@').next(),
            None => request.headers().get(header::HOST).and_then(|host| host.to_str().ok()),
        };
        let Some((host, port)) = authority.and_then(split) else { return false };
        let default = uri.scheme().and_then(default_port);
        let port = port.or(default);
        self.0.iter().any(|entry| entry.port.or(default) == port && is_same(&entry.host, host))
    }
}

pub(super) fn default_port(scheme: &Scheme) -> Option<u16> {
    if *scheme == Scheme::HTTP {
        Some(80)
    } else if *scheme == Scheme::HTTPS {
        Some(443)
    } else {
        None
    }
}

/// `host` or `host:port`, where the host of an IPv6 address stands in brackets.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[end..].find(':').map(|colon| authority.split_at(end + colon)) {
        None => Some((authority, None)),
        Some((host, port)) => {
            let port = &port[1..];
            // `parse` would take a sign.
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            Some((host, Some(port.parse().ok().filter(|_| is_number)?)))
        }
    }
}

fn is_host(host: &str) -> bool {
    in_brackets(host).is_some()
        || (!host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')))
}

fn is_same(known: &str, host: &str) -> bool {
    known.eq_ignore_ascii_case(host)
        // One address has many spellings.
        || in_brackets(known).is_some_and(|known| in_brackets(host) == Some(known))
}

fn in_brackets(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(list: &[&str], uri: &str, host: Option<&str>) -> bool {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        Authorities::new(list.iter().copied()).unwrap().contain(&request.body(()).unwrap())
    }

    #[test]
    fn an_authority_is_host_and_port_in_any_case() {
        for (entry, uri, expected) in [
            ("stock.internal", "http://stock.internal/x", true),
            ("Stock.Internal", "http://STOCK.internal/x", true),
            ("stock.internal", "https://stock.internal/x", true),
            ("stock.internal", "https://stock.internal:443/x", true),
            ("stock.internal", "http://stock.internal:80/x", true),
            ("stock.internal", "http://stock.internal:443/x", false),
            ("stock.internal", "http://stock.internal:8080/x", false),
            ("stock.internal:80", "http://stock.internal/x", true),
            ("stock.internal:80", "https://stock.internal/x", false),
            ("stock.internal:8080", "http://stock.internal:8080/x", true),
            ("stock.internal:8080", "http://stock.internal/x", false),
            ("stock.internal", "http://stock.internal.evil.example/x", false),
            ("stock.internal", "http://evil.example/stock.internal", false),
            ("stock.internal", "http://stock.internal@evil.example/", false),
            ("stock.internal", "http://stock.internal:80@evil.example/", false),
            ("stock.internal", "http://user:pass@stock.internal/", true),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/", true),
            ("[::1]:5000", "http://[::1]:5000/", true),
            ("[::1]:5000", "http://[0:0:0:0:0:0:0:1]:5000/", true),
            ("[::1]", "http://[::1]/", true),
            ("[::1]", "http://[::2]/", false),
            ("stock.internal", "grpc://stock.internal/", true),
            ("stock.internal:80", "grpc://stock.internal/", false),
        ] {
            assert_eq!(goes(&[entry], uri, None), expected, "{entry} {uri}");
        }
        assert!(goes(&["a", "b"], "http://b/", None));
    }

    #[test]
    fn the_host_header_counts_only_where_the_uri_says_nothing() {
        assert!(goes(&["stock.internal:80"], "/x", Some("stock.internal:80")));
        assert!(goes(&["stock.internal"], "/x", Some("stock.internal")));
        assert!(!goes(&["stock.internal"], "/x", Some("evil.example")));
        assert!(!goes(&["stock.internal"], "/x", Some("a@stock.internal")));
        assert!(!goes(&["stock.internal"], "/x", None));
        assert!(!goes(&["stock.internal"], "http://evil.example/x", Some("stock.internal")));
    }

    #[test]
    fn lay_06_a_bad_authority_fails_where_it_is_set() {
        for bad in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:+80",
            "a:65536",
            "a:80:80",
            "https://a",
            "a/b",
            "user@a",
            "*.a",
            "a b",
            "ä.example",
            "::1",
            "[::1",
            "[::1]x",
            "[a]",
            "[::1]:",
        ] {
            let error = Authorities::new(["good.example", bad]).unwrap_err();
            assert_eq!(error, ConfigError::Authority(bad.to_owned()));
            assert!(error.to_string().starts_with("authorities: "), "{error}");
        }
        let none: [&str; 0] = [];
        assert_eq!(Authorities::new(none).unwrap_err().to_string(), "authorities: the list is empty");
    }

    #[test]
    fn no_authority_makes_it_panic() {
        bolero::check!().with_type::<String>().for_each(|text| {
            if let Some((host, _)) = split(text) {
                assert!(text.starts_with(host));
                let _ = is_host(host) && is_same(host, "[::1]");
            }
        });
    }
}
