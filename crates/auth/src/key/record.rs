//! What is stored of a key.

use std::time::SystemTime;

use bartizan_core::{MatchedRoute, PrincipalKind};
use ipnet::IpNet;

use super::{ApiKey, Digest, format, is_text};
use crate::{ConfigError, GenerateError, authorize, error::Part};

/// What is stored of a key: its public part, digests of its secrets, and what it allows. Never a secret.
///
/// Made from a new [`ApiKey`], or read from configuration with serde:
///
/// ```
/// use bartizan_auth::KeyRecord;
///
/// let record: KeyRecord = serde_json::from_str(r#"{
///     "id": "orders_7HqN2mXk4TzB",
///     "digests": ["sha256:861009ec4d599fab1f40abc76e6f89880cff5833c79c548c99f9045f191cd90b"],
///     "owner": "billing",
///     "scopes": ["orders:read"],
///     "networks": ["10.0.0.0/8"],
///     "expires_at": "2030-01-01T00:00:00Z"
/// }"#)?;
/// assert_eq!(record.id(), "orders_7HqN2mXk4TzB");
/// # Ok::<_, serde_json::Error>(())
/// ```
///
/// In configuration, `id`, `digests` (one or two of SHA-256, as hex or base64, after an optional `sha256:`) and
/// `owner` are required; times are RFC 3339; `kind` is `service` (the default) or `user`; unknown members are
/// errors. The values are checked when a store takes the record.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRecord {
    pub(super) id: String,
    /// One or two, the newest first.
    pub(super) digests: Vec<Digest>,
    pub(super) owner: String,
    pub(super) kind: PrincipalKind,
    pub(super) issuer: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) tenant: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) networks: Vec<IpNet>,
    pub(super) routes: Vec<String>,
    pub(super) not_before: Option<SystemTime>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) revoked_at: Option<SystemTime>,
}

impl KeyRecord {
    pub(super) fn new(id: &str, digest: Digest, owner: String) -> Self {
        Self {
            id: id.to_owned(),
            digests: vec![digest],
            owner,
            kind: PrincipalKind::Service,
            issuer: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            tenant: None,
            tier: None,
            networks: Vec::new(),
            routes: Vec::new(),
            not_before: None,
            expires_at: None,
            revoked_at: None,
        }
    }

    /// The public part of the key, `<prefix>_<id>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The subject that the key stands for.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether two secrets are live.
    pub fn is_rotating(&self) -> bool {
        self.digests.len() > 1
    }

    /// The key belongs to a person rather than to a program.
    #[must_use]
    pub fn with_kind(mut self, kind: PrincipalKind) -> Self {
        self.kind = kind;
        self
    }

    /// Who vouches for the owner's name. Default: nobody. With an identity provider's issuer here, a person's
    /// keys and tokens are one principal to limits.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// What the key was granted. Default: nothing.
    #[must_use]
    pub fn with_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// What the owner is. Default: nothing.
    #[must_use]
    pub fn with_roles<I>(mut self, roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// The customer that the owner acts for.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The service level, for limits.
    #[must_use]
    pub fn with_tier(mut self, tier: impl Into<String>) -> Self {
        self.tier = Some(tier.into());
        self
    }

    /// The networks that the key may be used from. Default: any. Needs a layer outside that knows the client's
    /// address; without one such a key is refused.
    #[must_use]
    pub fn with_networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// The route templates (`/v1/orders/{id}`) and gRPC methods (`pkg.Orders/Create`) that the key may be used
    /// on. Default: any. Needs the layer to stand where the router's template is known; elsewhere such a key is
    /// refused.
    #[must_use]
    pub fn with_routes<I>(mut self, routes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.routes = routes.into_iter().map(Into::into).collect();
        self
    }

    /// When the key begins to work.
    #[must_use]
    pub fn with_not_before(mut self, time: SystemTime) -> Self {
        self.not_before = Some(time);
        self
    }

    /// When the key ceases to work.
    #[must_use]
    pub fn with_expires_at(mut self, time: SystemTime) -> Self {
        self.expires_at = Some(time);
        self
    }

    /// When the key was, or will be, revoked.
    #[must_use]
    pub fn with_revoked_at(mut self, time: SystemTime) -> Self {
        self.revoked_at = Some(time);
        self
    }

    /// Gives the id a new secret, and returns the new key, once. The secret in use until now stays live beside
    /// it, so that callers can change over; an older one ends. Store the record anew, and call
    /// [`retire_previous`](Self::retire_previous) when all have changed.
    ///
    /// # Errors
    ///
    /// When the system gives no randomness; the record is then unchanged.
    pub fn rotate(&mut self) -> Result<ApiKey, GenerateError> {
        self.check_id()?;
        let key = ApiKey::with_new_secret(&self.id)?;
        self.digests.insert(0, key.digest());
        self.digests.truncate(2);
        Ok(key)
    }

    /// Ends the older of two live secrets; false if there is but one.
    pub fn retire_previous(&mut self) -> bool {
        let rotating = self.is_rotating();
        self.digests.truncate(1);
        rotating
    }

    fn check_id(&self) -> Result<(), ConfigError> {
        if format::public_id(self.id.as_bytes()).is_some() {
            return Ok(());
        }
        Err(ConfigError::new(Part::ApiKey, "id", "must be the public part of a key, `<prefix>_<id>`"))
    }

    /// Checks every value that only looks right.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_id()?;
        if !(1..=2).contains(&self.digests.len()) {
            return Err(ConfigError::new(
                Part::ApiKey,
                "digests",
                "must hold one digest, or two during a rotation",
            ));
        }
        check_text("owner", &self.owner, 256)?;
        for (field, text) in [("issuer", &self.issuer), ("tenant", &self.tenant), ("tier", &self.tier)] {
            text.as_deref().map_or(Ok(()), |text| check_text(field, text, 256))?;
        }
        check_each("scopes", &self.scopes, authorize::is_scope, authorize::SCOPE_FORM)?;
        check_each("roles", &self.roles, authorize::is_role, authorize::ROLE_FORM)?;
        check_each("routes", &self.routes, is_route, "must be a route template or a gRPC method")?;
        if let (Some(start), Some(end)) = (self.not_before, self.expires_at)
            && start >= end
        {
            return Err(ConfigError::new(Part::ApiKey, "expires_at", "must be later than `not_before`"));
        }
        Ok(())
    }
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), ConfigError> {
    if is_text(text, max) {
        return Ok(());
    }
    Err(ConfigError::new(Part::ApiKey, field, "must have 1 to 256 bytes and no control characters"))
}

/// At most this many of each, so that a mistake in configuration cannot make every request slow.
const MAX_ITEMS: usize = 256;

fn check_each(
    field: &'static str,
    items: &[String],
    usable: impl Fn(&str) -> bool,
    form: &'static str,
) -> Result<(), ConfigError> {
    if items.len() > MAX_ITEMS {
        return Err(ConfigError::new(Part::ApiKey, field, "must have at most 256 items"));
    }
    match items.iter().position(|item| !usable(item)) {
        Some(index) => Err(ConfigError::new(Part::ApiKey, format!("{field}[{index}]"), form)),
        None => Ok(()),
    }
}

/// `_OTHER` stands for no route at all: a key for it would work everywhere that routes are not known.
fn is_route(route: &str) -> bool {
    is_text(route, 512) && route != MatchedRoute::OTHER && route.contains('/')
}
