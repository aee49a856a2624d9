//! A record made ready for use.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bartizan_core::{ClientAddr, MatchedRoute, Principal, PrincipalKind};
use http::HeaderValue;
use ipnet::{IpNet, Ipv4Net};

use super::{KeyRecord, SecretDigests};
use crate::{ConfigError, Failure, error::Part};

/// A [`KeyRecord`] that was checked and made ready for use: what a [`KeyStore`](crate::KeyStore) finds.
///
/// It notes when the key was last used, to the minute.
pub struct StoredKey {
    id: Box<str>,
    secrets: SecretDigests,
    principal: Principal,
    identity: HeaderValue,
    networks: Box<[IpNet]>,
    routes: Box<[Box<str>]>,
    not_before: Option<SystemTime>,
    expires_at: Option<SystemTime>,
    revoked_at: Option<SystemTime>,
    last_used: LastUsed,
}

impl StoredKey {
    /// # Errors
    ///
    /// When a value of the record can never work.
    pub fn new(record: KeyRecord) -> Result<Self, ConfigError> {
        record.check()?;
        let mut principal = match record.kind {
            PrincipalKind::User => Principal::user(&*record.owner),
            _ => Principal::service(&*record.owner),
        }
        .credential_id(&*record.id)
        .scopes(record.scopes)
        .roles(record.roles);
        if let Some(issuer) = record.issuer {
            principal = principal.issuer(issuer);
        }
        if let Some(tenant) = record.tenant {
            principal = principal.tenant(tenant);
        }
        if let Some(tier) = record.tier {
            principal = principal.tier(tier);
        }
        if let Some(end) = record.expires_at.into_iter().chain(record.revoked_at).min() {
            principal = principal.expires_at(end);
        }
        Ok(Self {
            id: record.id.into(),
            secrets: SecretDigests::new(record.digests[0], record.digests.get(1).copied()),
            principal: principal.build(),
            identity: HeaderValue::from_bytes(record.owner.as_bytes())
                .map_err(|_| ConfigError::new(Part::ApiKey, "owner", "must have no control characters"))?,
            networks: record.networks.into_iter().map(canonical).collect(),
            routes: record.routes.into_iter().map(Into::into).collect(),
            not_before: record.not_before,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
            last_used: LastUsed::default(),
        })
    }

    /// The public part of the key, `<prefix>_<id>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whom the key stands for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// When the key was last accepted, to the minute; `None` if never since the service started.
    pub fn last_used(&self) -> Option<SystemTime> {
        self.last_used.get()
    }

    #[inline]
    pub(crate) fn note_use(&self, now: SystemTime) {
        self.last_used.note(now);
    }

    /// Takes over what an older copy of the same key knows.
    pub(crate) fn inherit(&self, older: &Self) {
        self.last_used.0.fetch_max(older.last_used.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn secrets(&self) -> &SecretDigests {
        &self.secrets
    }

    /// The owner as the value of an identity header.
    pub(crate) fn identity(&self) -> &HeaderValue {
        &self.identity
    }

    /// Whether the key works at this time.
    pub(crate) fn check_time(&self, now: SystemTime) -> Result<(), Failure> {
        if self.revoked_at.is_some_and(|time| now >= time) {
            return Err(Failure::Revoked);
        }
        if self.expires_at.is_some_and(|time| now >= time) {
            return Err(Failure::Expired);
        }
        if self.not_before.is_some_and(|time| now < time) {
            return Err(Failure::NotYetValid);
        }
        Ok(())
    }

    /// Whether the key asks where a request comes from.
    pub(crate) fn has_networks(&self) -> bool {
        !self.networks.is_empty()
    }

    /// Whether the key may be used from this address. An unknown address is in no network.
    pub(crate) fn allows_addr(&self, addr: Option<ClientAddr>) -> bool {
        !self.has_networks()
            || addr.is_some_and(|addr| self.networks.iter().any(|network| network.contains(&addr.ip())))
    }

    /// Whether the key asks for which route a request is.
    pub(crate) fn has_routes(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Whether the key may be used on this route. An unknown route is none of them.
    pub(crate) fn allows_route(&self, route: &MatchedRoute) -> bool {
        !self.has_routes() || self.routes.iter().any(|allowed| **allowed == *route.as_str())
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey")
            .field("id", &self.id)
            .field("principal", &self.principal)
            .field("networks", &self.networks)
            .field("routes", &self.routes)
            .field("not_before", &self.not_before)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// A network of IPv4-mapped addresses is one of IPv4: client addresses come in that form only.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(MAPPED_BITS)
        && let Ok(v4) = Ipv4Net::new(v4, prefix)
    {
        return v4.into();
    }
    network
}

/// The minute of the last use since 1970; 0 is never. Written once a minute at most, so that many threads with
/// one key only read it.
#[derive(Default)]
struct LastUsed(AtomicU64);

impl LastUsed {
    const STEP: u64 = 60;

    #[inline]
    fn note(&self, now: SystemTime) {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let minute = seconds / Self::STEP;
        if self.0.load(Ordering::Relaxed) < minute {
            self.0.fetch_max(minute, Ordering::Relaxed);
        }
    }

    fn get(&self) -> Option<SystemTime> {
        let minute = self.0.load(Ordering::Relaxed);
        (minute > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(minute * Self::STEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKey;

    fn record() -> KeyRecord {
        ApiKey::generate("orders").unwrap().record("billing")
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn key_03_a_key_has_an_owner_and_rights() {
        let key = StoredKey::new(
            record()
                .with_issuer("keys")
                .with_scopes(["orders:write", "orders:read"])
                .with_roles(["clerk"])
                .with_tenant("acme")
                .with_tier("gold"),
        )
        .unwrap();
        let principal = key.principal();
        assert_eq!(principal.subject(), "billing");
        assert_eq!(principal.kind(), PrincipalKind::Service);
        assert_eq!(principal.issuer(), Some("keys"));
        assert!(principal.has_scope("orders:read") && principal.has_scope("orders:write"));
        assert!(principal.has_role("clerk"));
        assert_eq!((principal.tenant(), principal.tier()), (Some("acme"), Some("gold")));
        assert_eq!(principal.credential_id(), Some(key.id()));
        assert_eq!(principal.expires_at(), None);
        let (sooner, later) = (at(10), at(20));
        for (expires, revoked) in [(sooner, later), (later, sooner)] {
            let key = StoredKey::new(record().with_expires_at(expires).with_revoked_at(revoked)).unwrap();
            assert_eq!(key.principal().expires_at(), Some(sooner), "azn_03: decisions end with the key");
        }
        let person = StoredKey::new(record().with_kind(PrincipalKind::User)).unwrap();
        assert_eq!(person.principal().kind(), PrincipalKind::User);
    }

    #[test]
    fn key_03_networks_hold_addresses_in_any_spelling() {
        let networks = ["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8::/32"].map(|it| it.parse().unwrap());
        let key = StoredKey::new(record().with_networks(networks)).unwrap();
        let allows = |addr: &str| key.allows_addr(Some(ClientAddr::new(addr.parse().unwrap())));
        for addr in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"] {
            assert!(allows(addr), "{addr}");
        }
        for addr in ["11.0.0.1", "192.0.3.1", "2001:db9::1", "::1", "::10.1.2.3"] {
            assert!(!allows(addr), "{addr}");
        }
        assert!(!key.allows_addr(None), "an unknown address is in no network");
        assert!(StoredKey::new(record()).unwrap().allows_addr(None));
    }

    #[test]
    fn key_03_routes_are_compared_as_templates() {
        let key = StoredKey::new(record().with_routes(["/v1/orders/{id}", "pkg.Orders/Get"])).unwrap();
        let allows = |route: &str| key.allows_route(&MatchedRoute::template(route));
        assert!(allows("/v1/orders/{id}") && allows("pkg.Orders/Get"));
        for route in ["/v1/orders/7", "/v1/orders", "/v1/orders/{id}/", "pkg.orders/Get", MatchedRoute::OTHER]
        {
            assert!(!allows(route), "{route}");
        }
    }

    #[test]
    fn key_03_the_last_use_is_known_to_the_minute_and_never_goes_back() {
        let key = StoredKey::new(record()).unwrap();
        assert_eq!(key.last_used(), None);
        for (now, expected) in [(119, 60), (120, 120), (179, 120), (60, 120)] {
            key.note_use(at(now));
            assert_eq!(key.last_used(), Some(at(expected)));
        }
        key.note_use(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(key.last_used(), Some(at(120)));
    }

    #[test]
    fn a_value_that_can_never_work_is_refused_by_name() {
        let key = || ApiKey::generate("orders").unwrap();
        let mut without_digest = record();
        without_digest.digests.clear();
        let mut with_three = record();
        with_three.digests = vec![with_three.digests[0]; 3];
        let mut other_id = record();
        other_id.id = key().expose().to_owned();
        for (record, field) in [
            (key().record(""), "owner"),
            (key().record("a\r\nb"), "owner"),
            (key().record("x".repeat(257)), "owner"),
            (record().with_issuer(""), "issuer"),
            (record().with_tenant("\n"), "tenant"),
            (record().with_tier("\u{7f}"), "tier"),
            (record().with_scopes(["a", "b c"]), "scopes[1]"),
            (record().with_scopes(["\""]), "scopes[0]"),
            (record().with_scopes(vec!["a"; 257]), "scopes"),
            (record().with_roles([""]), "roles[0]"),
            (record().with_routes(["/a", MatchedRoute::OTHER]), "routes[1]"),
            (record().with_routes(["orders"]), "routes[0]"),
            (record().with_not_before(at(2)).with_expires_at(at(2)), "expires_at"),
            (without_digest, "digests"),
            (with_three, "digests"),
            (other_id, "id"),
        ] {
            assert_eq!(StoredKey::new(record).unwrap_err().field(), field);
        }
    }
}
