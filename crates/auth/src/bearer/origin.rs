//! Where a token may be sent.

use http::Uri;

use crate::{ConfigError, error::Part, outbound::Endpoint};

/// Scheme, host and port (RFC 6454 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// An origin as it is written: an address without anything behind the port.
    pub(super) fn parse(index: usize, text: &str, loopback_http: bool) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::parse(text, loopback_http)
            .filter(|endpoint| matches!(endpoint.uri().path(), "" | "/") && !text.contains('?'));
        endpoint.and_then(|endpoint| Self::of(endpoint.uri())).ok_or_else(|| {
            let problem = "must be scheme, host and port of an https address, and nothing more";
            ConfigError::new(Part::Bearer, format!("origins[{index}]"), problem)
        })
    }

    fn of(uri: &Uri) -> Option<Self> {
        let (scheme, host, port) = parts(uri)?;
        Some(Self { scheme: scheme.into(), host: host.to_ascii_lowercase().into(), port })
    }

    pub(super) fn is_of(&self, uri: &Uri) -> bool {
        parts(uri).is_some_and(|(scheme, host, port)| {
            port == self.port && *scheme == *self.scheme && host.eq_ignore_ascii_case(&self.host)
        })
    }
}

fn parts(uri: &Uri) -> Option<(&str, &str, u16)> {
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let port = match (authority.port_u16(), scheme) {
        (Some(port), _) => port,
        // A port that is there and is none is nobody's.
        (None, _) if authority.as_str().ends_with(':') || authority.port().is_some() => return None,
        (None, "https") => 443,
        (None, "http") => 80,
        _ => return None,
    };
    Some((scheme, authority.host(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of(origin: &str, uri: &str) -> bool {
        Origin::parse(0, origin, true).unwrap().is_of(&uri.parse().unwrap())
    }

    #[test]
    fn aut_08_scheme_host_and_port_must_be_the_same() {
        for same in ["https://api.example/a?b", "https://API.Example:443/", "HTTPS://api.example"] {
            assert!(is_of("https://api.example", same), "{same}");
        }
        for other in [
            "http://api.example/",
            "https://api.example:8443/",
            "https://api.example.evil.example/",
            "https://evil.example/api.example",
            "https://api.example@evil.example/",
            "https://xapi.example/",
            "https://api.example./",
            "/orders",
            "api.example:443",
        ] {
            assert!(!is_of("https://api.example", other), "{other}");
        }
        assert!(is_of("http://127.0.0.1:8080", "http://127.0.0.1:8080/a"));
        assert!(!is_of("http://127.0.0.1:8080", "http://127.0.0.1/a"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in
            ["https://api.example/v1", "https://api.example?x", "http://api.example", "api.example", "*", ""]
        {
            assert_eq!(Origin::parse(3, bad, true).unwrap_err().field(), "origins[3]", "{bad}");
        }
        assert!(Origin::parse(0, "http://127.0.0.1:1", false).is_err());
        assert!(Origin::parse(0, "https://api.example/", false).is_ok());
    }
}
