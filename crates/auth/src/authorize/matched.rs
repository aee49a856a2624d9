//! The route that a decision is about, and the path that it was matched by.

use std::borrow::Cow;

use bartizan_core::{MatchedRoute, RequestContext};
use http::{Extensions, Request, Uri};

use crate::path;

/// What was matched, by the router or by a table.
#[derive(Clone, Debug)]
pub(super) struct Matched<'a> {
    route: Cow<'a, MatchedRoute>,
    /// What a table matched, from end to end.
    path: Option<&'a str>,
}

impl<'a> Matched<'a> {
    /// What the router matched. A layer around the router may have noted that there is nothing yet.
    #[inline]
    pub(super) fn by_router<B>(request: &'a Request<B>, context: Option<&'a RequestContext>) -> Self {
        let route = match context.map(|context| context.route_of(request)) {
            Some(route) if !route.is_other() => Cow::Borrowed(route),
            _ => Cow::Owned(MatchedRoute::of(request)),
        };
        Self { route, path: None }
    }

    /// A route of a table, and all of the path that it matches.
    pub(super) fn by_table(route: &'a MatchedRoute, path: &'a str) -> Self {
        Self { route: Cow::Borrowed(route), path: Some(path) }
    }

    pub(super) fn route(&self) -> &MatchedRoute {
        &self.route
    }

    /// What stands for a parameter of the template.
    ///
    /// A nested router has taken its prefix from the path, and not from the template. Where axum says what the path
    /// was, nothing is lost. Elsewhere the ends of both are compared.
    pub(super) fn param<'r>(
        &self,
        name: &str,
        uri: &'r Uri,
        extensions: &'r Extensions,
    ) -> Option<Cow<'r, str>>
    where
        'a: 'r,
    {
        if self.route.is_other() {
            return None;
        }
        let template = self.route.as_str();
        let whole = self.path.or_else(|| of_axum(template, uri, extensions));
        whole
            .and_then(|path| path::parameter(template, path, name))
            .or_else(|| path::parameter_at_end(template, uri.path(), name))
    }

    /// The path that the template was matched by, as far as it can be known.
    pub(super) fn path<'r>(&self, uri: &'r Uri, extensions: &'r Extensions) -> &'r str
    where
        'a: 'r,
    {
        self.path.or_else(|| of_axum(self.route.as_str(), uri, extensions)).unwrap_or(uri.path())
    }
}

/// The path that axum matched by `template`, of which its nested routers have left but the end in the request.
#[cfg(feature = "axum")]
fn of_axum<'a>(template: &str, uri: &Uri, extensions: &'a Extensions) -> Option<&'a str> {
    use axum::extract::{MatchedPath, NestedPath, OriginalUri};

    // A template of another router is about another path.
    extensions.get::<MatchedPath>().filter(|matched| matched.as_str() == template)?;
    let original = extensions.get::<OriginalUri>()?.0.path();
    let taken = extensions.get::<NestedPath>().map_or("/", NestedPath::as_str).trim_end_matches('/');
    let left = taken.matches('/').try_fold(original, |left, _| {
        let left = left.strip_prefix('/')?;
        Some(left.find('/').map_or("", |next| &left[next..]))
    })?;
    // What is left is what the routers left, or somebody in between wrote a path of his own.
    let is_left = left == uri.path() || (left.is_empty() && uri.path() == "/");
    is_left.then_some(original)
}

#[cfg(not(feature = "axum"))]
fn of_axum<'a>(_: &str, _: &Uri, _: &'a Extensions) -> Option<&'a str> {
    None
}
