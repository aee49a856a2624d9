//! What can be wrong before the first request.

use std::{borrow::Cow, fmt};

/// A setting that can never work, named by its path: `keys[2].scopes[0]`.
///
/// Says whose setting it is, and what is wrong with it: ``remote keys: `hard_limit` must be at least 5 minutes``. Never
/// repeats the value: it may be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    part: Part,
    field: Cow<'static, str>,
    problem: &'static str,
}

impl ConfigError {
    pub(crate) fn new(part: Part, field: impl Into<Cow<'static, str>>, problem: &'static str) -> Self {
        Self { part, field: field.into(), problem }
    }

    /// The same fault, seen from further out.
    pub(crate) fn within(self, parent: impl fmt::Display) -> Self {
        Self { field: format!("{parent}.{}", self.field).into(), ..self }
    }

    /// The path of the setting.
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.part.as_str(), self.field, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// What a setting is of: a layer, or something that one is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "dpop", feature = "mtls", feature = "https-client")),
    expect(dead_code, reason = "some are of parts that only these features have")
)]
pub(crate) enum Part {
    AccessPolicy,
    ApiKey,
    Auth,
    Authorize,
    Bearer,
    CachedKeys,
    ClientCredentials,
    Dpop,
    FileKeys,
    HttpsClient,
    Jwt,
    MutualTls,
    RemoteKeys,
    Require,
    TokenPolicy,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::AccessPolicy => "access policy",
            Self::ApiKey => "api key",
            Self::Auth => "auth",
            Self::Authorize => "authorize",
            Self::Bearer => "bearer",
            Self::CachedKeys => "cached keys",
            Self::ClientCredentials => "client credentials",
            Self::Dpop => "dpop",
            Self::FileKeys => "key file",
            Self::HttpsClient => "https client",
            Self::Jwt => "jwt",
            Self::MutualTls => "mutual tls",
            Self::RemoteKeys => "remote keys",
            Self::Require => "require",
            Self::TokenPolicy => "token policy",
        }
    }
}

/// Why no key could be generated.
#[derive(Debug)]
pub struct GenerateError(Kind);

#[derive(Debug)]
enum Kind {
    Config(ConfigError),
    Entropy(getrandom::Error),
}

impl From<ConfigError> for GenerateError {
    fn from(error: ConfigError) -> Self {
        Self(Kind::Config(error))
    }
}

impl From<getrandom::Error> for GenerateError {
    fn from(error: getrandom::Error) -> Self {
        Self(Kind::Entropy(error))
    }
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Config(_) => "the name of the key is not usable",
            Kind::Entropy(_) => "the system gives no randomness",
        })
    }
}

impl std::error::Error for GenerateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Config(error) => Some(error),
            Kind::Entropy(error) => Some(error),
        }
    }
}

/// A text that is not an API key: wrong form, or a wrong checksum. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseKeyError(pub(crate) ());

impl fmt::Display for ParseKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an API key: its form or its checksum is wrong")
    }
}

impl std::error::Error for ParseKeyError {}
