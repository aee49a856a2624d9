//! The layer: settings and state.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use bartizan_core::{QuotaViolation, Reason, RecorderChoice, Rejection, ServerLayer};
use http::Method;
use tower_layer::Layer;

use super::{
    service::ConcurrencyLimit,
    slots::{Permit, Slots},
};
use crate::{
    ConfigError, Key, KeyExtractor, MissingKey, RequestHead, Unkeyed,
    config::{DEFAULT_MAX_KEYS, checked_max_keys, checked_name},
    exempt::Exempt,
    refusal,
    telemetry::{self, Outcome, Telemetry},
};

const LAYER: &str = "concurrency_limit";

/// Refuses the requests of a key while so many of its requests are under way.
///
/// A request is under way until the body of its response has ended or was dropped. Where
/// [`RateLimitLayer`](crate::RateLimitLayer) bounds how often a caller comes, this bounds how much of the service
/// it holds at once. It stands where a rate limit by the same key does.
///
/// A caller over its limit is refused with 429 (RESOURCE_EXHAUSTED); where the key is not the caller's, as with
/// [`Global`](crate::Global), with 503 (UNAVAILABLE). `Retry-After` is
/// [what was set](Self::with_retry_after): nobody knows when a place becomes free. Health checks go on being answered
/// if they are [exempt](Self::with_exempt_paths).
///
/// The state belongs to the value, as a rate limit's does: set up first, then clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bartizan_rate_limit::{ConcurrencyLimitLayer, Global};
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let layer = ConcurrencyLimitLayer::new(1)?.by(Global);
/// let service = layer.layer(service_fn(async |_: Request<String>| {
///     Ok::<_, std::convert::Infallible>(Response::new(String::from("[]")))
/// }));
/// let first = service.clone().oneshot(Request::new(String::new())).await?;
/// assert_eq!(service.clone().oneshot(Request::new(String::new())).await?.status(), 503);
/// drop(first);
/// assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), 200);
/// # Ok(()) }
/// ```
#[must_use]
pub struct ConcurrencyLimitLayer<K = Unkeyed> {
    shared: Arc<Shared<K>>,
}

/// What all services of a layer share.
pub(super) struct Shared<K> {
    settings: Settings,
    key: Arc<K>,
    slots: Arc<Slots>,
    violation: QuotaViolation,
    telemetry: Telemetry,
}

#[derive(Clone, Debug)]
struct Settings {
    max: u32,
    name: Cow<'static, str>,
    max_keys: usize,
    missing: MissingKey,
    retry_after: Duration,
    recorder: RecorderChoice,
    exempt: Exempt,
}

impl ConcurrencyLimitLayer {
    /// At most `max` requests at once; of whom, [`by`](Self::by) says.
    ///
    /// # Errors
    ///
    /// When `max` is 0.
    pub fn new(max: u32) -> Result<Self, ConfigError> {
        if max == 0 {
            return Err(ConfigError::new("max", "must be at least 1"));
        }
        let settings = Settings {
            max,
            name: Cow::Borrowed("concurrency"),
            max_keys: DEFAULT_MAX_KEYS,
            missing: MissingKey::default(),
            retry_after: Duration::from_secs(1),
            recorder: RecorderChoice::default(),
            exempt: Exempt::default(),
        };
        Ok(Self::assemble(settings, Arc::new(Unkeyed(()))))
    }

    /// Counts the requests of each key apart.
    pub fn by<K: KeyExtractor>(self, key: K) -> ConcurrencyLimitLayer<K> {
        ConcurrencyLimitLayer::assemble(self.shared.settings.clone(), Arc::new(key))
    }
}

impl<K> ConcurrencyLimitLayer<K> {
    /// The name of the limit: in refusals and metrics. Default: `concurrency`.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = checked_name(name.into())?;
        Ok(self.with(|settings| settings.name = name))
    }

    /// How many keys may have requests under way and be told apart. Default: 100 000.
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

    /// When a refused caller is told to come again. Default: a second.
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.with(|settings| settings.retry_after = delay)
    }

    /// Requests of these methods pass without a place, however full it is.
    pub fn with_exempt_methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(|settings| settings.exempt.add_methods(methods))
    }

    /// Requests for these paths pass without a place, however full it is: `/healthz`, `/grpc.health.v1.Health/Check`,
    /// or `/static/*` for all paths below `/static`. A full service is healthy, and must be able to say so.
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
        let mut exempt = self.shared.settings.exempt.clone();
        exempt.add_paths(paths)?;
        Ok(self.with(|settings| settings.exempt = exempt))
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.recorder = RecorderChoice::pinned(recorder))
    }

    /// How many requests are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.slots.in_flight()
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        set(&mut settings);
        Self::assemble(settings, Arc::clone(&self.shared.key))
    }

    fn assemble(settings: Settings, key: Arc<K>) -> Self {
        Self {
            shared: Arc::new(Shared {
                slots: Arc::new(Slots::new(settings.max, settings.max_keys)),
                violation: QuotaViolation {
                    subject: settings.name.clone(),
                    description: Cow::Owned(format!("The limit is {} at once.", settings.max)),
                },
                telemetry: Telemetry::new(&settings.name, &settings.recorder),
                settings,
                key,
            }),
        }
    }
}

impl<K: KeyExtractor> Shared<K> {
    /// A place for a request, or why there is none.
    pub(super) fn admit(&self, head: &RequestHead<'_>) -> Result<Permit, Rejection> {
        if self.settings.exempt.covers(head) {
            return Ok(Permit::exempt());
        }
        let key = match (self.key.key(head), self.settings.missing) {
            (Some(key), _) => key,
            (None, MissingKey::Shared) => Key::unknown(),
            (None, MissingKey::Refuse) => {
                self.telemetry.decided(Outcome::NoKey);
                return Err(refusal::keyless(LAYER));
            }
        };
        let Some(permit) = self.slots.acquire(&key) else {
            self.telemetry.decided(Outcome::Limited);
            return Err(self.refuse());
        };
        self.telemetry.decided(Outcome::Allowed);
        if permit.is_shared() {
            self.telemetry.overflowed();
        }
        Ok(permit)
    }

    #[cold]
    fn refuse(&self) -> Rejection {
        let (reason, problem_type) = if self.key.is_of_caller() {
            telemetry::refused(&self.settings.name);
            (Reason::RateLimited, refusal::QUOTA_EXCEEDED)
        } else {
            (Reason::Overloaded, refusal::REDUCED_CAPACITY)
        };
        Rejection::new(reason)
            .with_layer(LAYER)
            .with_type(problem_type)
            .with_detail("Too many requests at once. Try again when others have ended.")
            .with_retry_after(self.settings.retry_after)
            .with_quota(self.violation.clone())
    }
}

impl<K> Clone for ConcurrencyLimitLayer<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K> fmt::Debug for ConcurrencyLimitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConcurrencyLimitLayer").field(&self.shared).finish()
    }
}

impl<K> fmt::Debug for Shared<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.settings.name)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl<K: KeyExtractor> ServerLayer for ConcurrencyLimitLayer<K> {
    type Phase = K::Phase;
    type Needs = K::Needs;
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S, K: KeyExtractor> Layer<S> for ConcurrencyLimitLayer<K> {
    type Service = ConcurrencyLimit<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::new(inner, Arc::clone(&self.shared))
    }
}
