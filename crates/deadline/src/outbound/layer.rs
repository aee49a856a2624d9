//! The layer: settings.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use bartizan_core::{
    ClientLayer, Clock, RecorderChoice,
    phase::{Phase, client},
};
use http::HeaderName;
use tower_layer::Layer;

use super::service::OutboundTimeout;
use crate::{
    ConfigError,
    call::Keeper,
    caller::checked_header,
    config::{LONGEST, checked},
    telemetry::Telemetry,
};

/// Gives every outgoing call a deadline, and gives up what takes longer.
///
/// [`total`](Self::total) bounds a call with all its attempts, outside of retries; [`per_attempt`](Self::per_attempt)
/// each attempt, within them. A stack may have both. What they do:
///
/// 1. **Deadline.** The earliest of the layer's own, of the `grpc-timeout` that the call brings, and of the
///    [deadline of the request](bartizan_core::Deadline::of_call) that it is made for: with the feature `scope`, of
///    the one that the running code serves. The total leaves it as a [`Deadline`](bartizan_core::Deadline) among the
///    extensions of the request, where retries and attempts find it.
/// 2. **Told to the other side**, from what is left when the call is made: in `grpc-timeout` for gRPC, and in
///    [a field](Self::with_header) for HTTP on demand. Each attempt writes it anew.
/// 3. **No time left.** A call with less time left than the [floor](Self::with_floor) is not made.
/// 4. **Given up** is the call together with the body of its response. The answer is 504 or `DEADLINE_EXCEEDED`,
///    with the `Rejection` among its extensions; after the head, the body ends as a server's
///    [does](crate#behaviour). A gRPC call whose deadline has passed is `DEADLINE_EXCEEDED` also when it ends as
///    `CANCELLED`, or fails, because the other side was the first to give up.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::{convert::Infallible, time::Duration};
///
/// use bartizan_deadline::OutboundTimeoutLayer;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let layer = OutboundTimeoutLayer::total(Duration::from_secs(3))?;
/// let stock = layer.layer(service_fn(async |call: Request<String>| {
///     assert!(call.headers().contains_key("grpc-timeout"));
///     if call.uri().path() == "/stock.Stock/Recount" {
///         tokio::time::sleep(Duration::from_secs(5)).await;
///     }
///     Ok::<_, Infallible>(Response::new(String::new()))
/// }));
/// let call = |path| Request::post(path).header("content-type", "application/grpc").body(String::new());
///
/// let answer = stock.clone().oneshot(call("/stock.Stock/Reserve")?).await?;
/// assert!(!answer.headers().contains_key("grpc-status"));
/// let given_up = stock.oneshot(call("/stock.Stock/Recount")?).await?;
/// assert_eq!(given_up.headers()["grpc-status"], "4");
/// # Ok(()) }
/// ```
#[must_use]
pub struct OutboundTimeoutLayer<P = client::TotalDeadline> {
    shared: Arc<Shared>,
    place: PhantomData<fn() -> P>,
}

/// What all services of a layer share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) keeper: Arc<Keeper>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) layer: &'static str,
    /// Whether it stands for the call with all its attempts.
    pub(crate) is_total: bool,
    pub(crate) limit: Duration,
    pub(crate) idle: Option<Duration>,
    pub(crate) margin: Duration,
    pub(crate) floor: Duration,
    pub(crate) header: Option<HeaderName>,
    clock: Clock,
    recorder: RecorderChoice,
}

impl Settings {
    fn new(layer: &'static str, is_total: bool, limit: Duration) -> Result<Self, ConfigError> {
        Ok(Self {
            layer,
            is_total,
            limit: checked("limit", limit)?,
            idle: None,
            margin: Duration::ZERO,
            floor: Duration::ZERO,
            header: None,
            clock: Clock::default(),
            recorder: RecorderChoice::default(),
        })
    }
}

impl OutboundTimeoutLayer {
    /// At most so long for a call with all its attempts, to the end of the body of its response.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn total(limit: Duration) -> Result<Self, ConfigError> {
        Settings::new("outbound_timeout", true, limit).map(Self::assemble)
    }
}

impl OutboundTimeoutLayer<client::Attempt> {
    /// At most so long for each attempt, to the end of the body of its response, and no longer than what is left of
    /// the total.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn per_attempt(limit: Duration) -> Result<Self, ConfigError> {
        Settings::new("attempt_timeout", false, limit).map(Self::assemble)
    }
}

impl<P> OutboundTimeoutLayer<P> {
    /// How long the body of the response may rest: from when a frame is wanted until it is there. Default: as long
    /// as the whole may take.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn with_idle(self, idle: Duration) -> Result<Self, ConfigError> {
        let idle = checked("idle", idle)?;
        Ok(self.with(|settings| settings.idle = Some(idle)))
    }

    /// How long before the deadline of the request that it is made for a call must be done, so that there is time
    /// to answer with what it brought. Default: none.
    ///
    /// # Errors
    ///
    /// When it is longer than a year.
    pub fn with_margin(self, margin: Duration) -> Result<Self, ConfigError> {
        let margin = at_most_a_year("margin", margin)?;
        Ok(self.with(|settings| settings.margin = margin))
    }

    /// A call is not made with less time left than this: it would only be work for the other side. Default: zero,
    /// any time will do.
    ///
    /// # Errors
    ///
    /// When it is longer than the limit.
    pub fn with_floor(self, floor: Duration) -> Result<Self, ConfigError> {
        if floor > self.shared.settings.limit {
            return Err(ConfigError::new("floor", "must not be longer than the limit"));
        }
        Ok(self.with(|settings| settings.floor = floor))
    }

    /// Tells HTTP servers how long they have, in this field: the milliseconds that are left, as
    /// [`TimeoutLayer`](crate::TimeoutLayer::with_header) reads them. Default: they are not told.
    ///
    /// # Errors
    ///
    /// When it is `grpc-timeout`, which gRPC calls get in any case.
    pub fn with_header(self, name: HeaderName) -> Result<Self, ConfigError> {
        let name = checked_header(name)?;
        Ok(self.with(|settings| settings.header = Some(name)))
    }

    /// Where time comes from. Default: the system's clock. Sleeping is by tokio's, which a test may pause.
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
        let keeper = Arc::new(Keeper {
            layer: settings.layer,
            clock: settings.clock.clone(),
            telemetry: Telemetry::new(settings.layer, &settings.recorder),
        });
        Self { shared: Arc::new(Shared { settings, keeper }), place: PhantomData }
    }
}

fn at_most_a_year(field: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time > LONGEST { Err(ConfigError::new(field, "must be at most a year")) } else { Ok(time) }
}

impl<P> Clone for OutboundTimeoutLayer<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), place: PhantomData }
    }
}

impl<P> fmt::Debug for OutboundTimeoutLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutboundTimeoutLayer").field(&self.shared).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("layer", &self.settings.layer)
            .field("limit", &self.settings.limit)
            .field("idle", &self.settings.idle)
            .field("margin", &self.settings.margin)
            .field("floor", &self.settings.floor)
            .field("header", &self.settings.header)
            .finish_non_exhaustive()
    }
}

impl<P: Phase> ClientLayer for OutboundTimeoutLayer<P> {
    type Phase = P;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        self.shared.settings.layer
    }
}

impl<S, P> Layer<S> for OutboundTimeoutLayer<P> {
    type Service = OutboundTimeout<S>;

    fn layer(&self, inner: S) -> OutboundTimeout<S> {
        OutboundTimeout::new(inner, Arc::clone(&self.shared))
    }
}
