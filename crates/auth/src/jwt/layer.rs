//! The layer that asks for a token.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{Clock, PrincipalBuilder, ServerLayer, phase};
use http::HeaderName;
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use super::{
    ClaimsShape, JwtService, KeySource, TokenClaims, TokenPolicy, cache::Limits, service::Shared,
    verify::Issuer,
};
use crate::{ConfigError, Optional, Presence, Required, error::Part, settings::Settings};

/// Asks for a token and sets the request's principal. See the [crate](crate) for what it does.
///
/// `K` is where keys are found; `C` is what becomes of further claims; `P` whether a token is required. Belongs to
/// phase `Authentication`. Clones, and the services made of one, share the keys and the tokens seen before.
///
/// # Persons and programs
///
/// The principal is a program if `sub` is the `client_id`, or without one the `azp`, itself, as RFC 9068 section 2.2
/// wants it of the client-credentials grant; any other is a person. Some issuers give their programs subjects of another
/// form, and these count as persons until [`with_principal`](JwtLayer::with_principal) says otherwise: Auth0
/// (`sub` is `{azp}@clients`, and `gty` is `client-credentials`), Microsoft Entra ID (the id of an object; `idtyp`, an optional claim, is
/// `app`), Keycloak (the id of a user; `preferred_username` begins with `service-account-`).
///
/// ```
/// use bartizan_auth::{Algorithm, JwtLayer, KeySet, TokenPolicy, VerifyingKey};
/// use bartizan_core::PrincipalKind;
///
/// #[derive(Clone, serde::Deserialize)]
/// struct Claims {
///     gty: Option<String>,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// # let key = VerifyingKey::from_secret(Algorithm::Hs256, &[7; 32])?;
/// let layer = JwtLayer::new(KeySet::from(key), TokenPolicy::new("https://shop.eu.auth0.com/", ["orders"])?)
///     .with_claims::<Claims>()
///     .with_principal(|claims, principal| match claims.gty.as_deref() {
///         Some("client-credentials") => principal.kind(PrincipalKind::Service),
///         _ => principal,
///     });
/// # }
/// # Ok(()) }
/// ```
#[must_use = "a layer does nothing until it is applied"]
pub struct JwtLayer<K, C = (), P = Required> {
    pub(crate) shared: Arc<Shared<K, C>>,
    presence: PhantomData<fn() -> P>,
}

impl<K: KeySource> JwtLayer<K> {
    /// Requires from every request a token that `keys` verify and `policy` accepts.
    pub fn new(keys: K, policy: TokenPolicy) -> Self {
        let issuer = Issuer { keys: Arc::new(keys), policy };
        Self { shared: Arc::new(Shared::new(issuer)), presence: PhantomData }
    }
}

impl<K, C, P> JwtLayer<K, C, P> {
    /// Accepts tokens of one more issuer, verified by its own keys and no others.
    ///
    /// # Errors
    ///
    /// When the layer accepts tokens of this issuer already, or has an
    /// [identity header](Self::with_identity_header), in which subjects of two issuers would be one.
    pub fn with_issuer(mut self, keys: K, policy: TokenPolicy) -> Result<Self, ConfigError> {
        if self.shared.settings.identity_header.is_some() {
            return Err(several_issuers());
        }
        let issuers = &mut self.edit().verifier.issuers;
        if issuers.iter().any(|known| known.policy.issuer() == policy.issuer()) {
            return Err(ConfigError::new(Part::Jwt, format!("issuers[{}]", issuers.len()), "is used twice"));
        }
        issuers.push(Issuer { keys: Arc::new(keys), policy });
        Ok(self)
    }

    /// Lets requests without a token pass, without a principal; a token that is not accepted is refused all the
    /// same. The layer then provides no `Principal` to a checked stack.
    pub fn optional(self) -> JwtLayer<K, C, Optional> {
        JwtLayer { shared: self.shared, presence: PhantomData }
    }

    /// Puts the claims of an accepted token, as a `T`, into the request's extensions: a [`TokenClaims`]. A token
    /// whose claims are no `T` is refused.
    ///
    /// ```
    /// use bartizan_auth::{Algorithm, JwtLayer, KeySet, TokenPolicy, TokenClaims, VerifyingKey};
    ///
    /// #[derive(Clone, serde::Deserialize)]
    /// struct Claims {
    ///     realm_access: RealmAccess,
    /// }
    ///
    /// #[derive(Clone, serde::Deserialize)]
    /// struct RealmAccess {
    ///     roles: Vec<String>,
    /// }
    ///
    /// async fn handler(claims: axum::Extension<TokenClaims<Claims>>) -> String {
    ///     claims.realm_access.roles.join(",")
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
    /// # let key = VerifyingKey::from_secret(Algorithm::Hs256, &[7; 32])?;
    /// let layer = JwtLayer::new(KeySet::from(key), TokenPolicy::new("https://id.example", ["orders"])?)
    ///     .with_claims::<Claims>()
    ///     .with_principal(|claims, principal| principal.roles(claims.realm_access.roles.iter().map(String::as_str)));
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn with_claims<T>(self) -> JwtLayer<K, TokenClaims<T>, P>
    where
        T: DeserializeOwned + Clone + Send + Sync + 'static,
    {
        JwtLayer { shared: Arc::new(self.shared.reshaped()), presence: PhantomData }
    }

    /// Where the issuers put the roles of the caller: the name of a claim that is a string or an array of strings.
    /// Default: `roles`.
    ///
    /// # Errors
    ///
    /// When the name is empty, or a claim that means something else.
    pub fn with_roles_claim(mut self, name: &str) -> Result<Self, ConfigError> {
        self.edit().verifier.names.roles = claim_name("roles_claim", name)?;
        Ok(self)
    }

    /// Where the issuers put the customer that the caller acts for: the name of a claim that is a string, such as
    /// `tid`. Default: nowhere.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn with_tenant_claim(mut self, name: &str) -> Result<Self, ConfigError> {
        self.edit().verifier.names.tenant = Some(claim_name("tenant_claim", name)?);
        Ok(self)
    }

    /// Where the issuers put the service level of the caller: the name of a claim that is a string. Default:
    /// nowhere.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn with_tier_claim(mut self, name: &str) -> Result<Self, ConfigError> {
        self.edit().verifier.names.tier = Some(claim_name("tier_claim", name)?);
        Ok(self)
    }

    /// How many tokens that were accepted are remembered, and in how many bytes: such a token is compared, and not
    /// verified again, until it expires or its key is removed. Default: 8192 tokens, 32 MiB.
    ///
    /// Tokens are kept in sets of eight: their number is rounded down to a multiple of eight, and is at least eight. The
    /// bytes are reckoned, and are those of all that is kept: of tokens, their principals and claims, and of copies that
    /// threads have for themselves, which are made while at most half of the bytes are taken.
    ///
    /// # Errors
    ///
    /// When either is zero, or there are more than 1 048 576 tokens. To remember none:
    /// [`without_cache`](Self::without_cache).
    pub fn with_cache(mut self, tokens: usize, bytes: usize) -> Result<Self, ConfigError> {
        if !(1..=Limits::MAX_TOKENS).contains(&tokens) {
            return Err(ConfigError::new(Part::Jwt, "cache.tokens", "must be 1 to 1048576"));
        }
        if bytes == 0 {
            return Err(ConfigError::new(Part::Jwt, "cache.bytes", "must be more than zero"));
        }
        self.edit().limits = Some(Limits { tokens, bytes });
        Ok(self)
    }

    /// Verifies every token anew.
    pub fn without_cache(mut self) -> Self {
        self.edit().limits = None;
        self
    }

    /// The realm in the challenge `Bearer realm="…"`. Default: `api`.
    ///
    /// # Errors
    ///
    /// When it has not 1 to 128 printable ASCII characters.
    pub fn with_realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = self.shared.challenge.with_realm(realm)?;
        self.edit().set_challenge(challenge);
        Ok(self)
    }

    /// Where a client learns who issues tokens for this service (RFC 9728 section 5.1): a parameter of every
    /// challenge. Default: none.
    ///
    /// # Errors
    ///
    /// When it does not begin with `https://`, or has more than 128 characters.
    pub fn with_resource_metadata(mut self, address: &str) -> Result<Self, ConfigError> {
        let challenge = self.shared.challenge.with_resource_metadata(address)?;
        self.edit().set_challenge(challenge);
        Ok(self)
    }

    /// Refuses tokens that are bound to nothing: whoever steals one can use it. What they may be bound to is said with
    /// `with_dpop` and `with_mtls`, of the features `dpop` and `mtls`. Default: they are accepted.
    pub fn with_binding_required(mut self) -> Self {
        self.edit().possession.is_required = true;
        self
    }

    /// Leaves the token in the request for the handler, marked sensitive. Default: it is removed.
    pub fn with_credential_kept(mut self) -> Self {
        self.settings().keep_credential = true;
        self
    }

    /// Tells the subject to the handler in this header. What the caller sent under that name is removed from every
    /// request, also from those that pass without a token. Default: none.
    ///
    /// It is the subject and nothing else: neither the issuer, nor whether it is a person or a program. A client of
    /// the client-credentials grant that goes by a person's name reads as that person (RFC 9700 section 4.15). Where that can
    /// be, take the [principal](bartizan_core::RequestContext::principal), which tells them apart.
    ///
    /// # Errors
    ///
    /// When the header already means something else, as `authorization` and `host` do, or the layer accepts tokens of
    /// more than one issuer: a subject says who it is to its issuer alone.
    pub fn with_identity_header(mut self, name: HeaderName) -> Result<Self, ConfigError> {
        if self.shared.verifier.issuers.len() > 1 {
            return Err(several_issuers());
        }
        self.settings().set_identity_header(name)?;
        Ok(self)
    }

    /// Opens one path: its requests pass without a look at their credentials, and without a principal. Call it
    /// once per path. Default: none. Paths are compared as [`ApiKeyLayer`](crate::ApiKeyLayer::with_bypass) does.
    ///
    /// # Errors
    ///
    /// When the path holds an escape, an empty or a dot segment, a query, or does not begin with `/`.
    pub fn with_bypass(mut self, path: &str) -> Result<Self, ConfigError> {
        self.settings().add_bypass(path)?;
        Ok(self)
    }

    /// The clock whose wall time decides whether a token is good yet, or still. Default: the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.settings().clock = clock;
        self
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.settings().telemetry.pin(recorder);
        self
    }

    /// A clone made before keeps its own settings, and its own tokens seen before: they were accepted by those.
    pub(crate) fn edit(&mut self) -> &mut Shared<K, C> {
        let shared = Arc::make_mut(&mut self.shared);
        shared.forget();
        shared
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.edit().settings
    }
}

impl<K, T, P> JwtLayer<K, TokenClaims<T>, P> {
    /// Completes the principal by what the service knows of its claims, such as roles, or that it is
    /// [a program](#persons-and-programs). What the layer has read stands where this does not set it anew.
    pub fn with_principal(
        mut self,
        enrich: fn(&TokenClaims<T>, PrincipalBuilder) -> PrincipalBuilder,
    ) -> Self {
        self.edit().verifier.enrich = Some(enrich);
        self
    }
}

fn several_issuers() -> ConfigError {
    ConfigError::new(
        Part::Jwt,
        "identity_header",
        "must not tell subjects of more than one issuer: it does not say whose they are",
    )
}

/// Claims that decide are not for anything else.
fn claim_name(field: &'static str, name: &str) -> Result<Box<str>, ConfigError> {
    const TAKEN: [&str; 17] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "azp",
        "scope",
        "scp",
        "at_hash",
        "c_hash",
        "s_hash",
        "events",
        "cnf",
        "typ",
    ];
    if !(1..=128).contains(&name.len()) || TAKEN.contains(&name) {
        return Err(ConfigError::new(
            Part::Jwt,
            field,
            "must have 1 to 128 bytes, and be no claim that means something else",
        ));
    }
    Ok(name.into())
}

impl<K, C, P> Clone for JwtLayer<K, C, P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), presence: PhantomData }
    }
}

impl<K, C, P: Presence> fmt::Debug for JwtLayer<K, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { verifier, limits, settings, possession, .. } = &*self.shared;
        f.debug_struct("JwtLayer")
            .field("optional", &P::OPTIONAL)
            .field("policies", &verifier.issuers.iter().map(|issuer| &issuer.policy).collect::<Vec<_>>())
            .field("challenge", &settings.challenge)
            .field("possession", possession)
            .field("cache", limits)
            .field("keep_credential", &settings.keep_credential)
            .field("identity_header", &settings.identity_header)
            .field("bypass", &settings.bypass)
            .finish_non_exhaustive()
    }
}

impl<S, K, C, P> Layer<S> for JwtLayer<K, C, P> {
    type Service = JwtService<S, K, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        JwtService::new(inner, Arc::clone(&self.shared))
    }
}

impl<K, C: ClaimsShape, P: Presence> ServerLayer for JwtLayer<K, C, P> {
    type Phase = phase::Authentication;
    type Needs = ();
    type Provides = P::Provides;

    fn name(&self) -> &'static str {
        "jwt"
    }
}
