//! What axum's handlers take from a request with a token.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use bartizan_core::{Challenges, Fault, Principal, Reason, Rejection, RequestContext};
use http::request::Parts;

use crate::{TokenClaims, jwt::Scheme};

const LAYER: &str = "extract";

static NO_CLAIMS: Fault = Fault::new(
    LAYER,
    "a handler takes the claims of a token, and no layer keeps them in this type",
    "put `JwtLayer` around the route, with `with_claims` of the type that the handler takes",
);

/// A caller who is let in without a token, by an API key, is refused with 403; one who is let in without any credential
/// with 401 and the challenges of the layers that let it pass. Where no layer keeps claims of this type it is 500, and a
/// [`Fault`] is reported. Take `Option<TokenClaims<T>>` where callers may have no token.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<T: Send + Sync + 'static, S: Send + Sync> FromRequestParts<S> for TokenClaims<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts.extensions.get().cloned().ok_or_else(|| refusal(parts).with_layer(LAYER))
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<T: Send + Sync + 'static, S: Send + Sync> OptionalFromRequestParts<S> for TokenClaims<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        let claims = parts.extensions.get().cloned();
        let principal = RequestContext::get(&parts.extensions).and_then(RequestContext::principal);
        if claims.is_none() && principal.is_some_and(has_token) {
            NO_CLAIMS.report();
        }
        Ok(claims)
    }
}

#[cold]
fn refusal(parts: &Parts) -> Rejection {
    let principal = RequestContext::get(&parts.extensions).and_then(RequestContext::principal);
    let refusal = match principal {
        None => Challenges::refusal(&parts.extensions),
        Some(principal) => (!has_token(principal)).then(|| {
            Rejection::new(Reason::PermissionDenied)
                .with_detail("This request needs an access token.")
                .with_cause("no_token")
        }),
    };
    refusal.unwrap_or_else(|| {
        NO_CLAIMS.report();
        Rejection::new(Reason::Internal).with_cause("no layer keeps claims of this type")
    })
}

fn has_token(principal: &Principal) -> bool {
    [Scheme::Bearer, Scheme::Dpop].into_iter().any(|scheme| principal.auth_scheme() == Some(scheme.as_str()))
}
