//! Addresses that keys and tokens are fetched from.

use std::{fmt, net::IpAddr};

use http::{Uri, uri::Scheme};

use crate::{ConfigError, error::Part};

/// An address that is fetched from: https, or http to this machine where that is allowed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Uri);

/// What every address must be, for an error.
const FORM: &str = "must be an https address with a host, without user, password and fragment";

impl Endpoint {
    /// The longest that is taken: a discovery document may name any.
    const MAX: usize = 2048;

    /// The address in `text`; `None` if it is not one to fetch from.
    pub(crate) fn parse(text: &str, loopback_http: bool) -> Option<Self> {
        // `Uri` drops a fragment silently.
        if text.len() > Self::MAX || text.contains('#') {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let host = authority.host();
        let scheme = uri.scheme()?;
        let secure = *scheme == Scheme::HTTPS;
        let allowed = secure || (loopback_http && *scheme == Scheme::HTTP && is_loopback(host));
        (allowed && !host.is_empty() && !authority.as_str().contains('@')).then_some(Self(uri))
    }

    /// The same for a setting.
    pub(crate) fn configured(
        part: Part,
        field: &'static str,
        text: &str,
        loopback_http: bool,
    ) -> Result<Self, ConfigError> {
        Self::parse(text, loopback_http).ok_or_else(|| ConfigError::new(part, field, FORM))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// How it is called in logs and metrics: without the query, which may hold what nobody should read.
    pub(crate) fn name(&self) -> String {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}{}", self.0.path())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Whether the host of an address is this machine, by its name or as an address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jwk_01_only_https_is_fetched_from() {
        for good in ["https://id.example", "https://id.example:8443/keys?v=1", "HTTPS://id.example/"] {
            assert!(Endpoint::parse(good, false).is_some(), "{good}");
        }
        for bad in [
            "http://id.example/keys",
            "http://127.0.0.1/keys",
            "https://alice:secret@id.example/keys",
            "https://id.example/keys#fragment",
            "file:///etc/passwd",
            "ftp://id.example/keys",
            "/keys",
            "id.example:443",
            "https://",
            "https://:443/keys",
            "",
            &format!("https://id.example/{}", "x".repeat(2048)),
        ] {
            assert!(Endpoint::parse(bad, false).is_none(), "{bad}");
        }
    }

    #[test]
    fn jwk_01_http_is_for_this_machine_alone_and_only_where_it_is_allowed() {
        for good in ["http://127.0.0.1:1/keys", "http://localhost:80", "http://[::1]:9000/"] {
            assert!(Endpoint::parse(good, true).is_some(), "{good}");
            assert!(Endpoint::parse(good, false).is_none(), "{good}");
        }
        for bad in
            ["http://id.example/", "http://10.0.0.1/", "http://localhost.example/", "http://127.0.0.1@a.b/"]
        {
            assert!(Endpoint::parse(bad, true).is_none(), "{bad}");
        }
    }

    #[test]
    fn no_query_is_shown() {
        let endpoint = Endpoint::parse("https://id.example/keys?token=s3cret", false).unwrap();
        assert_eq!(endpoint.name(), "https://id.example/keys");
        assert_eq!(format!("{endpoint:?}"), "https://id.example/keys");
    }
}
