//! The store: which Redis, and how it is used.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bartizan_core::stripe::Share;
use redis::cluster_routing::Slot;
use tokio::{runtime::Handle, sync::Semaphore, time::Instant};

use super::{
    failure::{Failure, RedisUnavailable},
    key::{Digester, RemoteKey},
    link::Link,
    script::{Asked, Call, Said, read},
    target::Target,
};
use crate::{Charge, ConfigError, Rate, policy::Shared, store::Note};

/// How long a decision may take.
const TIMEOUT: Duration = Duration::from_millis(50);

/// The most charges and refunds that are on their way at once.
const SETTLING: usize = 1_024;

/// Limits in Redis or Valkey: one server, a master found by sentinels, or a cluster. Version 6 and later.
///
/// With the feature `redis-tls` each of the URLs may be `rediss://`. Certificates are those of the system, or of the file
/// that `SSL_CERT_FILE` names; rustls' default provider is aws-lc-rs then, unless the process has set another.
///
/// Nothing is connected before the first request, and the connection is kept, shared by all requests, and made
/// again when it is lost. Clones share it; `with_*` makes a store with a connection of its own.
///
/// ```
/// use std::time::Duration;
/// use bartizan_rate_limit::{PerPrincipal, RateLimitLayer, RedisStore};
///
/// let store = RedisStore::single("redis://127.0.0.1:6379")?
///     .with_prefix("orders")?
///     .with_timeout(Duration::from_millis(20))?;
/// let layer = RateLimitLayer::new("50/s burst 100".parse()?).by(PerPrincipal).in_redis(&store)?;
/// # let _ = layer;
///
/// assert_eq!(RedisStore::single("http://127.0.0.1").unwrap_err().field(), "redis");
/// # Ok::<(), bartizan_rate_limit::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisStore {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Settings {
    target: Target,
    prefix: Box<str>,
    timeout: Duration,
    digester: Digester,
}

struct Inner {
    settings: Settings,
    link: Arc<Link>,
    settling: Arc<Semaphore>,
    /// Where charges are sent from: bodies end anywhere.
    runtime: OnceLock<Handle>,
    /// Instead of the server's clock: microseconds since 1970.
    #[cfg(test)]
    time: std::sync::atomic::AtomicU64,
}

/// What one script decides.
pub(super) struct Part {
    call: Call,
    rates: Vec<(Rate, bool)>,
    /// Where in the decision those limits are.
    pub(super) places: Vec<usize>,
}

impl RedisStore {
    /// One server: `redis://[user:password@]host[:port][/database]`, or `unix:///path[?db=…]`.
    ///
    /// # Errors
    ///
    /// When it is another URL.
    pub fn single(url: &str) -> Result<Self, ConfigError> {
        Target::single(url).map(Self::of)
    }

    /// The master that sentinels know. `master` is its URL with the name of its group as host:
    /// `redis://[user:password@]mymaster[/database]`. After each loss of the connection the sentinels are asked anew.
    ///
    /// # Errors
    ///
    /// When there is no sentinel, or when one has another URL.
    pub fn sentinel<U: AsRef<str>>(
        sentinels: impl IntoIterator<Item = U>,
        master: &str,
    ) -> Result<Self, ConfigError> {
        Target::sentinel(sentinels, master).map(Self::of)
    }

    /// A cluster, of which some nodes are known.
    ///
    /// # Errors
    ///
    /// When there is no node, or when one has another URL.
    pub fn cluster<U: AsRef<str>>(nodes: impl IntoIterator<Item = U>) -> Result<Self, ConfigError> {
        Target::cluster(nodes).map(Self::of)
    }

    fn of(target: Target) -> Self {
        Self::build(Settings {
            target,
            prefix: "bartizan".into(),
            timeout: TIMEOUT,
            digester: Digester::new(b""),
        })
    }

    fn build(settings: Settings) -> Self {
        let link = Arc::new(Link::new(settings.target.clone(), &settings.prefix, settings.timeout));
        Self {
            inner: Arc::new(Inner {
                settings,
                link,
                settling: Arc::new(Semaphore::new(SETTLING)),
                runtime: OnceLock::new(),
                #[cfg(test)]
                time: Default::default(),
            }),
        }
    }

    fn with(&self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.inner.settings.clone();
        set(&mut settings);
        Self::build(settings)
    }

    /// What the names of all keys in Redis start with. Default: `bartizan`.
    ///
    /// Limits of the same name under the same prefix are one limit, in whatever process they are.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`.
    pub fn with_prefix(self, prefix: &str) -> Result<Self, ConfigError> {
        const LONGEST: usize = 64;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if (1..=LONGEST).contains(&prefix.len()) && prefix.bytes().all(allowed) {
            Ok(self.with(|settings| settings.prefix = prefix.into()))
        } else {
            Err(ConfigError::new("prefix", "must be 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`"))
        }
    }

    /// How long a request waits for Redis, connection included. Default: 50 ms.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than a second.
    pub fn with_timeout(self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() || timeout > super::target::PATIENCE {
            return Err(ConfigError::new("timeout", "must be more than 0, and at most a second"));
        }
        Ok(self.with(|settings| settings.timeout = timeout))
    }

    /// Makes the names of keys depend on a secret, the same for all instances. Default: none.
    ///
    /// Redis holds digests of keys, never the keys. There are few enough addresses, though, that who can read Redis
    /// can try them all; with a secret that is of no use.
    pub fn with_secret(self, secret: impl AsRef<[u8]>) -> Self {
        self.with(|settings| settings.digester = Digester::new(secret.as_ref()))
    }

    /// Connects now, and waits until Redis takes writes: for a service that checks what it needs before it starts. It waits
    /// for two seconds at most, and one more for each sentinel; a write counts within the [timeout](Self::with_timeout).
    /// Should it fail, the store goes on trying.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached, does not answer in time, or takes no writes.
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    pub async fn connect(&self) -> Result<(), RedisUnavailable> {
        self.inner.link.settled().await
    }

    /// Whether it is known that there is no Redis.
    pub(super) fn is_down(&self) -> bool {
        self.inner.link.is_down()
    }

    pub(super) fn digester(&self) -> &Digester {
        &self.inner.settings.digester
    }

    /// Instead of the server's clock.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "time is the server's, but in tests"))]
    fn time(&self) -> Option<u64> {
        #[cfg(test)]
        return Some(self.inner.time.load(std::sync::atomic::Ordering::Relaxed)).filter(|time| *time > 0);
        #[cfg(not(test))]
        None
    }

    /// Uses this time, in microseconds since 1970, instead of the server's.
    #[cfg(test)]
    pub(super) fn set_time(&self, micros: u64) {
        self.inner.time.store(micros, std::sync::atomic::Ordering::Relaxed);
    }

    /// Remembers where tasks run, for what bodies leave to be done.
    pub(super) fn notice_runtime(&self) {
        if self.inner.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // Another request may have been faster.
            let _ = self.inner.runtime.set(runtime);
        }
    }

    /// The scripts that decide these: one, or in a cluster one for each slot.
    pub(super) fn calls(&self, asked: &[Asked<'_>]) -> Vec<Part> {
        let prefix = &self.inner.settings.prefix;
        let slot = |asked: &Asked<'_>| {
            let name = || asked.key.name(prefix, asked.limit.name(), asked.limit.is_sliding());
            self.inner.link.target().has_slots().then(|| Slot::for_key(name()))
        };
        let mut slots: Vec<(Option<Slot>, Vec<usize>)> = Vec::with_capacity(1);
        for (place, slot) in asked.iter().map(slot).enumerate() {
            match slots.iter_mut().find(|(known, _)| *known == slot) {
                Some((_, places)) => places.push(place),
                None => slots.push((slot, vec![place])),
            }
        }
        let part = |places: Vec<usize>| {
            let own = || places.iter().map(|place| asked[*place]);
            Part {
                call: Call::decide(prefix, own(), self.time()),
                rates: own().map(|asked| (asked.rate, asked.limit.is_sliding())).collect(),
                places,
            }
        };
        slots.into_iter().map(|(_, places)| part(places)).collect()
    }

    /// What Redis says of one part of a decision.
    pub(super) async fn ask(&self, part: &Part, deadline: Instant) -> Result<Vec<Said>, Failure> {
        let answer = self.inner.link.call(&part.call, deadline).await?;
        read(&answer, part.rates.iter().copied()).ok_or(Failure::Error)
    }

    /// Sends a charge or a refund, and waits for it.
    pub(super) async fn send(&self, call: &Call) -> Result<(), Failure> {
        self.inner.link.call(call, self.deadline()).await.map(drop)
    }

    /// When a request that comes now has waited long enough.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.inner.settings.timeout
    }

    /// Charges or gives back by what became of a request, if Redis decided about it. Nobody waits for that; when
    /// too much is on its way already, or there is no Redis, it is lost, and counted.
    pub(crate) fn settle(&self, shared: &Share<Shared>, note: &Note, charge: Charge) -> bool {
        let Some(key) = RemoteKey::of(note.fingerprint) else { return false };
        let limit = shared.limit(note);
        let asked = Asked { limit, key, rate: limit.quota(note.quota).rate, cost: 0 };
        let Some(call) = Call::settle(&self.inner.settings.prefix, asked, charge, self.time()) else {
            return true;
        };
        let owed = Owed { shared: shared.clone(), note: *note, is_paid: false };
        let permit = Arc::clone(&self.inner.settling).try_acquire_owned();
        // Bodies end anywhere; the runtime that serves requests is one that lasts.
        let runtime = Handle::try_current().ok().or_else(|| self.inner.runtime.get().cloned());
        let (Ok(permit), Some(runtime), false) = (permit, runtime, self.is_down()) else { return true };
        let store = self.clone();
        runtime.spawn(async move {
            if store.send(&call).await.is_ok() {
                owed.pay();
            }
            drop(permit);
        });
        true
    }
}

/// A charge or a refund that Redis does not know of yet. Dropped so, it is lost.
struct Owed {
    shared: Share<Shared>,
    note: Note,
    is_paid: bool,
}

impl Owed {
    fn pay(mut self) {
        self.is_paid = true;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_paid {
            self.shared.limit(&self.note).telemetry.unsettled();
        }
    }
}

/// Leaves out the URL, which may hold a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.inner.link)
            .field("prefix", &self.inner.settings.prefix)
            .field("timeout", &self.inner.settings.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rl_13_a_decision_may_take_50_ms() {
        let store = RedisStore::single("redis://localhost").unwrap();
        assert_eq!(store.inner.settings.timeout, Duration::from_millis(50));
    }
}
