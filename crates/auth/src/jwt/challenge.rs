//! What a layer that wants a token answers (RFC 6750 section 3, RFC 9449 section 7.1).

use http::HeaderValue;

use super::bearer::Scheme;
use crate::{ConfigError, challenge, error::Part};

/// What is wrong with a request. Of each there is one text, whatever the cause (AUT-07).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// Nothing was presented, so nothing is wrong with it (RFC 6750 section 3.1).
    Nothing,
    InvalidToken,
    InvalidRequest,
    InvalidProof,
    NonceWanted,
}

/// In the order of [`Complaint`]; the last two are about proofs, and said under [`Scheme::Dpop`] alone.
const PARAMETERS: [&str; 5] = [
    "",
    ", error=\"invalid_token\", error_description=\"The access token is not accepted\"",
    ", error=\"invalid_request\", \
     error_description=\"The request must carry one access token, in one Authorization header\"",
    ", error=\"invalid_dpop_proof\", error_description=\"The request must carry one good DPoP proof\"",
    ", error=\"use_dpop_nonce\", error_description=\"The DPoP proof must hold the nonce of this response\"",
];

/// The challenges of a layer, made once.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    realm: Box<str>,
    resource_metadata: Option<Box<str>>,
    /// The algorithms of proofs, where the layer takes DPoP.
    algorithms: Option<Box<str>>,
    bearer: [HeaderValue; 5],
    dpop: Option<Box<[HeaderValue; 5]>>,
}

impl Challenge {
    /// # Errors
    ///
    /// When the realm, or the address, has not 1 to 128 printable ASCII characters.
    pub(crate) fn new(
        realm: &str,
        resource_metadata: Option<&str>,
        algorithms: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut plain = format!(" realm={}", challenge::quoted(Part::Jwt, "realm", realm)?);
        if let Some(address) = resource_metadata {
            if !address.starts_with("https://") {
                return Err(ConfigError::new(Part::Jwt, "resource_metadata", "must begin with `https://`"));
            }
            plain += ", resource_metadata=";
            plain += &challenge::quoted(Part::Jwt, "resource_metadata", address)?;
        }
        let lines = |scheme: Scheme, algorithms: &str| -> Result<[HeaderValue; 5], ConfigError> {
            let line = |parameters| {
                HeaderValue::try_from(format!("{}{plain}{parameters}{algorithms}", scheme.as_str()))
                    .map_err(|_| ConfigError::new(Part::Jwt, "realm", "must be printable ASCII"))
            };
            let [nothing, token, request, proof, nonce] = PARAMETERS.map(line);
            Ok([nothing?, token?, request?, proof?, nonce?])
        };
        let dpop = algorithms
            .map(|names| lines(Scheme::Dpop, &format!(", algs=\"{names}\"")).map(Box::new))
            .transpose()?;
        Ok(Self {
            bearer: lines(Scheme::Bearer, "")?,
            dpop,
            realm: realm.into(),
            resource_metadata: resource_metadata.map(Into::into),
            algorithms: algorithms.map(Into::into),
        })
    }

    pub(crate) fn with_realm(&self, realm: &str) -> Result<Self, ConfigError> {
        Self::new(realm, self.resource_metadata.as_deref(), self.algorithms.as_deref())
    }

    pub(crate) fn with_resource_metadata(&self, address: &str) -> Result<Self, ConfigError> {
        Self::new(&self.realm, Some(address), self.algorithms.as_deref())
    }

    /// The same of a layer that takes DPoP, too, with proofs by these algorithms.
    #[cfg(feature = "dpop")]
    pub(crate) fn with_algorithms(&self, algorithms: &str) -> Self {
        Self::new(&self.realm, self.resource_metadata.as_deref(), Some(algorithms))
            .expect("realm and address were good before, and names of algorithms are plain")
    }

    /// One line per scheme. That of the scheme in use complains, the other is on offer.
    pub(crate) fn lines(&self, scheme: Scheme, complaint: Complaint) -> impl Iterator<Item = &HeaderValue> {
        let place = |own| if own == scheme { complaint } else { Complaint::Nothing } as usize;
        let dpop = self.dpop.as_ref().map(|lines| &lines[place(Scheme::Dpop)]);
        [Some(&self.bearer[place(Scheme::Bearer)]), dpop].into_iter().flatten()
    }

    /// That of the scheme which every layer takes.
    pub(crate) fn bearer(&self) -> &HeaderValue {
        &self.bearer[0]
    }

    /// What is asked for, of a request that carries nothing.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &HeaderValue> {
        self.lines(Scheme::Bearer, Complaint::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_04_challenges_are_well_formed_whatever_the_realm() {
        let challenge = Challenge::new("a \"b\" \\", None, None).unwrap();
        assert!(challenge.plain().eq([r#"Bearer realm="a \"b\" \\""#]));
        let address = "https://api.example/.well-known/oauth-protected-resource";
        let challenge = challenge.with_resource_metadata(address).unwrap().with_realm("api").unwrap();
        assert!(challenge.plain().eq([&format!("Bearer realm=\"api\", resource_metadata=\"{address}\"")]));
        let challenge = Challenge::new("api", Some(address), Some("ES256 RS256")).unwrap();
        for value in challenge.bearer.iter().chain(challenge.dpop.as_deref().unwrap()) {
            let text = value.to_str().unwrap();
            for name in ["realm=", "error=", "error_description=", "resource_metadata=", "algs="] {
                assert!(text.matches(name).count() <= 1, "{text}");
            }
            if let Some((_, description)) = text.split_once("error_description=\"") {
                let description = description.split('"').next().unwrap();
                assert!(
                    description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
                );
            }
        }
        assert_eq!(Challenge::new("", None, None).unwrap_err().field(), "realm");
        for address in ["", "http://api", "https://a\r\nb", "https://ä"] {
            let error = Challenge::new("api", Some(address), None).unwrap_err();
            assert_eq!(error.field(), "resource_metadata", "{address}");
        }
    }

    #[test]
    fn pop_02_each_scheme_has_a_line_and_the_one_in_use_complains() {
        let challenge = Challenge::new("api", None, Some("ES256 RS256")).unwrap();
        let lines = |scheme, complaint| {
            challenge.lines(scheme, complaint).map(|line| line.to_str().unwrap()).collect::<Vec<_>>()
        };
        let (bearer, dpop) = ("Bearer realm=\"api\"", "DPoP realm=\"api\", algs=\"ES256 RS256\"");
        assert_eq!(lines(Scheme::Bearer, Complaint::Nothing), [bearer, dpop]);
        let invalid = "Bearer realm=\"api\", error=\"invalid_token\", \
                       error_description=\"The access token is not accepted\"";
        assert_eq!(lines(Scheme::Bearer, Complaint::InvalidToken), [invalid, dpop]);
        for (complaint, error) in [
            (Complaint::InvalidToken, "invalid_token"),
            (Complaint::InvalidRequest, "invalid_request"),
            (Complaint::InvalidProof, "invalid_dpop_proof"),
            (Complaint::NonceWanted, "use_dpop_nonce"),
        ] {
            let lines = lines(Scheme::Dpop, complaint);
            assert_eq!(lines[0], bearer);
            let begin = format!("DPoP realm=\"api\", error=\"{error}\", error_description=");
            assert!(lines[1].starts_with(&begin) && lines[1].ends_with("\", algs=\"ES256 RS256\""));
        }
    }
}
