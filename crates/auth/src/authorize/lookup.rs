//! Rules, found by template, by path or by gRPC method.

use std::{borrow::Cow, collections::HashMap};

use bartizan_core::MatchedRoute;
use hashbrown::HashTable;
use http::Method;
use rustc_hash::FxBuildHasher;

use super::Require;
use crate::{
    ConfigError,
    error::Part,
    path::{self, Segment},
};

/// Any method of a route, or of a gRPC service.
pub(super) const ANY: &str = "*";

/// What holds for a route.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Public,
    Require(Require),
}

/// Rules, ready to be looked up.
#[derive(Debug, Default)]
pub(super) struct Table {
    routes: Vec<Route>,
    by_template: HashTable<usize>,
    /// The routes that end with `{*rest}`, the longest first.
    rests: Vec<usize>,
    paths: Paths,
    grpc: HashMap<Box<str>, Rule, FxBuildHasher>,
    /// By the path up to and with the second slash.
    grpc_services: HashMap<Box<str>, Rule, FxBuildHasher>,
    hides: bool,
}

/// The rules of one template.
#[derive(Debug)]
pub(super) struct Route {
    route: MatchedRoute,
    methods: Vec<(Method, Rule)>,
    any: Option<Rule>,
    /// Whether a path of this template may belong to another of the table that is closer to it.
    is_outranked: bool,
}

impl Route {
    pub(super) fn route(&self) -> &MatchedRoute {
        &self.route
    }

    /// Whether the path, too, must be looked up: see [`Table::closer`].
    pub(super) fn is_outranked(&self) -> bool {
        self.is_outranked
    }

    fn template(&self) -> &str {
        self.route.as_str()
    }

    /// HEAD reads what GET reads, so what protects one protects the other.
    pub(super) fn rule(&self, method: &Method) -> Option<&Rule> {
        let own = |wanted: &Method| self.methods.iter().find(|(method, _)| method == wanted);
        let found = own(method).or_else(|| if method == Method::HEAD { own(&Method::GET) } else { None });
        found.map(|(_, rule)| rule).or(self.any.as_ref())
    }
}

impl Table {
    /// The rules of a template as the router has it: its own, else those of the longest `/prefix/{*rest}` that has
    /// all its paths.
    pub(super) fn by_template(&self, template: &str) -> Option<&Route> {
        let found = self
            .by_template
            .find(hash(template), |route| path::are_alike(self.routes[*route].template(), template));
        let rest = || self.rests.iter().find(|route| path::covers(self.routes[**route].template(), template));
        found.or_else(rest).map(|route| &self.routes[*route])
    }

    /// The rules of the template that matches the path, where no router has said which one does.
    ///
    /// # Errors
    ///
    /// When the path can be read in more than one way.
    pub(super) fn by_path(&self, path: &str) -> Result<Option<&Route>, path::Ambiguous> {
        self.by_decoded(path, &path::read(path)?)
    }

    fn by_decoded(&self, path: &str, decoded: &str) -> Result<Option<&Route>, path::Ambiguous> {
        let found = self.paths.find(decoded)?;
        // A router further in may match before it decodes, or after: both must come to the same.
        if decoded != path && self.paths.exact(path) != found {
            return Err(path::Ambiguous);
        }
        Ok(found.map(|route| &self.routes[route]))
    }

    /// Of the templates that match the path, the one that is closer to it than `found`, which the router's `template` led
    /// to. A router may know but `/{*path}` where the table knows better.
    ///
    /// # Errors
    ///
    /// When the path can be read in more than one way, and one that is closer may be meant.
    pub(super) fn closer(
        &self,
        found: &Route,
        template: &str,
        path: &str,
    ) -> Result<Option<&Route>, path::Ambiguous> {
        let closest = if path::is_literal(template) {
            self.paths.exact(template).map(|route| &self.routes[route])
        } else {
            let decoded = match path.strip_suffix('/') {
                // There is no doubt about a slash that the router's template has, too.
                Some(stem) if template.ends_with('/') => Cow::Owned(format!("{}/", path::read(stem)?)),
                _ => path::read(path)?,
            };
            self.by_decoded(path, &decoded)?
        };
        Ok(closest.filter(|route| path::outranks(route.template(), found.template())))
    }

    /// The rule of the gRPC method with this path.
    pub(super) fn grpc(&self, path: &str) -> Option<&Rule> {
        if self.grpc.is_empty() && self.grpc_services.is_empty() {
            return None;
        }
        self.grpc.get(path).or_else(|| {
            // Any other name could be read as another method by somebody further in.
            let (service, method) = path.split_at(path.rfind('/')? + 1);
            if path::is_grpc_name(method) { self.grpc_services.get(service) } else { None }
        })
    }

    /// Whether a route is hidden from some. Then one that does not exist must look the same.
    pub(super) fn hides(&self) -> bool {
        self.hides
    }

    /// Adds the rule of a method, or of all that have none, to a template.
    pub(super) fn add_route(
        &mut self,
        method: Option<Method>,
        template: &str,
        rule: Rule,
    ) -> Result<(), ConfigError> {
        self.hides |= rule.hides();
        let routes = &mut self.routes;
        let entry = self.by_template.entry(
            hash(template),
            |route| path::are_alike(routes[*route].template(), template),
            |route| hash(routes[*route].template()),
        );
        let route = *entry
            .or_insert_with(|| {
                let route = MatchedRoute::template(template);
                routes.push(Route { route, methods: Vec::new(), any: None, is_outranked: false });
                routes.len() - 1
            })
            .get();
        let route = &mut routes[route];
        let is_new = match method {
            Some(method) => {
                let is_new = !route.methods.iter().any(|(known, _)| *known == method);
                route.methods.push((method, rule));
                is_new
            }
            None => route.any.replace(rule).is_none(),
        };
        if is_new {
            Ok(())
        } else {
            Err(ConfigError::new(Part::Authorize, "template", "has a rule for this method already"))
        }
    }

    /// Adds the rule of a full method, or of `/pkg.Service/*`.
    pub(super) fn add_grpc(&mut self, method: &str, rule: Rule) -> Result<(), ConfigError> {
        self.hides |= rule.hides();
        let service = method.strip_suffix(ANY);
        let replaced = match service {
            Some(service) => self.grpc_services.insert(service.into(), rule),
            None => self.grpc.insert(method.into(), rule),
        };
        if replaced.is_none() {
            Ok(())
        } else {
            Err(ConfigError::new(Part::Authorize, "method", "has a rule already"))
        }
    }

    /// Makes paths match, when all routes are there.
    pub(super) fn index_paths(&mut self) -> Result<(), ConfigError> {
        self.paths = Paths::new(&self.routes)?;
        let segments = |route: usize| path::segments(self.routes[route].template());
        let is_rest = |route: &usize| matches!(segments(*route).next_back(), Some(Segment::Rest(_)));
        self.rests = (0..self.routes.len()).filter(is_rest).collect();
        self.rests.sort_by_key(|route| std::cmp::Reverse(segments(*route).count()));
        let outranks = |one: usize, other: usize| {
            path::outranks(self.routes[one].template(), self.routes[other].template())
        };
        let outranked: Vec<bool> = (0..self.routes.len())
            .map(|other| (0..self.routes.len()).any(|one| outranks(one, other)))
            .collect();
        self.routes.iter_mut().zip(outranked).for_each(|(route, is)| route.is_outranked = is);
        Ok(())
    }
}

impl Rule {
    fn hides(&self) -> bool {
        matches!(self, Self::Require(require) if require.is_hidden())
    }
}

/// Which template matches a path.
#[derive(Default)]
struct Paths {
    exact: matchit::Router<usize>,
    /// The same in lower case: which templates a reader that does not tell cases apart would take.
    folded: matchit::Router<usize>,
    /// Of each route, what `folded` has for it.
    folds: Vec<usize>,
}

impl std::fmt::Debug for Paths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paths").field("routes", &self.folds.len()).finish()
    }
}

impl Paths {
    fn new(routes: &[Route]) -> Result<Self, ConfigError> {
        let conflict = |_| {
            ConfigError::new(
                Part::Authorize,
                "rules",
                "hold two templates of which no router could have both",
            )
        };
        let mut paths = Self::default();
        let mut folds: HashMap<String, usize> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            paths.exact.insert(canonical(route.template()), index).map_err(conflict)?;
            let folded = canonical(&route.template().to_ascii_lowercase());
            let fold = match folds.get(&folded) {
                Some(fold) => *fold,
                None => {
                    paths.folded.insert(folded.clone(), index).map_err(conflict)?;
                    folds.insert(folded, index);
                    index
                }
            };
            paths.folds.push(fold);
        }
        Ok(paths)
    }

    fn exact(&self, path: &str) -> Option<usize> {
        self.exact.at(path).ok().map(|found| *found.value)
    }

    /// A path in other letters than a stricter rule's, taken by a parameter of a laxer one, is ambiguous.
    fn find(&self, path: &str) -> Result<Option<usize>, path::Ambiguous> {
        let Ok(found) = self.exact.at(path) else { return Ok(None) };
        let route = *found.value;
        if !found.params.is_empty() && path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let folded = path.to_ascii_lowercase();
            if self.folded.at(&folded).is_ok_and(|folded| *folded.value != self.folds[route]) {
                return Err(path::Ambiguous);
            }
        }
        Ok(Some(route))
    }
}

/// With parameters that all have the same names, so that it does not matter how the rules call them.
fn canonical(template: &str) -> String {
    let mut text = String::with_capacity(template.len() + 1);
    for (index, segment) in path::segments(template).enumerate() {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Parameter(_) => text.push_str(&format!("{{p{index}}}")),
            Segment::Rest(_) => text.push_str("{*rest}"),
        }
    }
    text
}

/// Equal for templates that are alike.
fn hash(template: &str) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};

    let mut hasher = FxBuildHasher.build_hasher();
    for segment in path::segments(template) {
        match segment {
            Segment::Literal(literal) => literal.hash(&mut hasher),
            Segment::Parameter(_) => hasher.write_u8(1),
            Segment::Rest(_) => hasher.write_u8(2),
        }
    }
    hasher.finish()
}
