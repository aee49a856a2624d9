//! What axum's handlers take from a request.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::{Challenges, Fault, Principal, Reason, Rejection, RequestContext};

const LAYER: &str = "extract";

static NO_CONTEXT: Fault = Fault::new(
    LAYER,
    "a handler takes the request's context, and no layer made one",
    "put `CorrelationIdLayer`, or any other layer of bartizan, around the route",
);

static NO_AUTHENTICATION: Fault = Fault::new(
    LAYER,
    "a handler takes a principal, and no authentication layer saw the request",
    "put an authentication layer, `ApiKeyLayer` or `JwtLayer`, around the route",
);

/// Without a layer that made one, 500 and a [`Fault`]. Take `Option<RequestContext>` where there may be none.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Self::get(&parts.extensions).cloned().ok_or_else(|| miswired(&NO_CONTEXT))
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Send + Sync> OptionalFromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::get(&parts.extensions).cloned())
    }
}

/// Behind an optional authentication layer a request without a principal is refused with 401 and that layer's challenge;
/// behind none at all with 500, and a [`Fault`] is reported. Take `Option<Principal>` where callers may be unknown.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        principal(parts).ok_or_else(|| match Challenges::refusal(&parts.extensions) {
            Some(refusal) => refusal.with_layer(LAYER),
            None => miswired(&NO_AUTHENTICATION),
        })
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(principal(parts))
    }
}

fn principal(parts: &Parts) -> Option<Principal> {
    RequestContext::get(&parts.extensions)?.principal().cloned()
}

/// The service's own mistake: the caller learns nothing of it.
#[cold]
fn miswired(fault: &Fault) -> Rejection {
    fault.report();
    Rejection::new(Reason::Internal).with_layer(LAYER).with_cause("a layer is missing")
}
