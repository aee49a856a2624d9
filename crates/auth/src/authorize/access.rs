//! What a decision is about.

use std::{borrow::Cow, fmt};

use bartizan_core::{MatchedRoute, Principal, RequestContext};
use http::{Extensions, HeaderMap, Method, Request, Uri};

use super::matched::Matched;

/// Who wants to do what: what a condition of [`Require::when`](crate::Require::when) looks at.
///
/// ```
/// use bartizan_auth::Require;
///
/// // `/v1/tenants/{tenant}/orders`, for the tenant's own people alone.
/// let own = Require::when("own_tenant", |access| {
///     access.param("tenant").is_some_and(|tenant| access.principal().tenant() == Some(&*tenant))
/// });
/// ```
#[derive(Clone, Copy)]
pub struct Access<'a> {
    principal: &'a Principal,
    context: &'a RequestContext,
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    matched: Option<&'a Matched<'a>>,
}

impl<'a> Access<'a> {
    /// `None` without a principal.
    pub(super) fn new<B>(
        request: &'a Request<B>,
        context: Option<&'a RequestContext>,
        matched: Option<&'a Matched<'a>>,
    ) -> Option<Self> {
        let context = context?;
        Some(Self {
            principal: context.principal()?,
            context,
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            matched,
        })
    }

    /// The caller.
    pub fn principal(&self) -> &'a Principal {
        self.principal
    }

    /// What the layers of this request share: the client's address, ids, protocol.
    pub fn context(&self) -> &'a RequestContext {
        self.context
    }

    /// The method of the request.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The target of the request. A path has many spellings: prefer [`route`](Self::route) and
    /// [`param`](Self::param).
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The headers, which are the caller's own word.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What other layers left in the request, such as a token's typed claims.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The template of the route (`/v1/orders/{id}`) or the gRPC method (`pkg.Orders/Create`);
    /// [`MatchedRoute::OTHER`] where neither the router nor a table knows one.
    pub fn route(&self) -> &'a str {
        self.matched.map_or(MatchedRoute::OTHER, |matched| matched.route().as_str())
    }

    /// What stands in the path for a parameter of the [`route`](Self::route), percent-decoded once. `None` when
    /// the route has no such parameter.
    ///
    /// In a nested router of axum, the parameters of its prefix are there as well, with the feature `axum`. Without
    /// it, and for templates of another router, they are `None`; and so are all parameters of a template that ends
    /// with `{*rest}`, for then nothing says what a nested router may have taken away.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.matched?.param(name, self.uri, self.extensions)
    }

    /// The path that belongs to the route.
    pub(super) fn path(&self) -> &'a str {
        let whole = self.matched.and_then(|matched| matched.whole_path(self.uri, self.extensions));
        whole.unwrap_or(self.uri.path())
    }
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold what is nobody's business.
        f.debug_struct("Access")
            .field("principal", &self.principal)
            .field("method", &self.method)
            .field("route", &self.route())
            .finish_non_exhaustive()
    }
}
