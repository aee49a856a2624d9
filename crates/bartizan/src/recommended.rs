//! The outgoing stack that most clients want, under one name.

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use bartizan_bulkhead::{BulkheadHandle, BulkheadLayer};
use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerHandle, CircuitBreakerLayer};
use bartizan_core::{Client, Clock, Facts, OptionalLayer, phase::client};
use bartizan_correlation_id::{ClientSpanLayer, LogicalCallLayer, PropagateLayer};
use bartizan_deadline::OutboundTimeoutLayer;
use bartizan_metrics::ClientMetricsLayer;
use bartizan_retry::RetryLayer;
use metrics::Recorder;
use tower_layer::{Identity, Stack as Nested};

use crate::Stack;

/// How long a call may take with all its attempts.
const TOTAL: Duration = Duration::from_secs(10);

/// How long each attempt may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The layers of a [recommended](Stack::recommended) stack, inside to outside.
pub type RecommendedLayers = Nested<
    OutboundTimeoutLayer<client::Attempt>,
    Nested<
        ClientMetricsLayer,
        Nested<
            PropagateLayer,
            Nested<
                OptionalLayer<ClientSpanLayer>,
                Nested<
                    CircuitBreakerLayer,
                    Nested<
                        OptionalLayer<BulkheadLayer>,
                        Nested<RetryLayer, Nested<OutboundTimeoutLayer, RecommendedCallLayers>>,
                    >,
                >,
            >,
        >,
    >,
>;

/// Those of them that see a call as one, whatever it takes.
type RecommendedCallLayers = Nested<
    ClientMetricsLayer<client::RpcSpan>,
    Nested<OptionalLayer<ClientSpanLayer<client::RpcSpan>>, Nested<LogicalCallLayer, Identity>>,
>;

/// A [recommended](Stack::recommended) stack. Credentials may be pushed inside of it.
pub type RecommendedStack = Stack<Client, client::Attempt, Facts, RecommendedLayers>;

impl Stack<Client> {
    /// The stack that most outgoing calls want, with the defaults of [`Recommended`]: a deadline over all attempts,
    /// retries under a budget, a bulkhead on demand, a circuit breaker for each host, ids and trace sent along, and a timeout and metrics for
    /// each attempt. A call made while a request is served has that request's ids and deadline, by the feature `scope`, which
    /// comes with this one. `name` is the upstream's, in all their metrics, events and reports.
    ///
    /// It goes over hyper-util's client as it is, over reqwest and a tonic channel through `HttpReqwest` and
    /// `GrpcChannel`. What a layer refuses is a response like any other, as a proxy would answer: 504 for a deadline,
    /// 503 while the breaker is open.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering}};
    ///
    /// use bartizan::{Stack, retry::Attempts};
    /// use http::{Request, Response};
    /// use http_body_util::Empty;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// type Body = Empty<bytes::Bytes>;
    ///
    /// // In real life hyper-util's client, `HttpReqwest` or `GrpcChannel`. This supplier fails every other time.
    /// let calls = AtomicU32::new(0);
    /// let supplier = service_fn(async |request: Request<_>| {
    ///     assert!(request.headers().contains_key("traceparent"));
    ///     let status = match request.uri().path() {
    ///         "/quotes" if calls.fetch_add(1, Ordering::Relaxed) % 2 == 1 => 200,
    ///         _ => 503,
    ///     };
    ///     Ok::<_, Infallible>(Response::builder().status(status).body(Body::new()).unwrap())
    /// });
    /// let client = Stack::client().recommended("supplier")?.build().layer(supplier);
    /// let get = |path: &str| Request::get(format!("http://supplier.internal{path}")).body(Body::new());
    ///
    /// let answer = client.clone().oneshot(get("/quotes")?).await?;
    /// assert_eq!(answer.status(), 200);
    /// assert_eq!(answer.extensions().get::<Attempts>().map(|attempts| attempts.get()), Some(2));
    ///
    /// // What fails all the time is not called for ever: the breaker opens, and answers at once.
    /// for _ in 0..20 {
    ///     assert_eq!(client.clone().oneshot(get("/down")?).await?.status(), 503);
    /// }
    /// let refused = client.oneshot(get("/quotes")?).await?;
    /// assert_eq!(refused.status(), 503);
    /// assert_eq!(refused.headers()["content-type"], "application/problem+json");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the name is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn recommended(
        self,
        name: impl Into<Cow<'static, str>>,
    ) -> Result<RecommendedStack, RecommendedError> {
        Ok(self.recommended_with(Recommended::new(name)?))
    }

    /// The same with other settings.
    pub fn recommended_with(self, settings: Recommended) -> RecommendedStack {
        let Recommended { spans, metrics, total, retry, bulkhead, breaker, propagate, attempt, .. } =
            settings;
        self.push(propagate.of_calls())
            .push(spans.as_ref().map(ClientSpanLayer::of_calls))
            .push(metrics.of_calls())
            .push(total)
            .push(retry)
            .push(bulkhead)
            .push(breaker)
            .push(spans)
            .push(propagate)
            .push(metrics)
            .push(attempt)
    }
}

/// The settings of a [recommended](Stack::recommended_with) stack: one layer for each purpose, all of one upstream.
///
/// ```
/// use std::time::Duration;
/// use bartizan::{Recommended, Stack, circuit_breaker::BreakerPolicy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = Recommended::new("supplier")?
///     .with_total_timeout(Duration::from_secs(3))?
///     .with_breaker(BreakerPolicy::new().with_open_time(Duration::from_secs(5))?)
///     .with_retry(|retry| Ok(retry.with_max_attempts(2)?.with_replay_cap(0)))?;
/// let breakers = settings.breakers();
/// let stack = Stack::client().recommended_with(settings);
/// assert!(stack.describe().to_string().contains("circuit_breaker"));
/// assert!(breakers.is_all_well());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Recommended {
    name: Cow<'static, str>,
    measures: Measures,
    spans: Option<ClientSpanLayer>,
    metrics: ClientMetricsLayer,
    total: OutboundTimeoutLayer,
    retry: RetryLayer,
    bulkhead: Option<BulkheadLayer>,
    breaker: CircuitBreakerLayer,
    propagate: PropagateLayer,
    attempt: OutboundTimeoutLayer<client::Attempt>,
}

impl Recommended {
    /// The defaults: 10 s for a call, 3 s for an attempt, and what [`RetryLayer`], [`BreakerPolicy`] and
    /// [`PropagateLayer`] have by themselves.
    ///
    /// # Errors
    ///
    /// When the name is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, RecommendedError> {
        let name = name.into();
        Ok(Self {
            measures: Measures::default(),
            spans: None,
            metrics: ClientMetricsLayer::new(name.clone())?,
            total: OutboundTimeoutLayer::total(TOTAL)?,
            retry: RetryLayer::new().with_name(name.clone())?,
            bulkhead: None,
            breaker: CircuitBreakerLayer::new(BreakerPolicy::new()).with_name(name.clone())?,
            propagate: PropagateLayer::new(),
            attempt: OutboundTimeoutLayer::per_attempt(ATTEMPT)?,
            name,
        })
    }

    /// How long a call may take with all its attempts and waits, to the end of the body of its response; less when the
    /// request that it is made for has less time left. Default: 10 s.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn with_total_timeout(self, timeout: Duration) -> Result<Self, RecommendedError> {
        Ok(Self { total: self.measures.give(OutboundTimeoutLayer::total(timeout)?), ..self })
    }

    /// How long each attempt may take, to the end of the body of its response. Default: 3 s.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn with_attempt_timeout(self, timeout: Duration) -> Result<Self, RecommendedError> {
        Ok(Self { attempt: self.measures.give(OutboundTimeoutLayer::per_attempt(timeout)?), ..self })
    }

    /// Changes what is retried, how often, and under which budget.
    ///
    /// # Errors
    ///
    /// Those of the change.
    pub fn with_retry(
        self,
        change: impl FnOnce(RetryLayer) -> Result<RetryLayer, bartizan_retry::ConfigError>,
    ) -> Result<Self, RecommendedError> {
        Ok(Self { retry: change(self.retry)?, ..self })
    }

    /// How many attempts may be under way at once; what comes on top is refused with 503. Default: any number.
    ///
    /// # Errors
    ///
    /// When it is 0.
    pub fn with_bulkhead(self, limit: u32) -> Result<Self, RecommendedError> {
        self.with_tuned_bulkhead(limit, Ok)
    }

    /// The same with a change: who waits for a place and how long, which places are kept for whom. Default: nobody waits,
    /// as [`BulkheadLayer::new`] has it. A [handle](Self::bulkhead) of before belongs to another layer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bartizan::Recommended;
    ///
    /// let settings = Recommended::new("supplier")?
    ///     .with_tuned_bulkhead(64, |bulkhead| bulkhead.with_queue(16, Duration::from_millis(200)))?;
    /// assert_eq!(settings.bulkhead().unwrap().limit(), 64);
    /// # Ok::<(), bartizan::RecommendedError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the limit is 0, and those of the change.
    pub fn with_tuned_bulkhead(
        self,
        limit: u32,
        change: impl FnOnce(BulkheadLayer) -> Result<BulkheadLayer, bartizan_bulkhead::ConfigError>,
    ) -> Result<Self, RecommendedError> {
        let named = BulkheadLayer::new(limit)?.with_name(self.name.clone())?;
        let bulkhead = change(self.measures.give(named))?;
        Ok(Self { bulkhead: Some(bulkhead), ..self })
    }

    /// When the breaker of a host opens and closes. [Handles](Self::breakers) of before belong to another layer.
    pub fn with_breaker(self, policy: BreakerPolicy) -> Self {
        Self { breaker: self.breaker.with_policy(policy), ..self }
    }

    /// Changes what is sent along, and to whom.
    ///
    /// # Errors
    ///
    /// Those of the change.
    pub fn with_propagation(
        self,
        change: impl FnOnce(PropagateLayer) -> Result<PropagateLayer, bartizan_correlation_id::ConfigError>,
    ) -> Result<Self, RecommendedError> {
        Ok(Self { propagate: change(self.propagate)?, ..self })
    }

    /// Opens a `tracing` span around each attempt of an HTTP request and each gRPC call, and sends its id. Default: none. The
    /// layer is made with the feature `tracing`.
    pub fn with_spans(self, spans: ClientSpanLayer) -> Self {
        Self { spans: Some(spans), ..self }
    }

    /// Where all layers of the stack read the time, whichever are set up later. Default: the system's clock, and for waits
    /// between attempts tokio's, which a test may pause; waiting and timing out is by that in any case. Handles of before
    /// belong to other layers.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.measure(|measures| measures.clock = Some(clock))
    }

    /// Where all layers of the stack count, whichever are set up later. Default: the recorder in force. Handles of before
    /// belong to other layers.
    ///
    /// ```
    /// use bartizan::{Recommended, Stack};
    ///
    /// let prometheus = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    /// let text = prometheus.handle();
    /// let stack = Stack::client().recommended_with(Recommended::new("supplier")?.with_recorder(prometheus));
    /// // `text.render()` for whoever asks
    /// # let _ = (stack, text);
    /// # Ok::<(), bartizan::RecommendedError>(())
    /// ```
    pub fn with_recorder(self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.measure(|measures| measures.recorder = Some(Arc::new(recorder)))
    }

    fn measure(mut self, set: impl FnOnce(&mut Measures)) -> Self {
        set(&mut self.measures);
        let measures = &self.measures;
        Self {
            metrics: measures.give(self.metrics),
            total: measures.give(self.total),
            retry: measures.give(self.retry),
            bulkhead: self.bulkhead.map(|bulkhead| measures.give(bulkhead)),
            breaker: measures.give(self.breaker),
            propagate: measures.give(self.propagate),
            attempt: measures.give(self.attempt),
            ..self
        }
    }

    /// The breakers of the stack, to be shown and forced.
    pub fn breakers(&self) -> CircuitBreakerHandle {
        self.breaker.handle()
    }

    /// The bulkhead of the stack, to be shown; `None` without one.
    pub fn bulkhead(&self) -> Option<BulkheadHandle> {
        self.bulkhead.as_ref().map(BulkheadLayer::handle)
    }
}

type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

/// What all layers of a stack measure by. `None` is what each has by itself.
#[derive(Clone, Default)]
struct Measures {
    clock: Option<Clock>,
    recorder: Option<SharedRecorder>,
}

impl Measures {
    fn give<L: Measuring>(&self, mut layer: L) -> L {
        if let Some(clock) = &self.clock {
            layer = layer.timed_by(clock.clone());
        }
        if let Some(recorder) = &self.recorder {
            layer = layer.counting_in(Arc::clone(recorder));
        }
        layer
    }
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock, recorder } = self;
        f.debug_struct("Measures")
            .field("clock", clock)
            .field("recorder", &recorder.as_ref().map(|_| "its own"))
            .finish()
    }
}

/// A layer that takes a clock, and a recorder if it counts.
trait Measuring: Sized {
    fn timed_by(self, clock: Clock) -> Self;

    fn counting_in(self, _: SharedRecorder) -> Self {
        self
    }
}

macro_rules! measuring {
    ($([$($place:ident)?] $layer:ty: $with_clock:ident $($with_recorder:ident)?;)*) => {
        $(impl$(<$place>)? Measuring for $layer {
            fn timed_by(self, clock: Clock) -> Self {
                self.$with_clock(clock)
            }

            $(fn counting_in(self, recorder: SharedRecorder) -> Self {
                self.$with_recorder(recorder)
            })?
        })*
    };
}

measuring! {
    [] BulkheadLayer: with_clock with_recorder;
    [] CircuitBreakerLayer: with_clock with_recorder;
    [] ClientMetricsLayer: with_clock with_recorder;
    [P] OutboundTimeoutLayer<P>: with_clock with_recorder;
    [] RetryLayer: with_clock with_recorder;
    [] PropagateLayer: with_clock;
}

/// A setting of one of the layers that can never work. Names the layer and the field.
#[derive(Debug)]
pub struct RecommendedError {
    layer: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for RecommendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of the recommended stack cannot be set up: {}", self.layer, self.source)
    }
}

impl Error for RecommendedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

macro_rules! error_of {
    ($($error:ty => $layer:literal;)*) => {
        $(impl From<$error> for RecommendedError {
            fn from(source: $error) -> Self {
                Self { layer: $layer, source: Box::new(source) }
            }
        })*
    };
}

error_of! {
    bartizan_bulkhead::ConfigError => "bulkhead";
    bartizan_circuit_breaker::ConfigError => "circuit breaker";
    bartizan_correlation_id::ConfigError => "propagation";
    bartizan_deadline::ConfigError => "deadlines";
    bartizan_metrics::ConfigError => "metrics";
    bartizan_retry::ConfigError => "retries";
}
