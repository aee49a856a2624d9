//! The layer: settings and state.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use bartizan_core::{ClientLayer, Clock, RecorderChoice, TimeSource, phase};
use tower_layer::Layer;

use super::{service::OutboundRateLimit, upstreams::Upstreams};
use crate::{ConfigError, Rate, config::checked_name, quota::Quota, telemetry::Telemetry};

/// Keeps a client within the limits of those it calls: a rate of your own for each authority, and what the upstream
/// says about its limits.
///
/// 1. **Rate.** With [`new`](Self::new) no authority gets more than the rate; [`learning`](Self::learning) has no
///    rate of its own.
/// 2. **What the upstream says.** After 429 or 503 with `Retry-After`, or RESOURCE_EXHAUSTED with
///    `grpc-retry-pushback-ms`, nothing is sent until then. `RateLimit` fields say how many requests are left, and
///    until when (draft-ietf-httpapi-ratelimit-headers-10): the answer to the latest request counts, in whatever order
///    answers come. What is malformed, or comes from a cache, is ignored. No
///    wait is longer than an hour. To each wait up to five seconds are added at random, or up to a tenth of it if that
///    is more, so that a fleet of clients does not come back at once; to one of less than a second up to five times that.
/// 3. **Too early.** A request that may not be sent yet is refused with 429 (RESOURCE_EXHAUSTED), as a proxy would,
///    and `Retry-After`. With [`with_waiting`](Self::with_waiting) it waits for its turn instead: first come, first
///    served. It is refused at once when the line is full, or when it would have to wait for too long, or beyond
///    the deadline of its request. Giving up the request gives up the place.
/// 4. **Memory.** So many authorities are [remembered](Self::with_max_authorities); one that is idle gives its place
///    to a new one, and without any such, new ones share one limit.
///
/// The state belongs to the value and is shared by its clones and services. A request that waits keeps the inner
/// service that was ready for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bartizan_rate_limit::OutboundRateLimitLayer;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let layer = OutboundRateLimitLayer::new("1/min".parse()?);
/// let client = layer.layer(service_fn(async |_: Request<String>| {
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// }));
/// let get = |uri| Request::get(uri).body(String::new());
/// assert_eq!(client.clone().oneshot(get("https://a.example/1")?).await?.status(), 200);
/// assert_eq!(client.clone().oneshot(get("https://a.example/2")?).await?.status(), 429);
/// assert_eq!(client.oneshot(get("https://b.example/")?).await?.status(), 200);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct OutboundRateLimitLayer {
    shared: Arc<Shared>,
}

/// What all services of a layer share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) quota: Option<Quota>,
    pub(super) upstreams: Upstreams,
    pub(super) telemetry: Telemetry,
}

#[derive(Clone)]
pub(super) struct Settings {
    rate: Option<Rate>,
    pub(super) name: Cow<'static, str>,
    pub(super) waiting: Option<Line>,
    max_authorities: usize,
    pub(super) clock: Clock,
    recorder: RecorderChoice,
}

/// How requests wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) most: usize,
    pub(super) longest: Duration,
}

impl OutboundRateLimitLayer {
    /// Sends at most so much to each authority, and keeps to what it says of its limits.
    pub fn new(rate: Rate) -> Self {
        Self::assemble(Settings::new(Some(rate)))
    }

    /// Keeps to what each authority says of its limits.
    pub fn learning() -> Self {
        Self::assemble(Settings::new(None))
    }

    /// Lets requests wait for their turn: `queue` of each authority at once, and none for longer than `max_wait`.
    /// Default: they are refused.
    ///
    /// # Errors
    ///
    /// When `queue` or `max_wait` is 0, or `max_wait` is longer than an hour.
    pub fn with_waiting(self, queue: usize, max_wait: Duration) -> Result<Self, ConfigError> {
        if queue == 0 {
            return Err(ConfigError::new("queue", "must be at least 1"));
        }
        if max_wait.is_zero() || max_wait > Duration::from_secs(3_600) {
            return Err(ConfigError::new("max_wait", "must be longer than zero and at most an hour"));
        }
        Ok(self.with(|settings| settings.waiting = Some(Line { most: queue, longest: max_wait })))
    }

    /// How many authorities are remembered at most. Default: 1024.
    ///
    /// # Errors
    ///
    /// When it is 0.
    pub fn with_max_authorities(self, max: usize) -> Result<Self, ConfigError> {
        if max == 0 {
            return Err(ConfigError::new("max_authorities", "must be at least 1"));
        }
        Ok(self.with(|settings| settings.max_authorities = max))
    }

    /// The name of the limit: in refusals and metrics. Default: `outbound`.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = checked_name(name.into())?;
        Ok(self.with(|settings| settings.name = name))
    }

    /// Where time comes from. Default: tokio's clock, which a test may pause; waiting is by that in any case.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.recorder = RecorderChoice::pinned(recorder))
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        set(&mut settings);
        Self::assemble(settings)
    }

    fn assemble(settings: Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                quota: settings.rate.map(|rate| Quota::new(&settings.name, rate, false)),
                upstreams: Upstreams::new(settings.max_authorities),
                telemetry: Telemetry::new(&settings.name, &settings.recorder),
                settings,
            }),
        }
    }
}

impl Settings {
    fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            name: Cow::Borrowed("outbound"),
            waiting: None,
            max_authorities: 1024,
            clock: Clock::new(TokioTime),
            recorder: RecorderChoice::default(),
        }
    }
}

/// The clock that tokio sleeps by.
struct TokioTime;

impl TimeSource for TokioTime {
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> std::time::SystemTime {
        Clock::system().wall()
    }
}

impl fmt::Debug for OutboundRateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundRateLimitLayer")
            .field("name", &self.shared.settings.name)
            .field("rate", &self.shared.settings.rate.map(|rate| rate.to_string()))
            .field("waiting", &self.shared.settings.waiting)
            .finish_non_exhaustive()
    }
}

impl ClientLayer for OutboundRateLimitLayer {
    type Phase = phase::client::OutboundLimit;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        super::service::LAYER
    }
}

impl<S> Layer<S> for OutboundRateLimitLayer {
    type Service = OutboundRateLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OutboundRateLimit::new(inner, Arc::clone(&self.shared))
    }
}
