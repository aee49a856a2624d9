//! Who issues tokens for the service, and the development tokens.
//!
//! A real service is given the address of its identity provider, and never sees a private key. So that this example
//! needs no provider, it publishes a key pair in `development/`, with which anybody can sign tokens for it.

use std::time::{Duration, UNIX_EPOCH};

use bartizan::{
    Clock,
    auth::{Algorithm, AnyKeys, ConfigError, KeyError, KeySet, RemoteKeys, TokenPolicy, VerifyingKey},
};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

/// Who issues the development tokens.
pub const DEVELOPMENT_ISSUER: &str = "https://development.orders.example";

/// Whom tokens must be for.
pub const AUDIENCE: &str = "https://orders.example";

const DEVELOPMENT_KID: &str = "development-only";
const PRIVATE_KEY: &[u8] = include_bytes!("../development/not-a-secret-private-key.pem");
const PUBLIC_KEY: &[u8] = include_bytes!("../development/public-key.pem");

/// The algorithms of keys that are fetched.
const REMOTE_ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// Whose tokens the service accepts. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub(crate) keys: AnyKeys,
    pub(crate) policy: TokenPolicy,
    remote: Option<RemoteKeys>,
}

/// Where keys are fetched, and whose they are.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The JWK set. Without one, the issuer is asked where it is.
    pub jwks: Option<String>,
    /// Who issues the tokens, exactly as they say it. Without one, [`DEVELOPMENT_ISSUER`].
    pub issuer: Option<String>,
    /// Whether the addresses may be without TLS, on this machine.
    pub insecure_loopback_http: bool,
}

impl Tokens {
    /// Those of [`development_token`].
    ///
    /// # Errors
    ///
    /// When the key in `development/` is not one.
    pub fn development() -> Result<Self, KeyError> {
        let key = VerifyingKey::from_pem(Algorithm::Rs256, PUBLIC_KEY)?.with_kid(DEVELOPMENT_KID)?;
        // Issuer and service have one clock: a token ends when it says so, which is what one wants to try out.
        let policy = TokenPolicy::new(DEVELOPMENT_ISSUER, [AUDIENCE])
            .and_then(|policy| policy.with_leeway(Duration::ZERO))
            .expect("an issuer, an audience and a leeway as they must be");
        Ok(Self { keys: AnyKeys::new(KeySet::from(key)), policy, remote: None })
    }

    /// Those that the keys of `remote` verify; the development key is not among them unless it is published there.
    ///
    /// # Errors
    ///
    /// When an address or the issuer can be none; names the setting.
    pub fn remote(remote: Remote) -> Result<Self, ConfigError> {
        let Remote { jwks, issuer, insecure_loopback_http } = remote;
        let issuer = issuer.unwrap_or_else(|| DEVELOPMENT_ISSUER.to_owned());
        let policy = TokenPolicy::new(&issuer, [AUDIENCE])?;
        let keys = match jwks {
            Some(url) => RemoteKeys::jwks(url, REMOTE_ALGORITHMS),
            None => RemoteKeys::discover(issuer, REMOTE_ALGORITHMS),
        };
        let keys = if insecure_loopback_http { keys.with_insecure_loopback_http() } else { keys };
        let keys = keys.build()?;
        Ok(Self { keys: AnyKeys::new(keys.clone()), policy, remote: Some(keys) })
    }

    /// Whether development tokens are what is accepted.
    pub fn are_for_development(&self) -> bool {
        self.remote.is_none()
    }

    /// For a readiness probe: whether there are keys; those that are being fetched are waited for, for a second.
    pub async fn ready(&self) -> bool {
        match &self.remote {
            Some(keys) => keys.ready().await,
            None => true,
        }
    }
}

/// What a development token says.
#[derive(Clone, Debug)]
pub struct DevelopmentToken {
    /// Who the caller is.
    pub subject: String,
    /// Scopes, with a space between two.
    pub scope: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Whom it is for.
    pub audience: String,
    /// For how many seconds it is good; a token with a negative number has expired.
    pub ttl: i64,
}

/// A token signed with the development key.
///
/// # Errors
///
/// When the key in `development/` is not one.
pub fn development_token(token: &DevelopmentToken) -> Result<String, jsonwebtoken::errors::Error> {
    let DevelopmentToken { subject, scope, roles, audience, ttl } = token;
    let now = Clock::system().wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let expires = now.saturating_add(*ttl);
    let claims = json!({
        "iss": DEVELOPMENT_ISSUER,
        "sub": subject,
        "aud": audience,
        "iat": now.min(expires),
        "exp": expires,
        "scope": scope,
        "roles": roles,
    });
    let mut header = Header::new(jsonwebtoken::Algorithm::RS256);
    header.kid = Some(DEVELOPMENT_KID.to_owned());
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_rsa_pem(PRIVATE_KEY)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_key_says_what_it_is() {
        for file in [PRIVATE_KEY, PUBLIC_KEY] {
            assert!(file.starts_with(b"FOR DEVELOPMENT ALONE"));
        }
        assert!(Tokens::development().unwrap().are_for_development());
    }

    #[test]
    fn jwk_01_a_remote_set_is_fetched_with_tls_unless_the_option_says_otherwise() {
        let build = |jwks: Option<&str>, issuer: Option<&str>, insecure_loopback_http| {
            let (jwks, issuer) = (jwks.map(str::to_owned), issuer.map(str::to_owned));
            let tokens = Tokens::remote(Remote { jwks, issuer, insecure_loopback_http });
            tokens.map(|tokens| tokens.are_for_development()).map_err(|error| error.field().to_owned())
        };
        assert_eq!(build(Some("https://id.example/keys"), None, false), Ok(false));
        assert_eq!(build(None, Some("https://id.example"), false), Ok(false));
        assert_eq!(build(Some("http://127.0.0.1:1/keys"), None, true), Ok(false));
        assert_eq!(build(Some("http://127.0.0.1:1/keys"), None, false), Err("jwks_url".to_owned()));
        assert_eq!(build(Some("http://id.example/keys"), None, true), Err("jwks_url".to_owned()));
        assert_eq!(build(None, Some("http://127.0.0.1:1"), false), Err("issuer".to_owned()));
        assert_eq!(build(None, Some(""), false), Err("issuer".to_owned()));
    }
}
