//! What a caller must have, as plain data.

use std::{fmt, ops::Not};

use bartizan_core::PrincipalKind;

use super::node::{Condition, Names, Node};
use crate::{Access, ConfigError, Failure, error::Part, key};

/// What a caller must have: scopes, roles, a tenant, a kind, any condition of one's own, and these put together.
///
/// Plain data: it is made once, and asked without an allocation. Without a caller it never holds, not even when
/// it is negated.
///
/// ```
/// use bartizan_auth::Require;
///
/// let require = Require::scope("orders:write")
///     .and(Require::tenant("acme").or(Require::role("support")))
///     .and(!Require::role("suspended"));
/// ```
///
/// The functions that take a name panic when nobody can have such a scope, role or tenant; the `try_` ones are for
/// names that come from configuration.
#[derive(Clone)]
#[must_use = "a requirement does nothing until a layer asks it"]
pub struct Require {
    node: Node,
    is_hidden: bool,
}

impl Require {
    /// A caller, whoever it is.
    pub fn authenticated() -> Self {
        Self::of(Node::Authenticated)
    }

    /// This scope.
    ///
    /// # Panics
    ///
    /// When the text can be no scope: see [`try_scope`](Self::try_scope).
    #[track_caller]
    pub fn scope(scope: &str) -> Self {
        expect(Self::try_scope(scope))
    }

    /// All of these scopes.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no scope.
    #[track_caller]
    pub fn all_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        expect(Self::try_all_scopes(scopes))
    }

    /// One or more of these scopes.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no scope.
    #[track_caller]
    pub fn any_scope<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        expect(Self::try_any_scope(scopes))
    }

    /// This role.
    ///
    /// # Panics
    ///
    /// When the text can be no role: see [`try_role`](Self::try_role).
    #[track_caller]
    pub fn role(role: &str) -> Self {
        expect(Self::try_role(role))
    }

    /// All of these roles.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no role.
    #[track_caller]
    pub fn all_roles<'a>(roles: impl IntoIterator<Item = &'a str>) -> Self {
        expect(Self::try_all_roles(roles))
    }

    /// One or more of these roles.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no role.
    #[track_caller]
    pub fn any_role<'a>(roles: impl IntoIterator<Item = &'a str>) -> Self {
        expect(Self::try_any_role(roles))
    }

    /// A caller who acts for this tenant. For the tenant that a path names, see [`when`](Self::when).
    ///
    /// # Panics
    ///
    /// When the text can be no tenant: see [`try_any_tenant`](Self::try_any_tenant).
    #[track_caller]
    pub fn tenant(tenant: &str) -> Self {
        expect(Self::try_any_tenant([tenant]))
    }

    /// A person, or a program.
    ///
    /// Of the owner of a token that is known only as far as its issuer tells it: a program is a subject that is the
    /// `client_id`, or `azp`, itself (RFC 9068 section 2.2). Not every issuer writes the tokens of the client-credentials grant so,
    /// and then `User` lets programs pass, too: see
    /// [`JwtLayer`](crate::JwtLayer#persons-and-programs).
    pub fn kind(kind: PrincipalKind) -> Self {
        Self::of(Node::Kind(kind))
    }

    /// A condition of one's own over the caller and the request. `name` is for `Debug` alone. Every request asks
    /// it, so it must not wait; what has to ask elsewhere is an [`AsyncPolicy`](crate::AsyncPolicy).
    pub fn when<F>(name: &'static str, condition: F) -> Self
    where
        F: Fn(&Access<'_>) -> bool + Send + Sync + 'static,
    {
        Self::of(Node::When(Condition::new(name, condition)))
    }

    /// A condition over a value that another layer left in the request's extensions, such as the typed claims of a
    /// token. Without the value it does not hold.
    ///
    /// ```
    /// use bartizan_auth::Require;
    ///
    /// #[derive(Clone)]
    /// struct Claims {
    ///     email_verified: bool,
    /// }
    ///
    /// let require = Require::claim("email_verified", |claims: &Claims| claims.email_verified);
    /// ```
    pub fn claim<T, F>(name: &'static str, condition: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        Self::when(name, move |access| access.extensions().get::<T>().is_some_and(&condition))
    }

    /// This and the other.
    pub fn and(self, other: Self) -> Self {
        let is_hidden = self.is_hidden || other.is_hidden;
        let mut nodes = match self.node {
            Node::All(nodes) => nodes.into_vec(),
            node => vec![node],
        };
        nodes.push(other.node);
        Self { node: Node::All(nodes.into()), is_hidden }
    }

    /// This or the other.
    pub fn or(self, other: Self) -> Self {
        let is_hidden = self.is_hidden || other.is_hidden;
        let mut nodes = match self.node {
            Node::Any(nodes) => nodes.into_vec(),
            node => vec![node],
        };
        nodes.push(other.node);
        Self { node: Node::Any(nodes.into()), is_hidden }
    }

    /// Hides what it protects: whoever has not what is required, known or not, gets the answer of a route that does
    /// not exist, 404 or `NOT_FOUND`, rather than 401 or 403. Default: no.
    pub fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    /// [`scope`](Self::scope), for a scope that comes from configuration.
    ///
    /// # Errors
    ///
    /// When the text is not 1 to 128 characters of those that RFC 6749 section 3.3 allows in a scope: printable
    /// ASCII without space, `"` and `\`.
    pub fn try_scope(scope: &str) -> Result<Self, ConfigError> {
        Self::try_all_scopes([scope])
    }

    /// [`all_scopes`](Self::all_scopes), for scopes that come from configuration.
    ///
    /// # Errors
    ///
    /// When there is none, or one is not as [`try_scope`](Self::try_scope) says.
    pub fn try_all_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        names("scopes", scopes, is_scope, SCOPE_FORM).map(|scopes| Self::of(Node::AllScopes(scopes)))
    }

    /// [`any_scope`](Self::any_scope), for scopes that come from configuration.
    ///
    /// # Errors
    ///
    /// When there is none, or one is not as [`try_scope`](Self::try_scope) says.
    pub fn try_any_scope<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        names("scopes", scopes, is_scope, SCOPE_FORM).map(|scopes| Self::of(Node::AnyScope(scopes)))
    }

    /// [`role`](Self::role), for a role that comes from configuration.
    ///
    /// # Errors
    ///
    /// When the text has not 1 to 128 bytes, or holds a control character.
    pub fn try_role(role: &str) -> Result<Self, ConfigError> {
        Self::try_all_roles([role])
    }

    /// [`all_roles`](Self::all_roles), for roles that come from configuration.
    ///
    /// # Errors
    ///
    /// When there is none, or one is not as [`try_role`](Self::try_role) says.
    pub fn try_all_roles<'a>(roles: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        names("roles", roles, is_role, ROLE_FORM).map(|roles| Self::of(Node::AllRoles(roles)))
    }

    /// [`any_role`](Self::any_role), for roles that come from configuration.
    ///
    /// # Errors
    ///
    /// When there is none, or one is not as [`try_role`](Self::try_role) says.
    pub fn try_any_role<'a>(roles: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        names("roles", roles, is_role, ROLE_FORM).map(|roles| Self::of(Node::AnyRole(roles)))
    }

    /// A caller who acts for one of these tenants.
    ///
    /// # Errors
    ///
    /// When there is none, or one has not 1 to 256 bytes, or holds a control character.
    pub fn try_any_tenant<'a>(tenants: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let form = "must have 1 to 256 bytes and no control characters";
        names("tenants", tenants, |tenant| key::is_text(tenant, 256), form)
            .map(|tenants| Self::of(Node::Tenant(tenants)))
    }

    fn of(node: Node) -> Self {
        Self { node, is_hidden: false }
    }

    /// Why `access` does not have what is required, if it has not.
    #[inline]
    pub(super) fn check(&self, access: &Access<'_>) -> Result<(), Failure> {
        if self.node.holds(access) { Ok(()) } else { Err(self.node.failure(access)) }
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Whether more than the principal is looked at.
    pub(super) fn looks_at_request(&self) -> bool {
        self.node.looks_at_request()
    }
}

impl Not for Require {
    type Output = Self;

    /// A caller who has not what was required.
    fn not(self) -> Self {
        Self { node: Node::Not(Box::new(self.node)), is_hidden: self.is_hidden }
    }
}

impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)?;
        f.write_str(if self.is_hidden { " (hidden)" } else { "" })
    }
}

#[track_caller]
fn expect(require: Result<Require, ConfigError>) -> Require {
    match require {
        Ok(require) => require,
        Err(error) => panic!("{error}"),
    }
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

fn names<'a>(
    field: &'static str,
    names: impl IntoIterator<Item = &'a str>,
    is_one: impl Fn(&str) -> bool,
    form: &'static str,
) -> Result<Names, ConfigError> {
    let names: Names = names.into_iter().map(Into::into).collect();
    if names.is_empty() {
        return Err(ConfigError::new(Part::Require, field, "must name at least one"));
    }
    match names.iter().position(|name| !is_one(name)) {
        Some(index) => Err(ConfigError::new(Part::Require, format!("{field}[{index}]"), form)),
        None => Ok(names),
    }
}
