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
    /// What the router matched.
    #[inline]
    pub(super) fn by_router<B>(request: &'a Request<B>, context: Option<&'a RequestContext>) -> Self {
        let route = match context {
            Some(context) => Cow::Borrowed(context.route_of(request)),
            None => Cow::Owned(MatchedRoute::of(request)),
        };
        Self { route, path: None }
    }

    /// A route of a table, and all of the path that it matches, where that is known.
    pub(super) fn by_table(route: &'a MatchedRoute, path: Option<&'a str>) -> Self {
        Self { route: Cow::Borrowed(route), path }
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

    /// The path that the template was matched by, from end to end. `None` where it cannot be known: a nested router may
    /// have taken something from it.
    pub(super) fn whole_path<'r>(&self, uri: &'r Uri, extensions: &'r Extensions) -> Option<&'r str>
    where
        'a: 'r,
    {
        let template = self.route.as_str();
        let untouched = || path::is_whole(template, uri.path()).then_some(uri.path());
        self.path.or_else(|| of_axum(template, uri, extensions)).or_else(untouched)
    }

    /// The path that axum's outermost router saw, if that can be read in more than one way. What is left of it may hide
    /// that: a nested router takes the second slash of `/prefix//` with its prefix.
    pub(super) fn ambiguous_path<'r>(&self, extensions: &'r Extensions) -> Option<&'r str> {
        let Axum { original, .. } = Axum::of(self.route.as_str(), extensions)?;
        path::read(original).is_err().then_some(original)
    }
}

/// The path that axum matched by `template`, of which its nested routers have left but the end in the request.
fn of_axum<'a>(template: &str, uri: &Uri, extensions: &'a Extensions) -> Option<&'a str> {
    let Axum { original, nested } = Axum::of(template, extensions)?;
    let left = nested.trim_end_matches('/').matches('/').try_fold(original, |left, _| {
        let left = left.strip_prefix('/')?;
        Some(left.find('/').map_or("", |next| &left[next..]))
    })?;
    // What is left is what the routers left, or somebody in between wrote a path of his own.
    let is_left = left == uri.path() || (left.is_empty() && uri.path() == "/");
    is_left.then_some(original)
}

/// What axum's routers leave in a request.
struct Axum<'a> {
    /// The path that the outermost router saw.
    original: &'a str,
    /// The prefixes that nested ones took from it, as templates.
    nested: &'a str,
}

impl<'a> Axum<'a> {
    /// `None` if the template is of another router: then it is about another path.
    #[cfg(feature = "axum")]
    fn of(template: &str, extensions: &'a Extensions) -> Option<Self> {
        use axum::extract::{MatchedPath, NestedPath, OriginalUri};

        extensions.get::<MatchedPath>().filter(|matched| matched.as_str() == template)?;
        let original = extensions.get::<OriginalUri>()?.0.path();
        let nested = extensions.get::<NestedPath>().map_or("/", NestedPath::as_str);
        Some(Self { original, nested })
    }

    #[cfg(not(feature = "axum"))]
    fn of(_: &str, _: &'a Extensions) -> Option<Self> {
        None
    }
}
