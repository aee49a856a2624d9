//! The layer whose limits are in Redis.

use std::{fmt, sync::Arc};

use bartizan_core::ServerLayer;
use tower_layer::Layer;

use super::{
    failure::FailureMode, refusals::Refusals, remote::Remote, service::RedisRateLimit, store::RedisStore,
};
use crate::{
    ConfigError, KeyExtractor, RateLimitLayer,
    config::checked_max_keys,
    keys::Keys,
    limit::Limit,
    policy::{LAYER, Policy},
};

/// The limits of a [`RateLimitLayer`], in Redis: all instances of a service share them. Made by
/// [`RateLimitLayer::in_redis`].
///
/// A request asks once, however many limits there are, and waits for the answer. See [Deployment](crate#redis).
///
/// ```
/// use std::convert::Infallible;
///
/// use bartizan_rate_limit::{FailureMode, Global, RateLimitLayer, RedisStore};
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Nothing listens there, so that memory takes over; with a Redis, all instances would share the two requests.
/// let store = RedisStore::single("redis://127.0.0.1:1")?.with_prefix("orders")?;
/// let limit = RateLimitLayer::new("1/h burst 2".parse()?)
///     .by(Global)
///     .in_redis(&store)?
///     .with_failure_mode(FailureMode::Local);
/// let orders = limit.layer(service_fn(async |_: Request<String>| {
///     Ok::<_, Infallible>(Response::new(String::from("[]")))
/// }));
///
/// for expected in [200, 200, 429] {
///     let response = orders.clone().oneshot(Request::new(String::new())).await?;
///     assert_eq!(response.status(), expected);
/// }
/// # Ok(()) }
/// ```
#[must_use]
pub struct RedisRateLimitLayer<K> {
    policy: Arc<Policy<K>>,
    /// `None` while the limits are in memory.
    remote: Option<Arc<Remote>>,
}

impl<K: Keys> RateLimitLayer<K> {
    /// Moves the limits to Redis. All other settings come before, and stay as they are; those of the memory are of
    /// use where [`FailureMode::Local`] takes over. With `None` the limits stay in memory, so that a configuration
    /// may choose.
    ///
    /// # Errors
    ///
    /// When two limits of the layer have the same name, under which Redis keeps them, or when the period of a
    /// sliding window is not a whole number of microseconds, in which Redis counts time.
    pub fn in_redis<'a>(
        self,
        store: impl Into<Option<&'a RedisStore>>,
    ) -> Result<RedisRateLimitLayer<K>, ConfigError> {
        let Some(store) = store.into() else {
            return Ok(RedisRateLimitLayer { policy: self.policy, remote: None });
        };
        let layer = self.with_setting(|settings| settings.redis = Some(store.clone()));
        let limits = &layer.policy.shared.limits;
        for (place, limit) in limits.iter().enumerate() {
            if limits[..place].iter().any(|other| other.name() == limit.name()) {
                return Err(ConfigError::new("name", "must differ between the limits of a layer in Redis"));
            }
            if limit.is_sliding() && limit.settings().rate.period_nanos() % 1_000 != 0 {
                return Err(ConfigError::new("period", "must be whole microseconds for a window in Redis"));
            }
        }
        let remote = Remote {
            store: store.clone(),
            mode: FailureMode::default(),
            slot_by: None,
            refusals: Box::default(),
        };
        Ok(RedisRateLimitLayer { policy: layer.policy, remote: Some(Arc::new(remote)) })
    }
}

impl<K: Keys> RedisRateLimitLayer<K> {
    /// What becomes of a request when Redis does not answer in time. Default: [`FailureMode::Open`].
    pub fn with_failure_mode(self, mode: FailureMode) -> Self {
        self.with(|remote| remote.mode = mode)
    }

    /// Remembers up to so many keys of each limit that Redis has refused, and refuses them without asking until
    /// their time has come: a flood from few callers then costs no round trips. Default: none are remembered.
    ///
    /// A [refund](crate::Charge::Refund) that would let such a key pass earlier is not seen meanwhile.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^30.
    pub fn with_local_refusals(self, max_keys: usize) -> Result<Self, ConfigError> {
        let max_keys = checked_max_keys(max_keys)?;
        let limits = self.policy.shared.limits.len();
        Ok(self.with(|remote| remote.refusals = (0..limits).map(|_| Refusals::new(max_keys)).collect()))
    }

    /// Keeps all limits of a request in the same slot of a cluster: that of this key. Then one script decides them
    /// at once, as it does on a single server.
    ///
    /// The key of each limit of the layer must tell this one too: a principal tells its tenant, so limits by
    /// principal and by tenant may be kept by tenant. A limit whose key does not (all requests together, say) would
    /// count apart in each slot. Requests without this key are kept as if this was not set.
    ///
    /// Default: each key is in a slot of its own. A cluster is asked about them at once, by one script for each
    /// slot; when one refuses, what others have taken is given back right after. Until then, another request of
    /// the same caller may find less than there is.
    pub fn with_slot_by(self, key: impl KeyExtractor) -> Self {
        self.with(|remote| remote.slot_by = Some(Arc::new(key)))
    }

    fn with(self, set: impl FnOnce(&mut Remote)) -> Self {
        let remote = self.remote.map(|remote| {
            let Remote { store, mode, slot_by, refusals } = &*remote;
            let mut remote = Remote {
                store: store.clone(),
                mode: *mode,
                slot_by: slot_by.clone(),
                // As of all settings, with an empty state of its own.
                refusals: refusals.iter().map(Refusals::max_keys).map(Refusals::new).collect(),
            };
            set(&mut remote);
            Arc::new(remote)
        });
        Self { remote, ..self }
    }
}

impl<K> Clone for RedisRateLimitLayer<K> {
    fn clone(&self) -> Self {
        Self { policy: Arc::clone(&self.policy), remote: self.remote.clone() }
    }
}

impl<K> fmt::Debug for RedisRateLimitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.policy.shared.limits.iter().map(Limit::name).collect();
        f.debug_struct("RedisRateLimitLayer").field("limits", &names).field("remote", &self.remote).finish()
    }
}

impl<K: Keys> ServerLayer for RedisRateLimitLayer<K> {
    type Phase = K::Phase;
    type Needs = K::Needs;
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S, K: Keys> Layer<S> for RedisRateLimitLayer<K> {
    type Service = RedisRateLimit<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RedisRateLimit::new(inner, Arc::clone(&self.policy), self.remote.clone())
    }
}
