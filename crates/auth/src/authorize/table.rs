//! Rules by route, put together and checked.

use std::fmt;

use bartizan_core::MatchedRoute;
use http::Method;

use super::{
    coverage,
    decide::Rules,
    lookup::{ANY, Rule, Table},
};
use crate::{
    AuthorizeLayer, ConfigError, Require,
    error::Part,
    path::{self, Segment},
};

/// Rules over route templates and gRPC methods, on the way to becoming an [`AuthorizeLayer`]; made by
/// [`AuthorizeLayer::table`].
///
/// What no rule covers is refused.
#[derive(Debug, Default)]
#[must_use = "a table does nothing until it is built"]
pub struct RuleTable {
    rules: Vec<(Target, Rule)>,
    covering: Vec<Target>,
}

/// What a rule is about, as it was written.
#[derive(Clone, Debug)]
enum Target {
    Route { method: String, template: String },
    Grpc(String),
}

const METHOD_FORM: &str = "must be a method in capitals, or `*` for every one that has no rule of its own";
const TEMPLATE_FORM: &str = "must be a template as the router has it: begin with `/`, segments of letters, digits \
                             and `-._~$!+@=` or whole parameters, `{id}`, and at the end `{*rest}`";
const GRPC_FORM: &str = "must be a full method, `/pkg.Service/Method`, or all of a service, `/pkg.Service/*`";

impl RuleTable {
    /// What a request of this method to this route must have. The template is the router's,
    /// `/v1/orders/{id}`; how a parameter is called makes no difference. `*` stands for every method that has
    /// no rule of its own. `/admin/{*rest}` covers all routes below `/admin/` that have no rules of their own. HEAD
    /// is held to the rule of GET unless it has its own. Of several templates that match a path the closest decides
    /// alone: a literal is closer than a parameter, and either than a rest, from left to right.
    pub fn route(self, method: &str, template: &str, require: Require) -> Self {
        self.with(Target::route(method, template), Rule::Require(require))
    }

    /// A route for everybody, with or without a principal.
    pub fn public(self, method: &str, template: &str) -> Self {
        self.with(Target::route(method, template), Rule::Public)
    }

    /// What a call of this gRPC method must have: `/pkg.Service/Method`, in the case of its definition, or
    /// `/pkg.Service/*` for every method of the service that has no rule of its own. A method is a name of letters,
    /// digits and `_`, and nothing else is covered.
    pub fn grpc(self, method: &str, require: Require) -> Self {
        self.with(Target::Grpc(method.to_owned()), Rule::Require(require))
    }

    /// A gRPC method for everybody: health checks, reflection.
    pub fn public_grpc(self, method: &str) -> Self {
        self.with(Target::Grpc(method.to_owned()), Rule::Public)
    }

    /// Routes that the service has, as method and template: those without a rule are reported when the table is
    /// built, and listed by [`AuthorizeLayer::uncovered`]. Call it once per list.
    pub fn covering<M, T>(mut self, routes: impl IntoIterator<Item = (M, T)>) -> Self
    where
        M: AsRef<str>,
        T: AsRef<str>,
    {
        let targets =
            routes.into_iter().map(|(method, template)| Target::route(method.as_ref(), template.as_ref()));
        self.covering.extend(targets);
        self
    }

    /// The same of gRPC methods: `/pkg.Service/Method`.
    pub fn covering_grpc<T: AsRef<str>>(mut self, methods: impl IntoIterator<Item = T>) -> Self {
        self.covering.extend(methods.into_iter().map(|method| Target::Grpc(method.as_ref().to_owned())));
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// When there is no rule, a method or template is not of its form, or two rules are about the same route; names
    /// it by its place, in the order of the calls: `rules[3].template`.
    pub fn build(self) -> Result<AuthorizeLayer, ConfigError> {
        if self.rules.is_empty() {
            return Err(ConfigError::new(
                Part::Authorize,
                "rules",
                "must hold at least one: without any, everything is refused",
            ));
        }
        let mut table = Table::default();
        for (index, (target, rule)) in self.rules.into_iter().enumerate() {
            let added = match target {
                Target::Route { method, template } => read_method(&method).and_then(|method| {
                    check_template(&template)?;
                    table.add_route(method, &template, rule)
                }),
                Target::Grpc(method) => check_grpc(&method).and_then(|()| table.add_grpc(&method, rule)),
            };
            added.map_err(|error| error.within(format_args!("rules[{index}]")))?;
        }
        table.index_paths()?;
        let uncovered: Vec<String> = self
            .covering
            .iter()
            .filter(|target| !target.is_covered_by(&table))
            .map(Target::to_string)
            .collect();
        uncovered.iter().for_each(|target| coverage::report(target));
        Ok(AuthorizeLayer::of(Rules::Table(table.into()), uncovered))
    }

    fn with(mut self, target: Target, rule: Rule) -> Self {
        self.rules.push((target, rule));
        self
    }
}

impl Target {
    fn route(method: &str, template: &str) -> Self {
        Self::Route { method: method.to_owned(), template: template.to_owned() }
    }

    fn is_covered_by(&self, table: &Table) -> bool {
        match self {
            Self::Grpc(method) => table.grpc(method).is_some(),
            Self::Route { method, template } => Method::from_bytes(method.as_bytes()).is_ok_and(|method| {
                table.by_template(template).is_some_and(|route| route.rule(&method).is_some())
            }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { method, template } => write!(f, "{method} {template}"),
            Self::Grpc(method) => f.write_str(method),
        }
    }
}

/// `None` stands for every method.
fn read_method(method: &str) -> Result<Option<Method>, ConfigError> {
    if method == ANY {
        return Ok(None);
    }
    let is_capital =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    match Method::from_bytes(method.as_bytes()) {
        Ok(method) if is_capital => Ok(Some(method)),
        _ => Err(ConfigError::new(Part::Authorize, "method", METHOD_FORM)),
    }
}

fn check_template(template: &str) -> Result<(), ConfigError> {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['{', '}', '*']);
    // `:id` and `*rest` were how routers wrote parameters once: a rule with them would never match.
    let is_literal = |text: &str| path::is_plain_segment(text) && !text.contains([':', '*']);
    let last = path::segments(template).count() - 1;
    let is_good = |(index, segment)| match segment {
        // A route may end with a slash; it is then found by the router's template alone.
        Segment::Literal("") => index == last,
        Segment::Literal(text) => is_literal(text),
        Segment::Parameter(name) => is_name(name),
        Segment::Rest(name) => is_name(name) && index == last,
    };
    let is_template = template.starts_with('/')
        && template != MatchedRoute::OTHER
        && path::segments(template).enumerate().all(is_good);
    if is_template { Ok(()) } else { Err(ConfigError::new(Part::Authorize, "template", TEMPLATE_FORM)) }
}

fn check_grpc(method: &str) -> Result<(), ConfigError> {
    let is_name = path::is_grpc_name;
    let is_method = method
        .strip_prefix('/')
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(service, name)| service.split('.').all(is_name) && (name == ANY || is_name(name)));
    if is_method { Ok(()) } else { Err(ConfigError::new(Part::Authorize, "method", GRPC_FORM)) }
}
