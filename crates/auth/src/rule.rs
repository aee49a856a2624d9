//! The decision over a right, and its refusal: no service, no waiting.

use bartizan_core::{Fault, Principal, Reason, Rejection, RequestContext};
use http::{Extensions, HeaderValue, header};

use crate::{
    ConfigError, Failure,
    challenge::{self, Challenges},
    key,
};

#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Authenticated,
    AllScopes(Box<[Box<str>]>),
    AnyScope(Box<[Box<str>]>),
    Role(Box<str>),
}

static NO_AUTHENTICATION: Fault = Fault::new(
    "require",
    "a route requires a right, and no authentication layer saw the request",
    "put an authentication layer, `ApiKeyLayer`, outside `RequireLayer`",
);

impl Rule {
    /// # Errors
    ///
    /// When there is no scope, or one has not the form of a scope.
    pub(crate) fn all_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        checked_scopes(scopes).map(Self::AllScopes)
    }

    /// The same.
    pub(crate) fn any_scope<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        checked_scopes(scopes).map(Self::AnyScope)
    }

    /// The same of a role.
    pub(crate) fn role(role: &str) -> Result<Self, ConfigError> {
        if is_role(role) { Ok(Self::Role(role.into())) } else { Err(ConfigError::new("role", ROLE_FORM)) }
    }

    pub(crate) fn check(&self, principal: Option<&Principal>) -> Result<(), Failure> {
        let Some(principal) = principal else { return Err(Failure::NoPrincipal) };
        let has = |scope| principal.has_scope(scope);
        match self {
            Self::Authenticated => Ok(()),
            Self::AllScopes(scopes) if names(scopes).all(has) => Ok(()),
            Self::AnyScope(scopes) if names(scopes).any(has) => Ok(()),
            Self::AllScopes(_) | Self::AnyScope(_) => Err(Failure::InsufficientScope),
            Self::Role(role) if principal.has_role(role) => Ok(()),
            Self::Role(_) => Err(Failure::InsufficientRole),
        }
    }

    #[cold]
    pub(crate) fn refusal(&self, failure: Failure, extensions: &Extensions) -> Rejection {
        let rejection = match failure {
            Failure::NoPrincipal => unauthenticated(extensions),
            _ => self.forbidden(RequestContext::get(extensions).and_then(RequestContext::principal)),
        };
        rejection.with_layer("require").with_cause(failure.as_str())
    }

    fn forbidden(&self, principal: Option<&Principal>) -> Rejection {
        let rejection = Rejection::new(Reason::PermissionDenied);
        match self {
            Self::Authenticated => rejection,
            Self::AllScopes(scopes) => {
                let lacks = |scope: &&str| !principal.is_some_and(|it| it.has_scope(scope));
                let missing: Vec<&str> = names(scopes).filter(lacks).collect();
                let kind = if missing.len() == 1 { "scope" } else { "scopes" };
                rejection
                    .with_detail(format!("This request needs the {kind} {}.", quoted(&missing, "and")))
                    .with_header(header::WWW_AUTHENTICATE, insufficient_scope(Some(scopes)))
            }
            Self::AnyScope(scopes) => {
                let any: Vec<&str> = names(scopes).collect();
                rejection
                    .with_detail(format!("This request needs the scope {}.", quoted(&any, "or")))
                    // The parameter `scope` would say that all of them are needed.
                    .with_header(header::WWW_AUTHENTICATE, insufficient_scope(None))
            }
            Self::Role(role) => rejection.with_detail(format!("This request needs the role `{role}`.")),
        }
    }
}

/// The challenges of the authentication layers that let the request pass without a principal.
fn unauthenticated(extensions: &Extensions) -> Rejection {
    match Challenges::of(extensions) {
        [] => {
            NO_AUTHENTICATION.report();
            Rejection::unauthenticated(challenge::DEFAULT)
        }
        challenges => {
            challenges.iter().fold(Rejection::new(Reason::Unauthenticated), |rejection, challenge| {
                rejection.with_header(header::WWW_AUTHENTICATE, challenge.clone())
            })
        }
    }
}

/// What RFC 6750 section 3.1 says of tokens, said of keys.
fn insufficient_scope(scopes: Option<&[Box<str>]>) -> HeaderValue {
    const ERROR: &str = "ApiKey error=\"insufficient_scope\"";
    scopes
        .and_then(|scopes| HeaderValue::try_from(format!("{ERROR}, scope=\"{}\"", scopes.join(" "))).ok())
        .unwrap_or(HeaderValue::from_static(ERROR))
}

fn quoted(names: &[&str], conjunction: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(&format!(" {conjunction} "))
}

fn names(scopes: &[Box<str>]) -> impl Iterator<Item = &str> {
    scopes.iter().map(|scope| &**scope)
}

pub(crate) const ROLE_FORM: &str = "must have 1 to 128 bytes and no control characters";

pub(crate) fn is_role(role: &str) -> bool {
    key::is_text(role, 128)
}

pub(crate) const SCOPE_FORM: &str =
    "must have 1 to 128 printable ASCII characters without space, `\"` and `\\`";

/// A scope token (RFC 6749 section 3.3).
pub(crate) fn is_scope(scope: &str) -> bool {
    let token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=128).contains(&scope.len()) && scope.bytes().all(token)
}

fn checked_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Box<[Box<str>]>, ConfigError> {
    let scopes: Box<[Box<str>]> = scopes.into_iter().map(Into::into).collect();
    if scopes.is_empty() {
        return Err(ConfigError::new("scopes", "must name at least one scope"));
    }
    match scopes.iter().position(|scope| !is_scope(scope)) {
        Some(index) => Err(ConfigError::new(format!("scopes[{index}]"), SCOPE_FORM)),
        None => Ok(scopes),
    }
}
