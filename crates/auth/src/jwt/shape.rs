//! Claims of the service's own, beside those that every token has.

use std::{fmt, ops::Deref, sync::Arc};

use bartizan_core::{Principal, PrincipalBuilder};
use http::Extensions;
use serde::de::DeserializeOwned;

use super::{bearer::Scheme, token::Claims};

/// The claims of an accepted token, in the service's own type: what a layer
/// [with claims](crate::JwtLayer::with_claims) puts into the request's extensions.
///
/// Cheap to clone; reads as the type itself. With the feature `axum` a handler takes it as an argument.
pub struct TokenClaims<T>(Arc<T>);

impl<T> Clone for TokenClaims<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for TokenClaims<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for TokenClaims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What becomes of a token's further claims: nothing, `()`, or a [`TokenClaims`].
pub trait ClaimsShape: sealed::Sealed + Clone + Send + Sync + 'static {}

impl ClaimsShape for () {}

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> ClaimsShape for TokenClaims<T> {}

pub(crate) mod sealed {
    use super::{Arc, DeserializeOwned, Extensions, TokenClaims};

    pub trait Sealed: Sized {
        /// None if the claims are not what the service wants them to be.
        fn read(json: &str) -> Option<Self>;

        fn attach(&self, extensions: &mut Extensions);

        /// The same, in memory of its own.
        fn unshared(&self) -> Self;
    }

    impl Sealed for () {
        fn read(_: &str) -> Option<Self> {
            Some(())
        }

        fn attach(&self, _: &mut Extensions) {}

        fn unshared(&self) -> Self {}
    }

    impl<T: DeserializeOwned + Clone + Send + Sync + 'static> Sealed for TokenClaims<T> {
        fn read(json: &str) -> Option<Self> {
            serde_json::from_str(json).ok().map(|claims| Self(Arc::new(claims)))
        }

        fn attach(&self, extensions: &mut Extensions) {
            extensions.insert(self.clone());
        }

        fn unshared(&self) -> Self {
            Self(Arc::new(T::clone(&self.0)))
        }
    }
}

/// Who a good token says the caller is.
///
/// A subject that is the client itself is a program (RFC 9068 section 2.2): were it not told apart from a person,
/// a client could register under a person's name (RFC 9700 section 4.15).
pub(super) fn principal(claims: &Claims<'_>, issuer: &str) -> PrincipalBuilder {
    let subject = claims.subject.as_deref().unwrap_or_default();
    let client = claims.client.as_deref().or(claims.authorized_party.as_deref());
    let mut principal = match client {
        Some(client) if client == subject => Principal::service(subject),
        _ => Principal::user(subject),
    };
    // A token that is bound to a key is accepted under no other scheme.
    let scheme = if claims.confirmation.key.is_some() { Scheme::Dpop } else { Scheme::Bearer };
    principal = principal.issuer(issuer).auth_scheme(scheme.as_str()).scopes(claims.scopes());
    if !claims.roles.is_empty() {
        principal = principal.roles(claims.roles.iter());
    }
    if let Some(tenant) = claims.tenant.as_deref() {
        principal = principal.tenant(tenant);
    }
    if let Some(tier) = claims.tier.as_deref() {
        principal = principal.tier(tier);
    }
    if let Some(id) = claims.id.as_deref() {
        principal = principal.credential_id(id);
    }
    principal
}

/// What a principal is reckoned to take in memory.
pub(super) fn bytes(principal: &Principal) -> usize {
    /// All but its texts, and room for those it has most often, and for a note.
    const FIXED: usize = 512 + Principal::MAX_NOTE;
    let lists = || principal.scopes().chain(principal.roles());
    let places = (principal.scopes().len() + principal.roles().len()) * size_of::<std::ops::Range<usize>>();
    let names = [principal.issuer(), principal.tenant(), principal.tier(), principal.credential_id()];
    let texts = lists().chain(names.into_iter().flatten()).map(str::len).sum::<usize>();
    // Both grow by doubling.
    FIXED + 2 * (principal.subject().len() + texts + places)
}

/// The same principal, in memory of its own: cores that each have one do not fight over a reference count.
pub(super) fn unshared(principal: &Principal) -> Principal {
    let subject = principal.subject();
    let mut copy =
        Principal::user(subject).kind(principal.kind()).scopes(principal.scopes()).roles(principal.roles());
    if let Some(issuer) = principal.issuer() {
        copy = copy.issuer(issuer);
    }
    if let Some(tenant) = principal.tenant() {
        copy = copy.tenant(tenant);
    }
    if let Some(tier) = principal.tier() {
        copy = copy.tier(tier);
    }
    if let Some(id) = principal.credential_id() {
        copy = copy.credential_id(id);
    }
    if let Some(scheme) = principal.auth_scheme() {
        copy = copy.auth_scheme(scheme);
    }
    if let Some(time) = principal.expires_at() {
        copy = copy.expires_at(time);
    }
    copy.build()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bartizan_core::PrincipalKind;

    use super::*;
    use crate::jwt::token::ClaimNames;

    fn of(json: &str) -> Principal {
        let names =
            ClaimNames { tenant: Some("tid".into()), tier: Some("plan".into()), ..ClaimNames::default() };
        principal(&Claims::read(json, &names).unwrap(), "https://id").build()
    }

    #[test]
    fn jwt_13_a_client_that_takes_the_name_of_a_person_is_another_principal() {
        let person = of(r#"{"sub":"alice","client_id":"app"}"#);
        let client = of(r#"{"sub":"alice","client_id":"alice"}"#);
        assert_eq!((person.kind(), client.kind()), (PrincipalKind::User, PrincipalKind::Service));
        assert_ne!(person, client);
        assert_eq!(of(r#"{"sub":"a","azp":"a"}"#).kind(), PrincipalKind::Service);
        assert_eq!(of(r#"{"sub":"a","azp":"a","client_id":"b"}"#).kind(), PrincipalKind::User);
        assert_eq!(of(r#"{"sub":"a"}"#).kind(), PrincipalKind::User);
        assert_eq!(person.issuer(), Some("https://id"));
    }

    #[test]
    fn a_principal_has_all_that_the_token_says_and_so_has_its_copy() {
        let principal = of(
            r#"{"sub":"alice","scope":"b a","roles":["admin"],"tid":"acme","plan":"gold","jti":"t-1","aud":"x"}"#,
        );
        assert!(principal.scopes().eq(["a", "b"]) && principal.roles().eq(["admin"]));
        assert_eq!(
            (principal.tenant(), principal.tier(), principal.credential_id(), principal.auth_scheme()),
            (Some("acme"), Some("gold"), Some("t-1"), Some("Bearer"))
        );
        for original in [
            principal,
            of(r#"{"sub":"a"}"#),
            Principal::service("a").expires_at(SystemTime::UNIX_EPOCH).build(),
        ] {
            assert_eq!(unshared(&original), original);
        }
    }
}
