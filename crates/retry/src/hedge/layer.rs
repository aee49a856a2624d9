//! The layer: settings and state.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use bartizan_core::{ClientLayer, Clock, RecorderChoice, phase};
use tower_layer::Layer;

use super::{Hedge, LatencyPercentile, delay::Delay};
use crate::{
    Budget, ConfigError, Policy, StandardPolicy, config::checked_name, layer::REPLAY_CAP, limits::Bounds,
    telemetry::Telemetry, time::Time,
};

/// Sends a second copy of a request when the first is slow, and takes the answer that comes first: for reads whose
/// slowest answers matter, at the cost of some more of them.
///
/// 1. **Which.** Requests that may be sent twice ([`RequestHead::is_idempotent`](crate::RequestHead::is_idempotent)); gRPC
///    calls where they are marked as [`Idempotent`](crate::Idempotent), or [all of them](Self::with_all_grpc_calls). All
///    others pass. So does a call that is a retry already.
/// 2. **When.** After a fixed delay, or a running percentile of how long the first copies took; each further copy after
///    the same delay again. At once when a copy fails in a way that the [`Policy`] would retry, or after what that
///    answer asks for; where there is no time for that, or no copy is left, the answer is returned at once.
/// 3. **Which answer.** The first that is not such a failure: a success, or a failure that another attempt would not
///    help. The other copies are given up. When all have failed, the last answer. The response head of a streamed gRPC
///    response is an answer. A request body that becomes too large to be kept goes on in the copy that reads on first, and
///    the others are given up then.
/// 4. **How many.** Two, unless set otherwise, and no more than the [`Budget`] covers. None after a pushback that says
///    no, when the body was too large to be kept, or with no time left.
/// 5. A layer of ours that refuses the first copy, on this side, has answered; one that refuses another has not, and
///    there is no further one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering}, time::Duration};
///
/// use bartizan_retry::{Attempts, HedgeLayer, ReplayBody};
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// type Body = Full<bytes::Bytes>;
///
/// // The first answer takes a minute.
/// let calls = AtomicU32::new(0);
/// let supplier = service_fn(async |_: Request<ReplayBody<Body>>| {
///     if calls.fetch_add(1, Ordering::Relaxed) == 0 {
///         tokio::time::sleep(Duration::from_secs(60)).await;
///     }
///     Ok::<_, Infallible>(Response::new(Body::default()))
/// });
/// let client = HedgeLayer::after(Duration::from_millis(100))?.layer(supplier);
///
/// let start = tokio::time::Instant::now();
/// let response = client.clone().oneshot(Request::get("/quotes").body(Body::default())?).await?;
/// assert_eq!(start.elapsed(), Duration::from_millis(100));
/// assert_eq!(response.extensions().get::<Attempts>().map(|attempts| attempts.get()), Some(2));
///
/// // What must not be done twice is sent once.
/// client.oneshot(Request::post("/orders").body(Body::default())?).await?;
/// assert_eq!(calls.load(Ordering::Relaxed), 3);
/// # Ok(()) }
/// ```
///
/// Phase `retry` of an outgoing stack, inside of a [`RetryLayer`](crate::RetryLayer) if there is one. Each copy passes all
/// layers inside. The layer ends no copy for taking too long: deadlines are for the layers around it. The state, which is
/// budget and percentile, belongs to the value and is shared by its clones and services.
#[must_use]
pub struct HedgeLayer<P = StandardPolicy> {
    shared: Arc<Shared<P>>,
}

/// What all services of a layer share.
pub(super) struct Shared<P> {
    pub(super) policy: Arc<P>,
    pub(super) settings: Settings,
    pub(super) telemetry: Telemetry,
}

#[derive(Clone)]
pub(super) struct Settings {
    name: Cow<'static, str>,
    pub(super) delay: Delay,
    pub(super) max_attempts: u32,
    pub(super) budget: Budget,
    pub(super) bounds: Bounds,
    pub(super) replay_cap: usize,
    pub(super) all_grpc_calls: bool,
    recorder: RecorderChoice,
}

impl HedgeLayer {
    /// Sends the next copy when there is no answer after `delay`.
    ///
    /// # Errors
    ///
    /// When it is zero, or longer than an hour.
    pub fn after(delay: Duration) -> Result<Self, ConfigError> {
        if delay.is_zero() || delay > Duration::from_secs(3_600) {
            return Err(ConfigError::new("delay", "must be longer than zero and at most an hour"));
        }
        Ok(Self::with_delay(Delay::Fixed(delay)))
    }

    /// Sends the next copy when the first takes longer than this share of the latest ones did: 0.95, say, for one call in
    /// twenty. Until some fifty are known it is after `initial`. See [`LatencyPercentile`].
    ///
    /// Known are answers of the upstream to calls that may be hedged: not errors, failures that would be retried, or
    /// refusals of this side, which often come at once.
    ///
    /// # Errors
    ///
    /// When the percentile is not above 0 and below 1, or `initial` is zero or longer than an hour.
    pub fn at_percentile(percentile: f64, initial: Duration) -> Result<Self, ConfigError> {
        let latency = LatencyPercentile::new(percentile, initial)?;
        Ok(Self::with_delay(Delay::Percentile(Arc::new(latency))))
    }

    fn with_delay(delay: Delay) -> Self {
        let settings = Settings {
            name: Cow::Borrowed("upstream"),
            delay,
            max_attempts: 2,
            budget: Budget::default(),
            bounds: Bounds::new(),
            replay_cap: REPLAY_CAP,
            all_grpc_calls: false,
            recorder: RecorderChoice::default(),
        };
        Self::assemble(Arc::new(StandardPolicy::new()), settings)
    }
}

impl<P> HedgeLayer<P> {
    /// Which failures are none to wait for. Default: [`StandardPolicy`].
    pub fn with_policy<Q: Policy>(self, policy: Q) -> HedgeLayer<Q> {
        HedgeLayer::assemble(Arc::new(policy), self.shared.settings.clone())
    }

    /// How many copies of a request are sent at most, the first among them. Default: 2.
    ///
    /// # Errors
    ///
    /// When it is not between 2 and 5.
    pub fn with_max_attempts(self, max: u32) -> Result<Self, ConfigError> {
        if !(2..=5).contains(&max) {
            return Err(ConfigError::new("max_attempts", "must be between 2 and 5"));
        }
        Ok(self.with(|settings| settings.max_attempts = max))
    }

    /// What the upstream is asked to bear: share the handle with the other clients of the same upstream, and with the
    /// layer that retries. Default: one of this layer's own.
    pub fn with_budget(self, budget: Budget) -> Self {
        self.with(|settings| settings.budget = budget)
    }

    /// Sends copies of every gRPC call: only where all methods that are called may be called twice. Default: of those
    /// alone that are marked as [`Idempotent`](crate::Idempotent).
    pub fn with_all_grpc_calls(self) -> Self {
        self.with(|settings| settings.all_grpc_calls = true)
    }

    /// How many bytes of a request body are kept for further copies. Default: 64 KiB.
    pub fn with_replay_cap(self, bytes: usize) -> Self {
        self.with(|settings| settings.replay_cap = bytes)
    }

    /// The name of the upstream, in metrics. Default: `upstream`.
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
        self.with(|settings| settings.bounds.clock = Time::Injected(clock))
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.recorder = RecorderChoice::pinned(recorder))
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        set(&mut settings);
        Self::assemble(Arc::clone(&self.shared.policy), settings)
    }

    fn assemble(policy: Arc<P>, settings: Settings) -> Self {
        let telemetry = Telemetry::new(&settings.name, &settings.recorder);
        Self { shared: Arc::new(Shared { policy, telemetry, settings }) }
    }
}

impl<P> Clone for HedgeLayer<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<P> fmt::Debug for HedgeLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.shared.settings;
        f.debug_struct("HedgeLayer")
            .field("name", &settings.name)
            .field("delay", &settings.delay)
            .field("max_attempts", &settings.max_attempts)
            .finish_non_exhaustive()
    }
}

impl<P> ClientLayer for HedgeLayer<P> {
    type Phase = phase::client::Retry;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "hedge"
    }
}

impl<S, P> Layer<S> for HedgeLayer<P> {
    type Service = Hedge<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Hedge::new(inner, Arc::clone(&self.shared))
    }
}
