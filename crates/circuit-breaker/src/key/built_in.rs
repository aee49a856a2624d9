//! The usual keys.

use std::borrow::Cow;

use bartizan_core::{
    MatchedRoute, RequestHead, fact,
    key::{PerRoute, PerTenant},
    phase,
};

use super::BreakerKey;

/// One breaker for each host and port that is called: the default, for clients.
///
/// The key is the authority of the request in lower case, without user information and without the scheme's own port.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerUpstream;

impl BreakerKey for PerUpstream {
    type Phase = phase::Load;
    type Needs = ();

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, str>> {
        Some(head.authority()).filter(|authority| !authority.is_empty())
    }
}

/// One breaker for each route or gRPC method of each host and port that is called.
///
/// The route of an outgoing HTTP request is the [`MatchedRoute`] in its extensions; without one, all requests to a host
/// share a breaker.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerUpstreamRoute;

impl BreakerKey for PerUpstreamRoute {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, str>> {
        let authority = PerUpstream.key(head)?;
        Some(match head.route_of_call() {
            MatchedRoute::OTHER => authority,
            route => Cow::Owned(format!("{authority} {route}")),
        })
    }
}

/// One breaker for each route template or gRPC method.
impl BreakerKey for PerRoute {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, str>> {
        Some(head.route())
    }
}

/// One breaker for each tenant, on whose behalf a service is called or calls. For an outgoing request that is the tenant of
/// the request it is made for, with the feature `scope`. Callers without one share a breaker. In a server's stack it stands
/// after authentication.
impl BreakerKey for PerTenant {
    type Phase = phase::PrincipalBulkhead;
    type Needs = fact::Principal;

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, str>> {
        head.tenant()
    }
}

/// One breaker for all requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Single;

impl BreakerKey for Single {
    type Phase = phase::Load;
    type Needs = ();

    const SINGLE: bool = true;

    fn key<'a>(&self, _: &RequestHead<'a>) -> Option<Cow<'a, str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::{Principal, RequestContext};
    use http::Request;

    use super::*;

    fn key(key: &impl BreakerKey, request: &Request<()>) -> Option<String> {
        key.key(&RequestHead::of(request)).map(Cow::into_owned)
    }

    #[test]
    fn cb_08_a_key_is_the_upstream_the_route_the_tenant_or_none() {
        let mut request = Request::get("https://API.example:443/orders/7").body(()).unwrap();
        assert_eq!(key(&PerUpstream, &request).as_deref(), Some("api.example"));
        assert_eq!(key(&PerUpstreamRoute, &request).as_deref(), Some("api.example"));
        assert_eq!(key(&PerTenant, &request), None);
        assert_eq!(key(&PerUpstream, &Request::new(())), None);
        assert_eq!(key(&Single, &request), None);
        request.extensions_mut().insert(MatchedRoute::template("/orders/{id}"));
        assert_eq!(key(&PerUpstreamRoute, &request).as_deref(), Some("api.example /orders/{id}"));
        assert_eq!(key(&PerRoute, &request).as_deref(), Some("/orders/{id}"));
        let caller = Principal::service("shop").tenant("acme").build();
        RequestContext::of(&mut request).set_principal(caller);
        assert_eq!(key(&PerTenant, &request).as_deref(), Some("acme"));
    }
}
