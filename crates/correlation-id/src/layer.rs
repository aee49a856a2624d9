//! The layer and its settings.

use std::{fmt, sync::Arc};

use bartizan_core::{Clock, ServerLayer, fact, phase};
use tower_layer::Layer;

use crate::{ConfigError, CorrelationIdService, MakeId, Trust, UuidV7, names::Names, telemetry::Telemetry};

/// Gives every request a request id and a correlation id, and puts them on every response.
///
/// See the [crate documentation](crate). Clones share their generator.
#[derive(Clone)]
#[must_use]
pub struct CorrelationIdLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) names: Names,
    pub(crate) trust: Trust,
    pub(crate) generator: Arc<dyn MakeId>,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

impl CorrelationIdLayer {
    /// The layer with its defaults: the headers `x-request-id` and `x-correlation-id`, [`Trust::Internal`], and
    /// version 7 UUIDs.
    pub fn new() -> Self {
        Self {
            settings: Arc::new(Settings {
                names: Names::default(),
                trust: Trust::default(),
                generator: Arc::new(UuidV7),
                clock: Clock::system(),
                telemetry: Telemetry::default(),
            }),
        }
    }

    fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Whether ids that come in are believed. Default: [`Trust::Internal`].
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.edit().trust = trust;
        self
    }

    /// Makes ids this way. Default: [`UuidV7`].
    pub fn with_generator(mut self, generator: impl MakeId) -> Self {
        self.edit().generator = Arc::new(generator);
        self
    }

    /// Reads and writes the ids in these headers. Default: [`REQUEST_ID`](crate::REQUEST_ID) and
    /// [`CORRELATION_ID`](crate::CORRELATION_ID).
    ///
    /// Without a second name only request ids travel: the correlation id of each request is its request id, and
    /// a header of the caller's that may hold another is not looked at.
    ///
    /// ```
    /// use bartizan_correlation_id::{CorrelationIdLayer, REQUEST_ID};
    ///
    /// let ours = CorrelationIdLayer::new().with_headers("x-acme-request", Some("x-acme-workflow"))?;
    /// let one_id = CorrelationIdLayer::new().with_headers(REQUEST_ID, None)?;
    /// assert!(CorrelationIdLayer::new().with_headers("content-length", None).is_err());
    /// # Ok::<_, bartizan_correlation_id::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When a text is no header name or the name of a header that means something else, or both are the same.
    pub fn with_headers(
        mut self,
        request_id: impl AsRef<str>,
        correlation_id: Option<&str>,
    ) -> Result<Self, ConfigError> {
        self.edit().names = Names::new(request_id.as_ref(), correlation_id)?;
        Ok(self)
    }

    /// Reads the time for ids from this clock. Default: the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.edit().clock = clock;
        self
    }
}

impl Default for CorrelationIdLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CorrelationIdLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorrelationIdLayer")
            .field("request_id_header", self.settings.names.request())
            .field("correlation_id_header", &self.settings.names.correlation())
            .field("trust", &self.settings.trust)
            .finish_non_exhaustive()
    }
}

impl ServerLayer for CorrelationIdLayer {
    type Phase = phase::Correlation;
    type Needs = ();
    type Provides = fact::CorrelationId;

    fn name(&self) -> &'static str {
        "correlation_id"
    }
}

impl<S> Layer<S> for CorrelationIdLayer {
    type Service = CorrelationIdService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CorrelationIdService::new(inner, Arc::clone(&self.settings))
    }
}
