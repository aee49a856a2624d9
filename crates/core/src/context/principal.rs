use std::{fmt, sync::Arc};

/// The authenticated caller, however it proved itself.
///
/// Identity is (issuer, subject) plus kind: a user and a service that happen to share a name stay apart.
/// Cheap to clone (an `Arc`); holds no credential.
///
/// ```
/// use bartizan_core::Principal;
///
/// let billing = Principal::service("billing").issuer("keys").scopes(["orders:read"]).tier("gold").build();
/// assert!(billing.has_scope("orders:read"));
/// assert!(!billing.has_scope("orders"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<Inner>);

#[derive(PartialEq, Eq, Hash)]
struct Inner {
    kind: PrincipalKind,
    subject: Box<str>,
    issuer: Option<Box<str>>,
    scopes: Box<[Box<str>]>,
    roles: Box<[Box<str>]>,
    tenant: Option<Box<str>>,
    tier: Option<Box<str>>,
    credential_id: Option<Box<str>>,
}

/// What sort of caller a [`Principal`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program: the owner of an API key, a client of the client-credentials grant.
    Service,
}

impl PrincipalKind {
    /// The name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl Principal {
    /// A person.
    pub fn user(subject: impl Into<Box<str>>) -> PrincipalBuilder {
        PrincipalBuilder::new(PrincipalKind::User, subject.into())
    }

    /// A program.
    pub fn service(subject: impl Into<Box<str>>) -> PrincipalBuilder {
        PrincipalBuilder::new(PrincipalKind::Service, subject.into())
    }

    /// Person or program.
    pub fn kind(&self) -> PrincipalKind {
        self.0.kind
    }

    /// Who, as its issuer names it.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Who vouches for the subject: a token's `iss`, the name of a key store.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// What the credential was granted, sorted.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.scopes.iter().map(|scope| &**scope)
    }

    /// Whether the credential was granted exactly this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        contains(&self.0.scopes, scope)
    }

    /// What the caller is, sorted.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter().map(|role| &**role)
    }

    /// Whether the caller has exactly this role.
    pub fn has_role(&self, role: &str) -> bool {
        contains(&self.0.roles, role)
    }

    /// The customer the caller acts for.
    pub fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_deref()
    }

    /// The service level the caller has, for limits.
    pub fn tier(&self) -> Option<&str> {
        self.0.tier.as_deref()
    }

    /// The public id of the credential: a key id, a token's `jti`. Fit for logs.
    pub fn credential_id(&self) -> Option<&str> {
        self.0.credential_id.as_deref()
    }
}

fn contains(sorted: &[Box<str>], wanted: &str) -> bool {
    sorted.binary_search_by(|item| (**item).cmp(wanted)).is_ok()
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("kind", &self.0.kind)
            .field("subject", &self.0.subject)
            .field("issuer", &self.0.issuer)
            .field("scopes", &self.0.scopes)
            .field("roles", &self.0.roles)
            .field("tenant", &self.0.tenant)
            .field("tier", &self.0.tier)
            .field("credential_id", &self.0.credential_id)
            .finish()
    }
}

/// Puts a [`Principal`] together.
#[derive(Debug)]
#[must_use]
pub struct PrincipalBuilder(Inner);

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("kind", &self.kind)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl PrincipalBuilder {
    fn new(kind: PrincipalKind, subject: Box<str>) -> Self {
        Self(Inner {
            kind,
            subject,
            issuer: None,
            scopes: Box::default(),
            roles: Box::default(),
            tenant: None,
            tier: None,
            credential_id: None,
        })
    }

    /// Who vouches for the subject.
    pub fn issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.0.issuer = Some(issuer.into());
        self
    }

    /// What the credential was granted.
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.0.scopes = sorted(scopes);
        self
    }

    /// What the caller is.
    pub fn roles<I>(mut self, roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.0.roles = sorted(roles);
        self
    }

    /// The customer the caller acts for.
    pub fn tenant(mut self, tenant: impl Into<Box<str>>) -> Self {
        self.0.tenant = Some(tenant.into());
        self
    }

    /// The service level the caller has.
    pub fn tier(mut self, tier: impl Into<Box<str>>) -> Self {
        self.0.tier = Some(tier.into());
        self
    }

    /// The public id of the credential, never the credential.
    pub fn credential_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.0.credential_id = Some(id.into());
        self
    }

    /// The principal.
    #[must_use]
    pub fn build(self) -> Principal {
        Principal(Arc::new(self.0))
    }
}

fn sorted<I>(items: I) -> Box<[Box<str>]>
where
    I: IntoIterator,
    I::Item: Into<Box<str>>,
{
    let mut items: Vec<Box<str>> = items.into_iter().map(Into::into).collect();
    items.sort_unstable();
    items.dedup();
    items.into_boxed_slice()
}
