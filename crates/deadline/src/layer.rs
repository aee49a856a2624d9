//! The layer: settings.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use bartizan_core::{Clock, RecorderChoice, ServerLayer, fact, phase};
use http::HeaderName;
use tower_layer::Layer;

use crate::{
    ConfigError, Timeout, Timeouts,
    call::Keeper,
    caller::{REQUEST_DEADLINE, checked_header},
    telemetry::Telemetry,
};

const LAYER: &str = "timeout";

/// Gives every request a deadline, and cancels what takes longer.
///
/// The deadline is the earliest of the layer's own, of what the caller says, and of one that a layer further out
/// set. See the [crate's documentation](crate) for the behaviour.
#[derive(Clone)]
#[must_use]
pub struct TimeoutLayer {
    shared: Arc<Shared>,
}

/// What all services of a layer share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) keeper: Arc<Keeper>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) routes: HashMap<Box<str>, Timeouts>,
    pub(crate) header: Option<HeaderName>,
    clock: Clock,
    recorder: RecorderChoice,
}

impl TimeoutLayer {
    /// At most so long from the arrival of a request to the end of the body of its response.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn new(total: Duration) -> Result<Self, ConfigError> {
        Timeouts::new(total).map(Self::with_timeouts)
    }

    /// The same with limits for the parts of a request.
    pub fn with_timeouts(timeouts: Timeouts) -> Self {
        Self::assemble(Settings {
            timeouts,
            routes: HashMap::new(),
            header: Some(REQUEST_DEADLINE),
            clock: Clock::default(),
            recorder: RecorderChoice::default(),
        })
    }

    /// Gives the requests of one [route](bartizan_core::MatchedRoute) other limits, longer ones too: a router's
    /// template (`/orders/{id}`) or a gRPC method (`inventory.v1.Inventory/Watch`). For more routes call it again.
    ///
    /// Works where the layer sees the route: axum's under `Router::layer`, with core's feature `axum`.
    ///
    /// # Errors
    ///
    /// When the route is empty, or has limits already.
    pub fn with_route(self, route: impl Into<Box<str>>, timeouts: Timeouts) -> Result<Self, ConfigError> {
        let route = route.into();
        if route.is_empty() || self.shared.settings.routes.contains_key(&route) {
            return Err(ConfigError::new("route", "must be a name that has no limits yet"));
        }
        Ok(self.with(|settings| {
            settings.routes.insert(route, timeouts);
        }))
    }

    /// The field in which HTTP callers say how long they wait: one to ten digits, the milliseconds that are left
    /// when they send the request. Default: `x-request-deadline`.
    ///
    /// Time that is left rather than a time of day, so that clocks need not agree; as in `grpc-timeout`, which is
    /// where gRPC callers say it.
    ///
    /// # Errors
    ///
    /// When it is `grpc-timeout`.
    pub fn with_header(self, name: HeaderName) -> Result<Self, ConfigError> {
        let name = checked_header(name)?;
        Ok(self.with(|settings| settings.header = Some(name)))
    }

    /// HTTP callers have no say.
    pub fn without_header(self) -> Self {
        self.with(|settings| settings.header = None)
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
            layer: LAYER,
            clock: settings.clock.clone(),
            telemetry: Telemetry::new(LAYER, &settings.recorder),
        });
        Self { shared: Arc::new(Shared { settings, keeper }) }
    }
}

impl fmt::Debug for TimeoutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeoutLayer").field(&self.shared).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("timeouts", &self.settings.timeouts)
            .field("routes", &self.settings.routes)
            .field("header", &self.settings.header)
            .finish_non_exhaustive()
    }
}

impl ServerLayer for TimeoutLayer {
    type Phase = phase::Deadline;
    type Needs = ();
    type Provides = fact::Deadline;

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout::new(inner, Arc::clone(&self.shared))
    }
}
