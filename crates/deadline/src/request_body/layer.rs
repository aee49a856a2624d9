//! The layer: settings.

use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{Clock, RecorderChoice, ServerLayer, phase};
use tower_layer::Layer;

use super::{
    pace::{MinRate, Pace},
    service::RequestBodyTimeout,
};
use crate::{ConfigError, config::checked, telemetry::Telemetry};

pub(super) const LAYER: &str = "request_body_timeout";

/// Refuses requests whose bodies come too slowly, with 408.
///
/// A client that sends a byte now and then holds a handler and its memory for as long as it likes. Each frame of a
/// request body must come within 30 s from when the handler asks for it, and all of them at 240 bytes per second
/// after 30 s of grace, unless set otherwise. Time counts only while the client is waited for: a handler that reads
/// slowly costs it nothing.
///
/// The response is 408 with `Connection: close` on HTTP/1.1; the handler is cancelled. Where its response has begun
/// already, what reads the request body gets [`TooSlow`](crate::TooSlow) and ends the response as it may.
///
/// Calls of gRPC over HTTP/2, to a path of their form that no route of axum's takes for itself, are let be: their streams may
/// rest between messages, and HTTP/2 itself finds out whether the client is still there. Put the layer within
/// `Router::layer`, so that it sees the routes: the type of gRPC alone, which any caller can write, is no excuse.
/// [`with_grpc`](Self::with_grpc) holds calls to the pace too, with `DEADLINE_EXCEEDED`.
///
/// The layer changes the type of the request's body, as routers of axum and tonic do not mind; so it is a layer of
/// its own. A request with a body costs an allocation.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::{convert::Infallible, time::Duration};
///
/// use bartizan_deadline::{RequestBodyTimeoutLayer, TimedRequestBody};
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full, StreamBody};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # type Body = http_body_util::combinators::BoxBody<bytes::Bytes, Infallible>;
/// let layer = RequestBodyTimeoutLayer::new().with_idle(Duration::from_secs(10))?;
/// let upload = layer.layer(service_fn(async |request: Request<TimedRequestBody<Body>>| {
///     let size = match request.into_body().collect().await {
///         Ok(body) => body.to_bytes().len(),
///         Err(_) => 0,
///     };
///     Ok::<_, Infallible>(Response::new(size.to_string()))
/// }));
///
/// let fast = Request::post("/upload").body(Body::new(Full::from("all at once")))?;
/// assert_eq!(upload.clone().oneshot(fast).await?.status(), 200);
///
/// let never = StreamBody::new(tokio_stream::pending());
/// let slow = Request::post("/upload").body(Body::new(never))?;
/// assert_eq!(upload.oneshot(slow).await?.status(), 408);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequestBodyTimeoutLayer {
    settings: Settings,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Settings {
    pace: Pace,
    grpc: bool,
    clock: Clock,
    recorder: RecorderChoice,
}

/// What all services of a layer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pace: Pace,
    pub(super) grpc: bool,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

impl RequestBodyTimeoutLayer {
    const IDLE: Duration = Duration::from_secs(30);
    /// The rate is Kestrel's default (`MinRequestBodyDataRate`).
    const RATE: MinRate = MinRate { bytes_per_second: 240, grace: Duration::from_secs(30) };

    /// Frames within 30 s, and 240 bytes per second after 30 s.
    pub fn new() -> Self {
        Self::assemble(Settings {
            pace: Pace { idle: Self::IDLE, rate: Some(Self::RATE) },
            grpc: false,
            clock: Clock::default(),
            recorder: RecorderChoice::default(),
        })
    }

    /// How long each frame may be waited for. Default: 30 s.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn with_idle(self, idle: Duration) -> Result<Self, ConfigError> {
        let idle = checked("idle", idle)?;
        Ok(self.with(|settings| settings.pace.idle = idle))
    }

    /// How fast the body must come as a whole: after `grace`, at this rate, over all the time in which the client
    /// was waited for. Default: 240 bytes per second after 30 s.
    ///
    /// # Errors
    ///
    /// When the rate or the grace is zero, or the grace is longer than a year.
    pub fn with_min_rate(self, bytes_per_second: u32, grace: Duration) -> Result<Self, ConfigError> {
        if bytes_per_second == 0 {
            return Err(ConfigError::new("rate", "must be at least 1"));
        }
        let grace = checked("grace", grace)?;
        Ok(self.with(|settings| settings.pace.rate = Some(MinRate { bytes_per_second, grace })))
    }

    /// The body may come as slowly as it likes, as long as its frames come in their time.
    pub fn without_min_rate(self) -> Self {
        self.with(|settings| settings.pace.rate = None)
    }

    /// Holds gRPC calls to the pace too. Default: no.
    pub fn with_grpc(self) -> Self {
        self.with(|settings| settings.grpc = true)
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
        let mut settings = self.settings;
        set(&mut settings);
        Self::assemble(settings)
    }

    fn assemble(settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            pace: settings.pace,
            grpc: settings.grpc,
            clock: settings.clock.clone(),
            telemetry: Telemetry::new(LAYER, &settings.recorder),
        });
        Self { settings, shared }
    }
}

impl Default for RequestBodyTimeoutLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestBodyTimeoutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBodyTimeoutLayer")
            .field("pace", &self.shared.pace)
            .field("grpc", &self.shared.grpc)
            .finish_non_exhaustive()
    }
}

impl ServerLayer for RequestBodyTimeoutLayer {
    type Phase = phase::Deadline;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S> Layer<S> for RequestBodyTimeoutLayer {
    type Service = RequestBodyTimeout<S>;

    fn layer(&self, inner: S) -> RequestBodyTimeout<S> {
        RequestBodyTimeout::new(inner, Arc::clone(&self.shared))
    }
}
