//! What a caller is told who may not.

use std::time::Duration;

use bartizan_core::{Fault, Principal, PrincipalKind, Reason, Rejection, insufficient_scope};
use http::{Extensions, HeaderValue, header};

use super::{
    matched::Matched,
    node::{Names, Node},
};
use crate::{
    Access, Failure, Require,
    challenge::{self, Challenges},
};

static NO_AUTHENTICATION: Fault = Fault::new(
    "require",
    "a route requires a right, and no authentication layer saw the request",
    "put an authentication layer, `ApiKeyLayer`, outside `RequireLayer`",
);

/// How long to wait for what decides to come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A decision against a request.
#[derive(Clone, Debug)]
pub(super) struct Denied<'a> {
    pub(super) failure: Failure,
    /// What was required, where a rule was found.
    pub(super) require: Option<&'a Require>,
    /// The route, where it was asked for.
    pub(super) route: Option<Matched<'a>>,
    /// Whether the refusal must look like that of a route that does not exist.
    pub(super) is_hidden: bool,
}

impl Denied<'_> {
    /// The refusal, in the name of `layer`.
    #[cold]
    pub(super) fn refusal(
        &self,
        access: Option<&Access<'_>>,
        extensions: &Extensions,
        layer: &'static str,
    ) -> Rejection {
        let rejection = match self.failure {
            _ if self.is_hidden => Rejection::new(Reason::Hidden),
            Failure::NoPrincipal => unauthenticated(extensions),
            Failure::PolicyUnavailable => unavailable(),
            Failure::Uncovered => {
                Rejection::new(Reason::PermissionDenied).with_detail("No rule allows this request.")
            }
            Failure::AmbiguousPath => Rejection::new(Reason::PermissionDenied)
                .with_detail("The path of this request can be read in more than one way."),
            _ => forbidden(self.require, access),
        };
        rejection.with_layer(layer).with_cause(self.failure.as_str())
    }
}

/// Something that must be asked does not answer: nobody passes, and it is not the caller's fault.
pub(crate) fn unavailable() -> Rejection {
    Rejection::new(Reason::DependencyUnavailable).with_retry_after(RETRY_AFTER)
}

/// The challenges of the authentication layers that let the request pass without a principal.
fn unauthenticated(extensions: &Extensions) -> Rejection {
    Challenges::refusal(extensions).unwrap_or_else(|| {
        NO_AUTHENTICATION.report();
        Rejection::unauthenticated(challenge::DEFAULT)
    })
}

fn forbidden(require: Option<&Require>, access: Option<&Access<'_>>) -> Rejection {
    let mut rejection = Rejection::new(Reason::PermissionDenied);
    let Some((require, access)) = require.zip(access) else { return rejection };
    if let Some(missing) = missing(require.node(), access) {
        rejection = rejection.with_detail(format!("This request needs {missing}."));
    }
    if let Some(scopes) = helpful_scopes(require.node(), access) {
        let challenge = lacking(access.principal(), scopes);
        rejection = rejection.with_header(header::WWW_AUTHENTICATE, challenge);
    }
    rejection
}

/// What would have to be there, in words. `None` where words would tell too much, or nothing: whose tenants there
/// are, what a condition asks, what a caller must not have.
fn missing(node: &Node, access: &Access<'_>) -> Option<String> {
    let principal = access.principal();
    match node {
        Node::AllScopes(scopes) => Some(all("scope", scopes, |scope| principal.has_scope(scope))),
        Node::AllRoles(roles) => Some(all("role", roles, |role| principal.has_role(role))),
        Node::AnyScope(scopes) => Some(any("scope", scopes)),
        Node::AnyRole(roles) => Some(any("role", roles)),
        Node::Kind(PrincipalKind::User) => Some("a person".to_owned()),
        Node::Kind(PrincipalKind::Service) => Some("a program".to_owned()),
        Node::All(nodes) => missing(nodes.iter().find(|node| !node.holds(access))?, access),
        Node::Any(nodes) => {
            let alternatives: Option<Vec<_>> = nodes.iter().map(|node| missing(node, access)).collect();
            Some(alternatives?.join(", or "))
        }
        _ => None,
    }
}

fn all(what: &str, names: &Names, has: impl Fn(&str) -> bool) -> String {
    let missing: Vec<&str> = names.iter().map(|name| &**name).filter(|name| !has(name)).collect();
    let plural = if missing.len() == 1 { "" } else { "s" };
    format!("the {what}{plural} {}", quoted(missing, "and"))
}

fn any(what: &str, names: &Names) -> String {
    format!("the {what} {}", quoted(names.iter().map(|name| &**name), "or"))
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>, conjunction: &str) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(&format!(" {conjunction} "))
}

/// The scopes with which the caller would pass, if scopes alone are what it lacks.
enum Helpful<'a> {
    /// All of these.
    All(Vec<&'a str>),
    /// One of several, which the parameter `scope` cannot say: it would mean all of them.
    Some,
}

fn helpful_scopes<'a>(node: &'a Node, access: &Access<'_>) -> Option<Helpful<'a>> {
    match node {
        Node::AllScopes(scopes) => Some(Helpful::All(scopes.iter().map(|scope| &**scope).collect())),
        Node::AnyScope(_) => Some(Helpful::Some),
        Node::All(nodes) => {
            let mut missing = nodes.iter().filter(|node| !node.holds(access));
            let first = helpful_scopes(missing.next()?, access)?;
            missing.try_fold(first, |helpful, node| match (helpful, helpful_scopes(node, access)?) {
                (Helpful::All(mut scopes), Helpful::All(more)) => {
                    scopes.extend(more);
                    Some(Helpful::All(scopes))
                }
                _ => Some(Helpful::Some),
            })
        }
        Node::Any(nodes) => {
            nodes.iter().any(|node| helpful_scopes(node, access).is_some()).then_some(Helpful::Some)
        }
        _ => None,
    }
}

/// What the principal's credential lacks.
fn lacking(principal: &Principal, scopes: Helpful<'_>) -> HeaderValue {
    let scopes = match scopes {
        Helpful::All(scopes) => scopes,
        Helpful::Some => Vec::new(),
    };
    insufficient_scope(principal.auth_scheme().unwrap_or("ApiKey"), scopes)
        .unwrap_or(HeaderValue::from_static("ApiKey error=\"insufficient_scope\""))
}
