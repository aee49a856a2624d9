//! What a policy is asked.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
};

use bartizan_core::Principal;
use http::{Method, Request};

use crate::{Access, path};

/// What a policy is asked: who, what action, on which resource, in which context. Two that are equal get the same
/// decision, as long as it is remembered.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyQuery {
    principal: Principal,
    method: Method,
    route: Box<str>,
    path: Box<str>,
    params: Box<[(Box<str>, Box<str>)]>,
    client_addr: Option<IpAddr>,
    attributes: Box<[(&'static str, Box<str>)]>,
}

impl Hash for PolicyQuery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest of a principal and of a route follows from these most often; equality looks at all of it.
        self.principal.fingerprint().hash(state);
        self.principal.credential_id().hash(state);
        self.method.hash(state);
        self.path.hash(state);
        self.client_addr.hash(state);
        self.attributes.hash(state);
    }
}

impl PolicyQuery {
    pub(super) fn new<B>(
        request: &Request<B>,
        access: &Access<'_>,
        attributes: Vec<(&'static str, Box<str>)>,
    ) -> Self {
        let names = path::segments(access.route()).filter_map(|segment| match segment {
            path::Segment::Literal(_) => None,
            path::Segment::Parameter(name) | path::Segment::Rest(name) => Some(name),
        });
        let params = names.filter_map(|name| Some((name.into(), access.param(name)?.into())));
        let method = request.method();
        Self {
            principal: access.principal().clone(),
            method: if method == Method::HEAD { Method::GET } else { method.clone() },
            route: access.route().into(),
            path: access.path().into(),
            params: params.collect(),
            client_addr: access.context().client_addr().map(|addr| addr.ip()),
            attributes: attributes.into(),
        }
    }

    /// Whether what the caller wrote of it is so short that a decision can be remembered: the path, and the parameters,
    /// which are made of it.
    pub(super) fn is_short(&self) -> bool {
        const MAX: usize = 2048;
        let params = self.params.iter().map(|(_, value)| value.len());
        self.path.len() + params.sum::<usize>() <= MAX
    }

    /// Who.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The action: the method of the request, HEAD being told as GET, which reads the same. For gRPC the
    /// [`route`](Self::route) says more.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The template of the route, or the gRPC method, as [`Access::route`].
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The path of the request as it was written; in a nested router of axum with what it took from the path, where
    /// [`Access::param`] has it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands in the path for a parameter of the route, as [`Access::param`].
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// Where the request came from, if a layer further out knows.
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.client_addr
    }

    /// What [`AccessPolicy::with_attribute`](crate::AccessPolicy::with_attribute) took from the request under this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

impl fmt::Debug for PolicyQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Attributes may be taken from headers.
        let attributes: Vec<_> = self.attributes.iter().map(|(name, _)| name).collect();
        f.debug_struct("PolicyQuery")
            .field("principal", &self.principal)
            .field("method", &self.method)
            .field("route", &self.route)
            .field("client_addr", &self.client_addr)
            .field("attributes", &attributes)
            .finish_non_exhaustive()
    }
}
