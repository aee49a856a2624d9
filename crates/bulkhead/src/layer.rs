//! The layer: settings and state.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use bartizan_core::{ClientLayer, Clock, Reason, RecorderChoice, Rejection, RequestHead, ServerLayer, phase};
use tower_layer::Layer;

use crate::{
    Bulkhead, BulkheadHandle, BulkheadKey, ConfigError, Fixed, Global, Limit, Priority, Vegas,
    limit::sealed,
    priority::Priorities,
    rooms::{Capacity, Rooms},
    telemetry::Telemetry,
};

/// Lets so many requests be under way at once, and others wait for a place or be refused.
///
/// See the [crate's documentation](crate) for the behaviour. The state belongs to the value and is shared by its clones
/// and services; `by` and each `with_*` make a value with empty state of its own: set up first, then clone.
#[must_use]
pub struct BulkheadLayer<K = Global, L: Limit = Fixed> {
    settings: Settings<L>,
    shared: Arc<Shared<K, L>>,
}

/// Lets as many requests be under way as is good for the service, which it finds out itself between two bounds: see
/// [`Vegas`].
///
/// All else is as with a [`BulkheadLayer`].
///
/// ```
/// use bartizan_bulkhead::{AdaptiveConcurrencyLayer, PerAuthority};
///
/// let service = AdaptiveConcurrencyLayer::between(10, 500)?;
/// let clients = AdaptiveConcurrencyLayer::between(5, 100)?.by(PerAuthority);
/// assert_eq!(service.handle().limit(), 20);
/// # Ok::<(), bartizan_bulkhead::ConfigError>(())
/// ```
pub type AdaptiveConcurrencyLayer<K = Global> = BulkheadLayer<K, Vegas>;

/// What all services of a layer share.
pub(crate) struct Shared<K, L: sealed::Limit> {
    pub(crate) key: Arc<K>,
    pub(crate) core: Arc<Core<L>>,
}

/// The same, but for the key.
#[derive(Debug)]
pub(crate) struct Core<L: sealed::Limit> {
    pub(crate) rooms: Arc<Rooms<L>>,
    pub(crate) priorities: Priorities,
    pub(crate) max_wait: Duration,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    retry_after: Duration,
}

#[derive(Clone)]
struct Settings<L> {
    limit: L,
    name: Cow<'static, str>,
    capacity: Capacity,
    max_wait: Duration,
    retry_after: Duration,
    priorities: Priorities,
    clock: Clock,
    recorder: RecorderChoice,
}

impl BulkheadLayer {
    /// At most `limit` requests at once.
    ///
    /// # Errors
    ///
    /// When it is 0.
    pub fn new(limit: u32) -> Result<Self, ConfigError> {
        if limit == 0 {
            return Err(ConfigError::new("limit", "must be at least 1"));
        }
        Ok(Self::assemble(Settings::new(Fixed(limit)), Arc::new(Global)))
    }
}

impl BulkheadLayer<Global, Vegas> {
    /// At least `min` and at most `max` requests at once; how many in between, the layer finds out.
    ///
    /// # Errors
    ///
    /// When `min` is 0 or more than `max`.
    pub fn between(min: u32, max: u32) -> Result<Self, ConfigError> {
        Vegas::new(min, max).map(Self::learning)
    }

    /// The same for a limit that was set up as it should be.
    pub fn learning(limit: Vegas) -> Self {
        Self::assemble(Settings::new(limit), Arc::new(Global))
    }
}

impl<L: Limit> BulkheadLayer<Global, L> {
    /// A bulkhead for each key, with the same limit.
    pub fn by<K: BulkheadKey>(self, key: K) -> BulkheadLayer<K, L> {
        BulkheadLayer::assemble(self.settings, Arc::new(key))
    }
}

impl<K, L: Limit> BulkheadLayer<K, L> {
    /// Lets `queue` requests of a key wait for a place, each for at most `max_wait` and until its deadline at the
    /// latest. Default: nobody waits; who finds no place is refused at once.
    ///
    /// A short queue evens out bursts. A long one only makes everybody late.
    ///
    /// # Errors
    ///
    /// When `queue` is 0 or more than 2^20, or `max_wait` is zero or longer than an hour.
    pub fn with_queue(self, queue: usize, max_wait: Duration) -> Result<Self, ConfigError> {
        if !(1..=1 << 20).contains(&queue) {
            return Err(ConfigError::new("queue", "must be between 1 and 2^20"));
        }
        if max_wait.is_zero() || max_wait > Duration::from_secs(3_600) {
            return Err(ConfigError::new("max_wait", "must be longer than zero and at most an hour"));
        }
        Ok(self.with(|settings| {
            settings.capacity.queue = queue;
            settings.max_wait = max_wait;
        }))
    }

    /// Says how important a request is. Default: gRPC's health checks are [`Priority::High`], all else is
    /// [`Priority::Normal`].
    ///
    /// ```
    /// use bartizan_bulkhead::{BulkheadLayer, Priority};
    ///
    /// let layer = BulkheadLayer::new(100)?.with_reserved(5)?.with_priority(|head| match head.uri().path() {
    ///     "/health/live" => Priority::Exempt,
    ///     "/health/ready" => Priority::High,
    ///     path if path.starts_with("/reports/") => Priority::Low,
    ///     _ => Priority::Normal,
    /// });
    /// # Ok::<(), bartizan_bulkhead::ConfigError>(())
    /// ```
    pub fn with_priority(
        self,
        priority: impl Fn(&RequestHead<'_>) -> Priority + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.priorities = Priorities::new(priority))
    }

    /// How many places of the limit are for requests of [`Priority::High`] alone. Default: none.
    ///
    /// # Errors
    ///
    /// When it is as much as the limit, or as the limit may become.
    pub fn with_reserved(self, reserved: u32) -> Result<Self, ConfigError> {
        if reserved >= self.settings.limit.least() {
            return Err(ConfigError::new("reserved", "must be less than the limit"));
        }
        Ok(self.with(|settings| settings.capacity.reserved = reserved))
    }

    /// The name: in metrics and events. Default: `bulkhead`, or `adaptive_concurrency`.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = name.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(ConfigError::new("name", "must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`"));
        }
        Ok(self.with(|settings| settings.name = name))
    }

    /// How many keys are told apart at once; more share a bulkhead. Default: 10 000.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^24.
    pub fn with_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        if !(1..=1 << 24).contains(&max_keys) {
            return Err(ConfigError::new("max_keys", "must be between 1 and 2^24"));
        }
        Ok(self.with(|settings| settings.capacity.max_keys = max_keys))
    }

    /// When a refused caller is told to come again. Default: a second.
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.with(|settings| settings.retry_after = delay)
    }

    /// Where time comes from. Default: the system's clock. Waiting is by tokio's, which a test may pause.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.recorder = RecorderChoice::pinned(recorder))
    }

    /// Reads the state while the layer is in use.
    pub fn handle(&self) -> BulkheadHandle {
        BulkheadHandle::new(Arc::clone(&self.shared.core.rooms))
    }

    fn with(self, set: impl FnOnce(&mut Settings<L>)) -> Self {
        let mut settings = self.settings;
        set(&mut settings);
        Self::assemble(settings, Arc::clone(&self.shared.key))
    }

    fn assemble(settings: Settings<L>, key: Arc<K>) -> Self {
        let core = Core {
            rooms: Arc::new(Rooms::new(settings.limit.clone(), settings.capacity)),
            priorities: settings.priorities.clone(),
            max_wait: settings.max_wait,
            clock: settings.clock.clone(),
            telemetry: Telemetry::new(&settings.name, &settings.recorder),
            retry_after: settings.retry_after,
        };
        Self { settings, shared: Arc::new(Shared { key, core: Arc::new(core) }) }
    }
}

impl<L: Limit> Settings<L> {
    fn new(limit: L) -> Self {
        Self {
            limit,
            name: Cow::Borrowed(L::LAYER),
            capacity: Capacity { queue: 0, reserved: 0, max_keys: 10_000 },
            max_wait: Duration::ZERO,
            retry_after: Duration::from_secs(1),
            priorities: Priorities::default(),
            clock: Clock::default(),
            recorder: RecorderChoice::default(),
        }
    }
}

impl<L: Limit> Core<L> {
    #[cold]
    pub(crate) fn rejection(&self) -> Rejection {
        /// The problem type that IANA registers for a service that has less to give than usual.
        const REDUCED_CAPACITY: &str =
            "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
        Rejection::new(Reason::Overloaded)
            .with_layer(L::LAYER)
            .with_type(REDUCED_CAPACITY)
            .with_detail("Too many requests are under way. Try again later.")
            .with_retry_after(self.retry_after)
    }
}

impl<K, L: Limit> Clone for BulkheadLayer<K, L> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<K, L: Limit> fmt::Debug for BulkheadLayer<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadLayer")
            .field("name", &self.settings.name)
            .field("rooms", &self.shared.core.rooms)
            .finish_non_exhaustive()
    }
}

impl<K: BulkheadKey, L: Limit> ServerLayer for BulkheadLayer<K, L> {
    type Phase = K::Phase;
    type Needs = K::Needs;
    type Provides = ();

    fn name(&self) -> &'static str {
        L::LAYER
    }
}

impl<K: BulkheadKey, L: Limit> ClientLayer for BulkheadLayer<K, L> {
    type Phase = phase::client::Bulkhead;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        L::LAYER
    }
}

impl<S, K: BulkheadKey, L: Limit> Layer<S> for BulkheadLayer<K, L> {
    type Service = Bulkhead<S, K, L>;

    fn layer(&self, inner: S) -> Self::Service {
        Bulkhead::new(inner, Arc::clone(&self.shared))
    }
}
