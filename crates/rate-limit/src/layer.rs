//! The layer: settings and state.

use std::{borrow::Cow, fmt, sync::Arc};

use bartizan_core::{Clock, ServerLayer};
use tower_layer::Layer;

use crate::{
    ConfigError, KeyExtractor, MissingKey, Rate, RateLimit,
    config::{Settings, checked_max_keys, checked_name},
    policy::Policy,
};

/// Refuses the requests of a key that come faster than a [`Rate`].
///
/// [`new`](Self::new) alone is not a layer yet. It becomes one [`by`](Self::by) saying whose requests count
/// together, so that nobody makes one bucket for all callers by accident, which any of them could use up for all
/// others; [`Global`](crate::Global) says that this is meant.
///
/// The state belongs to the value: its clones, and the services of all its `layer()` calls, share one limit.
/// `by` and each `with_*` make a value with empty state of its own: set up first, then clone.
///
/// See the [crate's documentation](crate) for an example and for the behaviour.
#[must_use]
pub struct RateLimitLayer<K = Unkeyed> {
    policy: Arc<Policy<K>>,
}

/// Stands where the key of a [`RateLimitLayer`] will: call [`RateLimitLayer::by`].
#[derive(Clone, Copy, Debug)]
pub struct Unkeyed(());

impl RateLimitLayer {
    /// A limit that lacks its key.
    pub fn new(rate: Rate) -> Self {
        Self::assemble(Policy::new(Settings::new(rate), Arc::new(Unkeyed(())), "", |_| None))
    }
}

impl<K> RateLimitLayer<K> {
    /// Counts the requests of each key apart.
    pub fn by<Key: KeyExtractor>(self, key: Key) -> RateLimitLayer<Key> {
        let name = key.policy();
        let settings = self.policy.settings().clone();
        RateLimitLayer::assemble(Policy::new(settings, Arc::new(key), name, Key::fault))
    }

    /// The name of the limit: in refusals, metrics and the access log. Default: the key's, such as
    /// `per-principal`. Give each limit of a service a name of its own.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = checked_name(name.into())?;
        Ok(self.with(|settings| settings.name = Some(name)))
    }

    /// How many keys are remembered at most: 100 000 by default, which take about 5 MB when all are in use, and
    /// nothing while none is.
    ///
    /// It should be above the number of callers that are over half of their burst at one time; a caller that was
    /// idle for as long as its bucket needs to fill does not count.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^30.
    pub fn with_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        let max_keys = checked_max_keys(max_keys)?;
        Ok(self.with(|settings| settings.max_keys = max_keys))
    }

    /// What to do with a request that has no key. Default: [`MissingKey::Shared`].
    pub fn with_missing_key(self, missing: MissingKey) -> Self {
        self.with(|settings| settings.missing = missing)
    }

    /// Where time comes from. Default: the system's clock.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.target = crate::telemetry::Target::pinned(recorder))
    }

    /// Hashes keys with this seed instead of a random one, so that a benchmark does the same work in each run.
    ///
    /// Insecure: a caller who knows the seed can choose keys that slow the limit down, or that share the bucket of
    /// another caller.
    pub fn with_insecure_seed(self, seed: u64) -> Self {
        self.with(|settings| settings.seed = Some(seed))
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        Self::assemble(self.policy.with(set))
    }

    fn assemble(policy: Policy<K>) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<K> Clone for RateLimitLayer<K> {
    fn clone(&self) -> Self {
        Self { policy: Arc::clone(&self.policy) }
    }
}

impl<K> fmt::Debug for RateLimitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("policy", &self.policy).finish()
    }
}

impl<K: KeyExtractor> ServerLayer for RateLimitLayer<K> {
    type Phase = K::Phase;
    type Needs = K::Needs;
    type Provides = ();

    fn name(&self) -> &'static str {
        Policy::<K>::LAYER
    }
}

impl<S, K: KeyExtractor> Layer<S> for RateLimitLayer<K> {
    type Service = RateLimit<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit::new(inner, Arc::clone(&self.policy))
    }
}
