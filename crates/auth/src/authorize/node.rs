//! The parts of a requirement, and whether they hold.

use std::{fmt, sync::Arc};

use bartizan_core::PrincipalKind;

use crate::{Access, Failure};

#[derive(Clone)]
pub(super) enum Node {
    Authenticated,
    AllScopes(Names),
    AnyScope(Names),
    AllRoles(Names),
    AnyRole(Names),
    Tenant(Names),
    Kind(PrincipalKind),
    When(Condition),
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Not(Box<Self>),
}

pub(super) type Names = Box<[Box<str>]>;

#[derive(Clone)]
pub(super) struct Condition {
    name: &'static str,
    holds: Arc<dyn Fn(&Access<'_>) -> bool + Send + Sync>,
}

impl Condition {
    pub(super) fn new<F>(name: &'static str, holds: F) -> Self
    where
        F: Fn(&Access<'_>) -> bool + Send + Sync + 'static,
    {
        Self { name, holds: Arc::new(holds) }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authenticated => f.write_str("Authenticated"),
            Self::AllScopes(names) => f.debug_tuple("AllScopes").field(names).finish(),
            Self::AnyScope(names) => f.debug_tuple("AnyScope").field(names).finish(),
            Self::AllRoles(names) => f.debug_tuple("AllRoles").field(names).finish(),
            Self::AnyRole(names) => f.debug_tuple("AnyRole").field(names).finish(),
            Self::Tenant(names) => f.debug_tuple("Tenant").field(names).finish(),
            Self::Kind(kind) => f.debug_tuple("Kind").field(kind).finish(),
            Self::When(condition) => f.debug_tuple("When").field(&condition.name).finish(),
            Self::All(nodes) => f.debug_tuple("All").field(nodes).finish(),
            Self::Any(nodes) => f.debug_tuple("Any").field(nodes).finish(),
            Self::Not(node) => f.debug_tuple("Not").field(node).finish(),
        }
    }
}

impl Node {
    pub(super) fn holds(&self, access: &Access<'_>) -> bool {
        let principal = access.principal();
        match self {
            Self::Authenticated => true,
            Self::AllScopes(scopes) => scopes.iter().all(|scope| principal.has_scope(scope)),
            Self::AnyScope(scopes) => scopes.iter().any(|scope| principal.has_scope(scope)),
            Self::AllRoles(roles) => roles.iter().all(|role| principal.has_role(role)),
            Self::AnyRole(roles) => roles.iter().any(|role| principal.has_role(role)),
            Self::Tenant(tenants) => tenants.iter().any(|tenant| principal.tenant() == Some(tenant)),
            Self::Kind(kind) => principal.kind() == *kind,
            Self::When(condition) => (condition.holds)(access),
            Self::All(nodes) => nodes.iter().all(|node| node.holds(access)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(access)),
            Self::Not(node) => !node.holds(access),
        }
    }

    /// The name of what is missing: of several things all of which are needed the first, of alternatives the first
    /// too.
    #[cold]
    pub(super) fn failure(&self, access: &Access<'_>) -> Failure {
        match self {
            Self::AllScopes(_) | Self::AnyScope(_) => Failure::InsufficientScope,
            Self::AllRoles(_) | Self::AnyRole(_) => Failure::InsufficientRole,
            Self::Tenant(_) => Failure::WrongTenant,
            Self::Kind(_) => Failure::WrongKind,
            Self::All(nodes) | Self::Any(nodes) => nodes
                .iter()
                .find(|node| !node.holds(access))
                .map_or(Failure::Condition, |node| node.failure(access)),
            Self::Authenticated | Self::When(_) | Self::Not(_) => Failure::Condition,
        }
    }

    pub(super) fn looks_at_request(&self) -> bool {
        match self {
            Self::When(_) => true,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::looks_at_request),
            Self::Not(node) => node.looks_at_request(),
            _ => false,
        }
    }
}
