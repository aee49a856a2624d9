use std::{fmt, sync::Arc};

use http::{Extensions, Request, uri::PathAndQuery};

use crate::Protocol;

/// The route a request matched: the router's template (`/orders/{id}`), or a gRPC call's `pkg.Service/Method`.
/// Never the raw path of an HTTP request.
///
/// axum's template is read with the feature `axum`, from the `MatchedPath` that its router leaves in the request.
/// Layers added with `Router::layer` or `route_layer` see it; layers wrapped around the whole router do not, and
/// neither does a request that matched nothing: those are [`OTHER`](Self::OTHER).
///
/// A gRPC method is what the caller wrote, checked for its form alone: a name for logs. Before it becomes a metric
/// label, it must also prove to be a method of the service.
#[derive(Clone)]
pub struct MatchedRoute(Repr);

#[derive(Clone)]
enum Repr {
    Other,
    Template(Arc<str>),
    #[cfg(feature = "axum")]
    Axum(axum::extract::MatchedPath),
    Grpc(PathAndQuery),
}

impl MatchedRoute {
    /// The name of the route when there is none.
    pub const OTHER: &'static str = "_OTHER";

    /// A template of a router this crate does not know.
    pub fn template(template: impl Into<Arc<str>>) -> Self {
        Self(Repr::Template(template.into()))
    }

    /// The route of `request`: a template inserted into its extensions as a `MatchedRoute` first, then axum's,
    /// then the gRPC method.
    pub fn of<B>(request: &Request<B>) -> Self {
        Self::found(Protocol::of(request), request).unwrap_or(Self(Repr::Other))
    }

    /// No route.
    pub(crate) fn none() -> &'static Self {
        static NONE: MatchedRoute = MatchedRoute(Repr::Other);
        &NONE
    }

    /// The route of a request whose protocol is known, if it has one. Apart, so that the look before it is part of the caller.
    #[inline(never)]
    pub(crate) fn found<B>(protocol: Protocol, request: &Request<B>) -> Option<Self> {
        let extensions = request.extensions();
        if let Some(route) = extensions.get::<Self>() {
            return Some(route.clone());
        }
        #[cfg(feature = "axum")]
        if let Some(path) = extensions.get::<axum::extract::MatchedPath>()
            && !(protocol.is_grpc() && is_open(path))
        {
            return Some(Self(Repr::Axum(path.clone())));
        }
        if protocol.is_grpc() { Self::called(request) } else { None }
    }

    /// The route that a router left in a request's extensions: one inserted there as a `MatchedRoute`, or axum's.
    pub fn in_extensions(extensions: &Extensions) -> Option<Self> {
        let inserted = extensions.get::<Self>().cloned();
        #[cfg(feature = "axum")]
        let inserted = inserted.or_else(|| {
            extensions.get::<axum::extract::MatchedPath>().map(|path| Self(Repr::Axum(path.clone())))
        });
        inserted
    }

    /// Whether axum's router told a route of these extensions' request that says more than the path of a call would: any
    /// caller can write the type of gRPC.
    pub(crate) fn is_of_a_router(extensions: &Extensions) -> bool {
        #[cfg(feature = "axum")]
        return extensions.get().is_some_and(|path| !is_open(path));
        #[cfg(not(feature = "axum"))]
        return {
            let _ = extensions;
            false
        };
    }

    /// The method of an outgoing gRPC call, whatever routers have left in its extensions: those of a request that is sent on
    /// are still there. [`OTHER`](Self::OTHER) where the path has not the form of one.
    pub fn of_call<B>(request: &Request<B>) -> Self {
        Self::called(request).unwrap_or(Self(Repr::Other))
    }

    fn called<B>(request: &Request<B>) -> Option<Self> {
        let path = request.uri().path_and_query().filter(|path| is_grpc_method(path.path()))?;
        Some(Self(Repr::Grpc(path.clone())))
    }

    /// The gRPC method that a path names, without the leading slash, if it has the form of one.
    pub(crate) fn method_in(path: &str) -> Option<&str> {
        if is_grpc_method(path) { path.strip_prefix('/') } else { None }
    }

    /// The template or method; [`OTHER`](Self::OTHER) without one.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Other => Self::OTHER,
            Repr::Template(template) => template,
            #[cfg(feature = "axum")]
            Repr::Axum(path) => path.as_str(),
            Repr::Grpc(path) => path.path().strip_prefix('/').unwrap_or_default(),
        }
    }

    /// Whether no route matched.
    pub fn is_other(&self) -> bool {
        matches!(self.0, Repr::Other)
    }

    /// Whether the name comes from the caller (a gRPC path) rather than from a router.
    pub fn is_claimed(&self) -> bool {
        matches!(self.0, Repr::Grpc(_))
    }
}

impl fmt::Debug for MatchedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for MatchedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a template leaves the rest of the path open, as those of tonic do: `/pkg.Service/{*rest}`.
#[cfg(feature = "axum")]
fn is_open(path: &axum::extract::MatchedPath) -> bool {
    path.as_str().rsplit('/').next().is_some_and(|last| last.starts_with("{*"))
}

/// `/pkg.Service/Method` in the alphabet of protobuf names, at most 256 bytes.
fn is_grpc_method(path: &str) -> bool {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    let name = |text: &str, dots: bool| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || (dots && b == b'.'))
    };
    path.len() <= 256 && name(service, true) && name(method, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestContext;

    fn route(path: &str, content_type: &str) -> String {
        let request = Request::post(path).header("content-type", content_type).body(()).unwrap();
        MatchedRoute::of(&request).as_str().to_owned()
    }

    #[test]
    fn a_route_is_read_once() {
        let mut request = Request::new(());
        let context = RequestContext::of(&mut request);
        assert!(context.route().is_none());
        request.extensions_mut().insert(MatchedRoute::template("/orders/{id}"));
        assert_eq!(context.route_of(&request).as_str(), "/orders/{id}");
        request.extensions_mut().insert(MatchedRoute::template("/later"));
        assert_eq!(context.route_of(&request).as_str(), "/orders/{id}");
        assert_eq!(context.route().unwrap().as_str(), "/orders/{id}");
    }

    #[test]
    fn lay_08_a_look_around_the_router_hides_no_route_from_those_within_it() {
        for others in 0..3 {
            let mut request = Request::new(());
            if others > 0 {
                request.extensions_mut().insert("something else");
            }
            let context = RequestContext::of(&mut request);
            for _ in 0..2 {
                assert!(context.route_of(&request).is_other());
                assert!(context.route().unwrap().is_other(), "noted");
            }
            if others > 1 {
                request.extensions_mut().insert(7_u8);
                assert!(context.route_of(&request).is_other());
            }
            // In the place of something else: there are as many as before.
            request.extensions_mut().remove::<&str>();
            request.extensions_mut().insert(MatchedRoute::template("/orders/{id}"));
            assert_eq!(context.route_of(&request).as_str(), "/orders/{id}");
            assert_eq!(context.route().unwrap().as_str(), "/orders/{id}", "for those further out as well");
        }
    }

    #[test]
    fn a_route_found_later_stands_where_no_router_told_one() {
        let mut request = Request::new(());
        let context = RequestContext::of(&mut request);
        assert!(context.route_of(&request).is_other());
        assert!(context.set_route(MatchedRoute::template("/orders/{id}")));
        assert!(!context.set_route(MatchedRoute::template("/other")));
        assert_eq!(context.route().unwrap().as_str(), "/orders/{id}");
        assert_eq!(context.route_of(&request).as_str(), "/orders/{id}");

        let mut request = Request::new(());
        let context = RequestContext::of(&mut request);
        request.extensions_mut().insert(MatchedRoute::template("/first"));
        assert_eq!(context.route_of(&request).as_str(), "/first");
        assert!(!context.set_route(MatchedRoute::template("/second")));
        assert_eq!(context.route().unwrap().as_str(), "/first");
        assert_eq!(MatchedRoute::in_extensions(request.extensions()).unwrap().as_str(), "/first");
    }

    #[test]
    fn obs_01_a_raw_path_is_never_a_route() {
        assert_eq!(route("/orders/7", "application/json"), "_OTHER");
        assert_eq!(route("/pkg.Orders/Create?x=1", "application/grpc"), "pkg.Orders/Create");
        for odd in ["/", "/a", "/a/b/c", "/a//b", "/a/b%20", "/a/", &format!("/{}/b", "x".repeat(300))] {
            assert_eq!(route(odd, "application/grpc"), "_OTHER", "{odd}");
        }
    }
}
