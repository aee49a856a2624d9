//! Where an issuer says that its keys are: OpenID Connect Discovery 1.0, RFC 8414.

use std::{error::Error, fmt};

use serde::Deserialize;

use crate::{ConfigError, error::Part, outbound::Endpoint};

/// An issuer, and the two places where its document may be.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    name: Box<str>,
    pub(super) documents: [Endpoint; 2],
}

/// What is wrong with a discovery document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiscoveryError {
    Malformed,
    OtherIssuer,
    BadKeyAddress,
}

impl Issuer {
    pub(super) fn new(issuer: &str, loopback_http: bool) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::configured(Part::RemoteKeys, "issuer", issuer, loopback_http)?;
        // RFC 8414 section 2.
        if issuer.contains('?') {
            return Err(ConfigError::new(Part::RemoteKeys, "issuer", "must not have a query"));
        }
        let (uri, path) = (endpoint.uri(), endpoint.uri().path().trim_end_matches('/'));
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let documents = [
            // OpenID Connect Discovery section 4: after the path.
            format!("{scheme}://{authority}{path}/.well-known/openid-configuration"),
            // RFC 8414 section 3.1: before it.
            format!("{scheme}://{authority}/.well-known/oauth-authorization-server{path}"),
        ];
        let [first, second] = documents
            .map(|document| Endpoint::configured(Part::RemoteKeys, "issuer", &document, loopback_http));
        Ok(Self { name: issuer.into(), documents: [first?, second?] })
    }

    /// As configured: compared with documents to the byte.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the document says that the keys are.
    pub(super) fn key_address(
        &self,
        document: &[u8],
        loopback_http: bool,
    ) -> Result<Endpoint, DiscoveryError> {
        let document: Document<'_> =
            serde_json::from_slice(document).map_err(|_| DiscoveryError::Malformed)?;
        if document.issuer != *self.name {
            return Err(DiscoveryError::OtherIssuer);
        }
        Endpoint::parse(&document.jwks_uri, loopback_http).ok_or(DiscoveryError::BadKeyAddress)
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    issuer: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    jwks_uri: std::borrow::Cow<'a, str>,
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the discovery document is not a JSON object with `issuer` and `jwks_uri`",
            Self::OtherIssuer => "the discovery document is another issuer's",
            Self::BadKeyAddress => "the `jwks_uri` of the discovery document is not one to fetch from",
        })
    }
}

impl Error for DiscoveryError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jwk_01_the_document_is_after_the_path_or_before_it() {
        for (issuer, openid, oauth) in [
            (
                "https://id.example",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example/",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example:8443/realms/shop",
                "https://id.example:8443/realms/shop/.well-known/openid-configuration",
                "https://id.example:8443/.well-known/oauth-authorization-server/realms/shop",
            ),
        ] {
            let issuer = Issuer::new(issuer, false).unwrap();
            assert_eq!(issuer.documents.each_ref().map(Endpoint::name), [openid, oauth]);
        }
        for bad in
            ["http://id.example", "https://id.example?tenant=1", "https://id.example#a", "id.example", ""]
        {
            assert_eq!(Issuer::new(bad, false).unwrap_err().field(), "issuer", "{bad}");
        }
    }

    #[test]
    fn jwk_01_the_document_must_be_the_issuers_own_and_name_a_safe_address() {
        let issuer = Issuer::new("https://id.example/a", false).unwrap();
        let read = |document: serde_json::Value| issuer.key_address(document.to_string().as_bytes(), false);
        let good =
            json!({"issuer": "https://id.example/a", "jwks_uri": "https://keys.example/k", "more": []});
        assert_eq!(read(good).unwrap().name(), "https://keys.example/k");
        for other in [
            "https://id.example/a/",
            "https://id.example/A",
            "https://ID.example/a",
            "https://evil.example",
            "",
        ] {
            let document = json!({"issuer": other, "jwks_uri": "https://keys.example/k"});
            assert_eq!(read(document), Err(DiscoveryError::OtherIssuer), "{other}");
        }
        for uri in
            ["http://keys.example/k", "http://127.0.0.1/k", "file:///etc/passwd", "/k", "", "https://a@b/k"]
        {
            let document = json!({"issuer": "https://id.example/a", "jwks_uri": uri});
            assert_eq!(read(document), Err(DiscoveryError::BadKeyAddress), "{uri}");
        }
        for malformed in
            [json!({}), json!([]), json!({"issuer": 1}), json!({"issuer": "https://id.example/a"})]
        {
            assert_eq!(read(malformed), Err(DiscoveryError::Malformed));
        }
        let twice = br#"{"issuer":"https://evil.example","issuer":"https://id.example/a","jwks_uri":"https://k.example"}"#;
        assert_eq!(issuer.key_address(twice, false), Err(DiscoveryError::Malformed), "no name occurs twice");
    }

    #[test]
    fn jwk_01_fuzz_no_document_leads_to_an_unsafe_address() {
        let issuer = Issuer::new("https://a.b", false).unwrap();
        bolero::check!().for_each(|bytes: &[u8]| {
            if let Ok(address) = issuer.key_address(bytes, false) {
                assert_eq!(address.uri().scheme_str(), Some("https"));
            }
            // A document that is well formed whatever the address is made of.
            let document = json!({"issuer": "https://a.b", "jwks_uri": String::from_utf8_lossy(bytes)});
            if let Ok(address) = issuer.key_address(document.to_string().as_bytes(), false) {
                assert_eq!(address.uri().scheme_str(), Some("https"));
                assert!(!address.name().contains('@'));
            }
        });
    }
}
