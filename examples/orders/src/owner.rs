//! Whose an order is.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use bartizan::{Principal, PrincipalKind, Rejection};

/// The caller by which an order was created: the same subject of another issuer, or another kind, is somebody else.
/// Scopes and credentials may change meanwhile. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner(Arc<Identity>);

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    issuer: Option<String>,
    kind: PrincipalKind,
    subject: String,
}

impl Owner {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self(Arc::new(Identity {
            issuer: principal.issuer().map(str::to_owned),
            kind: principal.kind(),
            subject: principal.subject().to_owned(),
        }))
    }
}

/// The caller, as [`Principal`] is taken: without one it is the service that is at fault.
impl<S: Send + Sync> FromRequestParts<S> for Owner {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let caller = <Principal as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(Self::of(&caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_who_it_is_whatever_it_may_do() {
        let ada = Owner::of(&Principal::user("ada").issuer("keys").build());
        assert_eq!(ada, Owner::of(&Principal::user("ada").issuer("keys").scopes(["read"]).build()));
        for other in [
            Principal::user("bob").issuer("keys"),
            Principal::user("ada"),
            Principal::user("ada").issuer("other"),
            Principal::service("ada").issuer("keys"),
        ] {
            assert_ne!(ada, Owner::of(&other.build()));
        }
    }
}
