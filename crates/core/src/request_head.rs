//! What a key may be taken from.

use std::{borrow::Cow, fmt};

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

use crate::{MatchedRoute, Principal, Protocol, RequestContext, authority, served};

/// A request without its body: what a limiter, a bulkhead or a breaker takes its key from, whatever the body's type.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    request: &'a (dyn Head + 'a),
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    context: Option<&'a RequestContext>,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    #[inline]
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            request,
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            context: RequestContext::get(request.extensions()),
        }
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The target.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The version of HTTP.
    pub fn version(&self) -> Version {
        self.request.version()
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What other layers left.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// What other layers found out: the caller, its address, the route. `None` when there is no other layer.
    pub fn context(&self) -> Option<&'a RequestContext> {
        self.context
    }

    /// The authenticated caller.
    pub fn principal(&self) -> Option<&'a Principal> {
        self.context?.principal()
    }

    /// The tenant on whose behalf a service is called or calls: the caller's, or, where the request tells no caller and
    /// with the feature `scope`, that of the request which the running code serves.
    pub fn tenant(&self) -> Option<Cow<'a, str>> {
        if let Some(principal) = self.principal() {
            return principal.tenant().map(Cow::Borrowed);
        }
        let served = served()?;
        served.principal()?.tenant().map(|tenant| Cow::Owned(tenant.to_owned()))
    }

    /// The template of the route or the gRPC method, [`MatchedRoute::OTHER`] without one: what the request itself tells, or
    /// what the layers of its context found out.
    pub fn route(&self) -> Cow<'a, str> {
        match (self.own_route(), self.context) {
            (Some(own), _) => Cow::Borrowed(own),
            (None, context) => self.request.route(context),
        }
    }

    /// The route of an outgoing call: the [`MatchedRoute`] that its caller left in its extensions, or the gRPC method;
    /// [`MatchedRoute::OTHER`] without one. The context that a call may carry knows the route of the request it is made
    /// for, which is another.
    pub fn route_of_call(&self) -> &'a str {
        self.own_route().unwrap_or(MatchedRoute::OTHER)
    }

    fn own_route(&self) -> Option<&'a str> {
        if let Some(route) = self.extensions.get::<MatchedRoute>() {
            return Some(route.as_str());
        }
        let is_call = self.protocol().is_grpc() && !MatchedRoute::is_of_a_router(self.extensions);
        if is_call { MatchedRoute::method_in(self.uri.path()) } else { None }
    }

    /// Whom the request goes to: host and port in lower case, without user information and without the scheme's own
    /// port. Empty when the request does not tell, or tells more than a name can be.
    ///
    /// ```
    /// use bartizan_core::RequestHead;
    ///
    /// let request = http::Request::get("https://user:secret@API.example:443/x").body(()).unwrap();
    /// assert_eq!(RequestHead::of(&request).authority(), "api.example");
    /// ```
    pub fn authority(&self) -> Cow<'a, str> {
        authority::of(self.uri, self.headers)
    }

    /// What the caller speaks.
    pub fn protocol(&self) -> Protocol {
        Protocol::of_parts(self.method, self.headers)
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor the query: both carry credentials.
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

/// What must be asked of the request itself, whose body has some type.
trait Head {
    fn version(&self) -> Version;
    fn route<'a>(&'a self, context: Option<&'a RequestContext>) -> Cow<'a, str>;
}

impl<B> Head for Request<B> {
    fn version(&self) -> Version {
        self.version()
    }

    fn route<'a>(&'a self, context: Option<&'a RequestContext>) -> Cow<'a, str> {
        match context {
            Some(context) => Cow::Borrowed(context.route_of(self).as_str()),
            None => Cow::Owned(MatchedRoute::of(self).as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_tenant(tenant: Option<&'static str>) -> Request<()> {
        let mut request = Request::new(());
        let caller = Principal::service("shop");
        let caller = tenant.into_iter().fold(caller, |caller, tenant| caller.tenant(tenant)).build();
        RequestContext::of(&mut request).set_principal(caller);
        request
    }

    #[test]
    fn cb_08_a_call_has_its_own_route_whichever_context_it_carries() {
        let mut served = Request::post("/shop.Cart/Checkout").header("content-type", "application/grpc");
        served = served.extension(MatchedRoute::template("/carts/{id}"));
        let served = RequestContext::of(&mut served.body(()).unwrap());
        served.set_route(MatchedRoute::template("/carts/{id}"));
        let call = |path: &str, content_type: &str| {
            let call = Request::post(path).header("content-type", content_type);
            call.extension(served.clone()).body(()).unwrap()
        };
        let grpc = call("/stock.Inventory/Reserve", "application/grpc");
        let head = RequestHead::of(&grpc);
        assert_eq!(
            (&*head.route(), head.route_of_call()),
            ("stock.Inventory/Reserve", "stock.Inventory/Reserve")
        );
        let mut http = call("/orders/7", "application/json");
        assert_eq!(RequestHead::of(&http).protocol(), Protocol::Http);
        assert_eq!(RequestHead::of(&http).route_of_call(), "_OTHER");
        assert_eq!(RequestHead::of(&http).route(), "/carts/{id}", "of a request that is served");
        http.extensions_mut().insert(MatchedRoute::template("/orders/{id}"));
        let head = RequestHead::of(&http);
        assert_eq!((&*head.route(), head.route_of_call()), ("/orders/{id}", "/orders/{id}"));
    }

    #[test]
    fn the_tenant_is_that_of_the_caller_or_of_the_request_that_a_call_is_made_for() {
        let served = of_tenant(Some("acme"));
        let served = RequestContext::get(served.extensions()).unwrap();
        let tenant = |call: &Request<()>| RequestHead::of(call).tenant().map(Cow::into_owned);
        let in_scope = |call: &Request<()>| served.enter(|| tenant(call));
        let (own, nobody, none) = (of_tenant(Some("zeta")), Request::new(()), of_tenant(None));
        assert_eq!((tenant(&own), tenant(&nobody), tenant(&none)), (Some("zeta".to_owned()), None, None));
        assert_eq!(in_scope(&own).as_deref(), Some("zeta"));
        assert_eq!(in_scope(&nobody).as_deref(), cfg!(feature = "scope").then_some("acme"));
        assert_eq!(in_scope(&none), None, "it is of a caller who has no tenant");
    }
}
