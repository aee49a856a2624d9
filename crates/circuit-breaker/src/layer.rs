//! The layer: settings and state.

use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{Classify, ClientLayer, Clock, ServerLayer, phase};
use tower_layer::Layer;

use crate::{
    BreakerKey, BreakerPolicy, CircuitBreaker, CircuitBreakerHandle, ConfigError, FallbackTo, LAYER,
    NoFallback, PerUpstream, TransitionEvent,
    registry::Registry,
    settings::{Classifier, Settings},
};

/// Puts a circuit breaker before a service or a client, one for each [key](Self::by).
///
/// The state belongs to the value and is shared by its clones, its services and its [handle](Self::handle). A `with_…`
/// makes a layer with a state of its own: set up first, then clone.
#[must_use]
pub struct CircuitBreakerLayer<K = PerUpstream, F = NoFallback> {
    registry: Arc<Registry>,
    key: Arc<K>,
    fallback: F,
}

impl CircuitBreakerLayer {
    /// A breaker for each [upstream](PerUpstream), of this policy.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            registry: Arc::new(Registry::new(Settings::new(policy))),
            key: Arc::new(PerUpstream),
            fallback: NoFallback,
        }
    }
}

impl<K, F> CircuitBreakerLayer<K, F> {
    /// Which breaker a request belongs to. Default: [`PerUpstream`].
    pub fn by<T: BreakerKey>(self, key: T) -> CircuitBreakerLayer<T, F> {
        CircuitBreakerLayer {
            registry: Arc::new(Registry::new(self.registry.common.settings.clone())),
            key: Arc::new(key),
            fallback: self.fallback,
        }
    }

    /// Who answers a request that is refused: a service with a cached or default answer. Its response goes to the caller
    /// as it is; if it fails, the request is refused after all. Default: it is refused.
    ///
    /// The body is one in memory, [`ResponseBody::full`](bartizan_core::ResponseBody::full), or one of the kind that the
    /// inner service has, [`ResponseBody::forward`](bartizan_core::ResponseBody::forward).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::convert::Infallible;
    /// use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer};
    /// use bartizan_core::ResponseBody;
    /// use http::{Request, Response};
    /// use http_body_util::BodyExt;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// let last_known = service_fn(async |_: Request<String>| {
    ///     Ok::<_, Infallible>(Response::new(ResponseBody::full(Some("\"12.50\"".into()))))
    /// });
    /// let layer = CircuitBreakerLayer::new(BreakerPolicy::new()).fallback(last_known);
    /// let handle = layer.handle();
    /// let prices = layer.layer(service_fn(async |_: Request<String>| {
    ///     Ok::<_, Infallible>(Response::new(http_body_util::Full::<bytes::Bytes>::from("\"13.00\"")))
    /// }));
    /// let request = || Request::get("http://prices.internal/7").body(String::new()).unwrap();
    /// let answer = prices.clone().oneshot(request()).await?.into_body().collect().await?.to_bytes();
    /// assert_eq!(answer, "\"13.00\"");
    ///
    /// handle.breaker("prices.internal").force_open();
    /// let answer = prices.oneshot(request()).await?.into_body().collect().await?.to_bytes();
    /// assert_eq!(answer, "\"12.50\"");
    /// # Ok(()) }
    /// ```
    pub fn fallback<S>(self, service: S) -> CircuitBreakerLayer<K, FallbackTo<S>> {
        CircuitBreakerLayer { registry: self.registry, key: self.key, fallback: FallbackTo(service) }
    }

    /// When the breakers open and close, instead of what [`new`](CircuitBreakerLayer::new) was told.
    pub fn with_policy(self, policy: BreakerPolicy) -> Self {
        self.with(|settings| settings.policy = Arc::new(policy))
    }

    /// What counts as failure, and what is not counted. Default: what
    /// [`ClientClassifier`](bartizan_core::ClientClassifier) says. It is asked of calls without a response too, which have no
    /// status, also in a panic of the service: it must not panic.
    pub fn with_classifier(self, classifier: impl Classify + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.classifier = Classifier::Own(Arc::new(classifier)))
    }

    /// The default, and 429 and RESOURCE_EXHAUSTED of the upstream are failures too. A limit that is one caller's own
    /// says nothing of the upstream; one that all share does.
    pub fn with_limited_as_failure(self) -> Self {
        self.with(|settings| settings.classifier = Classifier::Client { limited_is_failure: true })
    }

    /// When the call that opens a breaker was answered with `Retry-After` (or `grpc-retry-pushback-ms` in a head with the
    /// status) the breaker stays open for so long at least, and for `most` at most. Default: the policy alone says.
    ///
    /// # Errors
    ///
    /// When `most` is 0 or more than a day.
    pub fn with_retry_after(self, most: Duration) -> Result<Self, ConfigError> {
        if most.is_zero() || most > Duration::from_secs(24 * 3_600) {
            return Err(ConfigError::new("retry_after", "must be longer than zero and at most a day"));
        }
        Ok(self.with(|settings| settings.most_pause = Some(most)))
    }

    /// The name in metrics, events and reports. Give each layer its own. Default: `default`.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Arc<str>>) -> Result<Self, ConfigError> {
        let name = name.into();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            return Err(ConfigError::new("name", "must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`"));
        }
        Ok(self.with(|settings| settings.name = name))
    }

    /// How many breakers there may be. A new key takes the place of one that nobody calls any more; without any such, new
    /// keys share a breaker. Default: 1024.
    ///
    /// A closed breaker is one that nobody calls any more when nobody has within its window; with a window of the last
    /// calls, when none of them failed or was slow, or nobody has called for as long as it would be open. One that is open,
    /// half-open or recovering, when its open time, last probe or ramp-up has been over for as long as it was open, and for
    /// one window. A forced one never is.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 65 536.
    pub fn with_max_breakers(self, max: usize) -> Result<Self, ConfigError> {
        if !(1..=65_536).contains(&max) {
            return Err(ConfigError::new("max_breakers", "must be 1 to 65536"));
        }
        Ok(self.with(|settings| settings.max_breakers = max))
    }

    /// Requests for these paths pass without being counted: health checks and reflection. `/healthz`, or
    /// `/grpc.health.v1.Health/*` for all paths below `/grpc.health.v1.Health`.
    ///
    /// Paths are compared as they were sent. Below a `/*`, paths that have several spellings are counted.
    ///
    /// # Errors
    ///
    /// When a path does not start with `/`, has several spellings itself, or a `*` elsewhere than at its end.
    pub fn with_exempt_paths<P: AsRef<str>>(
        self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let mut exempt = self.registry.common.settings.exempt.clone();
        exempt.add(paths).map_err(|error| ConfigError::new("exempt_paths", error.message()))?;
        Ok(self.with(|settings| settings.exempt = exempt))
    }

    /// Calls `listener` with each change of state, one after the other for each breaker. It runs within the request that
    /// caused the change and must not block; [`subscribe`](CircuitBreakerHandle::subscribe) does not.
    pub fn with_listener(self, listener: impl Fn(&TransitionEvent) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.listeners.push(Arc::new(listener)))
    }

    /// Where time comes from. Default: the system.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.recorder = bartizan_core::RecorderChoice::pinned(recorder))
    }

    /// The breakers from outside: what they are, and what they shall be.
    pub fn handle(&self) -> CircuitBreakerHandle {
        CircuitBreakerHandle::new(Arc::clone(&self.registry))
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.registry.common.settings.clone();
        set(&mut settings);
        self.registry = Arc::new(Registry::new(settings));
        self
    }
}

impl<K, F: Clone> Clone for CircuitBreakerLayer<K, F> {
    fn clone(&self) -> Self {
        Self {
            registry: Arc::clone(&self.registry),
            key: Arc::clone(&self.key),
            fallback: self.fallback.clone(),
        }
    }
}

impl<K, F> fmt::Debug for CircuitBreakerLayer<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitBreakerLayer").field(&self.registry).finish()
    }
}

impl<K: BreakerKey, F> ServerLayer for CircuitBreakerLayer<K, F> {
    type Phase = K::Phase;
    type Needs = K::Needs;
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<K: BreakerKey, F> ClientLayer for CircuitBreakerLayer<K, F> {
    type Phase = phase::client::Breaker;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S, K: BreakerKey, F: Clone> Layer<S> for CircuitBreakerLayer<K, F> {
    type Service = CircuitBreaker<S, K, F>;

    fn layer(&self, inner: S) -> Self::Service {
        let (registry, key) = (Arc::clone(&self.registry), Arc::clone(&self.key));
        CircuitBreaker::new(inner, registry, key, self.fallback.clone())
    }
}
