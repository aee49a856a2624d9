//! Where clients find the service, and whether a proof is for it.

use http::Uri;

use crate::{ConfigError, error::Part};

/// Scheme, host and port, and what stands before the path of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    origin: Origin,
    prefix: Box<str>,
}

/// Normalized (RFC 3986 sections 6.2.2.1 and 6.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_https: bool,
    host: String,
    port: u16,
}

impl Address {
    pub(super) fn read(address: &str) -> Result<Self, ConfigError> {
        let error = || {
            ConfigError::new(
                Part::Dpop,
                "address",
                "must be `https://` or `http://`, a host, and perhaps a port and a path",
            )
        };
        let uri: Uri = address.parse().map_err(|_| error())?;
        let origin = Origin::of(&uri).ok_or_else(error)?;
        if address.contains(['?', '#']) {
            return Err(error());
        }
        Ok(Self { origin, prefix: uri.path().trim_end_matches('/').into() })
    }

    /// Whether `htu` is the address of a request for `path`. A query and a fragment do not count (RFC 9449 section
    /// 4.3).
    pub(super) fn is_target(&self, htu: &str, path: &str) -> bool {
        let Ok(uri) = htu.parse::<Uri>() else { return false };
        let path = if path.is_empty() { "/" } else { path };
        Origin::of(&uri).is_some_and(|origin| origin == self.origin)
            && normalized(uri.path().bytes()) == normalized(self.prefix.bytes().chain(path.bytes()))
    }
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let is_https = match uri.scheme_str()? {
            scheme if scheme.eq_ignore_ascii_case("https") => true,
            scheme if scheme.eq_ignore_ascii_case("http") => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let host = uri.host()?;
        // A user before the host does not match, nor does a port that is none.
        let port = match authority.strip_prefix(host)? {
            "" | ":" => {
                if is_https {
                    443
                } else {
                    80
                }
            }
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        (!host.is_empty()).then(|| Self { is_https, host: host.to_ascii_lowercase(), port })
    }
}

/// A path in which nothing is escaped that need not be, and hexadecimal digits are large (RFC 3986 section 6.2.2).
fn normalized(path: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut rest = path;
    let mut all = Vec::with_capacity(rest.size_hint().0);
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            all.push(byte);
            continue;
        }
        let digits: Vec<u8> = rest.by_ref().take(2).collect();
        let value = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => all.push(value),
            _ => {
                all.push(b'%');
                all.extend(digits.iter().map(u8::to_ascii_uppercase));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pop_01_addresses_compare_normalized_and_without_query_and_fragment() {
        let address = Address::read("HTTPS://Api.Example").unwrap();
        for htu in [
            "https://api.example/a/b",
            "HTTPS://API.example:443/a/b",
            "https://api.example:/a/b",
            "https://api.example/a/b?c=d",
            "https://api.example/a/b#c",
            "https://api.example/%61/b",
        ] {
            assert!(address.is_target(htu, "/a/b"), "{htu}");
        }
        for htu in [
            "",
            "/a/b",
            "api.example/a/b",
            "http://api.example/a/b",
            "https://api.example:444/a/b",
            "https://api.example:99999/a/b",
            "https://api.example:x/a/b",
            "https://user@api.example/a/b",
            "https://api.example.evil/a/b",
            "https://evil/a/b",
            "https://api.example/A/b",
            "https://api.example/a/b/",
            "https://api.example/a%2Fb",
            "https://api.example/a/c/../b",
            "https://api.example/",
            "ftp://api.example/a/b",
            " https://api.example/a/b",
        ] {
            assert!(!address.is_target(htu, "/a/b"), "{htu}");
        }
        assert!(
            address.is_target("https://api.example", "/") && address.is_target("https://api.example/", "")
        );
        assert!(address.is_target("https://api.example/%2fx%7e", "/%2Fx~"));
        assert!(!address.is_target("https://api.example/%zz", "/"));
    }

    #[test]
    fn pop_02_behind_a_proxy_the_address_is_what_clients_see() {
        for base in ["http://Api.example:8080/v1", "http://api.example:8080/v1/"] {
            let address = Address::read(base).unwrap();
            assert!(address.is_target("http://api.example:8080/v1/a", "/a"));
            assert!(address.is_target("http://api.example:8080/v1/", "/"));
            assert!(!address.is_target("http://api.example:8080/a", "/a"));
            assert!(!address.is_target("http://api.example/v1/a", "/a"));
        }
        for base in
            ["", "api.example", "/", "ftp://a", "https://", "https://a?b", "https://a#b", "https://u@a"]
        {
            assert_eq!(Address::read(base).unwrap_err().field(), "address", "{base}");
        }
    }

    #[test]
    fn pop_01_any_address_is_read_without_a_panic() {
        let address = Address::read("https://api.example/v1").unwrap();
        bolero::check!().with_type::<(String, String)>().for_each(|(htu, path)| {
            let _ = address.is_target(htu, path);
            let ours = format!("https://api.example/v1/{htu}");
            let uri = ours.parse::<Uri>();
            let expected = uri.as_ref().ok().and_then(|uri| uri.path().strip_prefix("/v1"));
            if let Some(path) = expected {
                assert!(address.is_target(&ours, path));
            }
        });
    }
}
