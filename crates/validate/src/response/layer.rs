//! The layers.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{Client, ClientLayer, Server, ServerLayer, phase};
use http::StatusCode;
use tower_layer::Layer;

use super::{
    ResponseMode, Side, ValidateResponse,
    settings::{Schemas, Settings},
};
use crate::{
    ConfigError, JsonLimits, JsonSchema, OtherMedia, media::MediaTypes, refusal, telemetry::Telemetry,
};

/// Checks the service's own JSON responses; one that breaks its schema becomes a 500 that says nothing.
///
/// See the [crate's documentation](crate#responses) for an example and for the behaviour.
pub type ResponseSchemaLayer = ValidateResponseLayer<Server>;

/// Checks an upstream's JSON responses, in a client's stack; one that breaks its schema becomes a 502, and what is
/// wrong with it is for the log alone.
///
/// See the [crate's documentation](crate#responses) for the behaviour.
pub type ClientResponseSchemaLayer = ValidateResponseLayer<Client>;

/// What [`ResponseSchemaLayer`] and [`ClientResponseSchemaLayer`] are. Clones share all of it.
#[must_use]
pub struct ValidateResponseLayer<S> {
    settings: Arc<Settings>,
    side: PhantomData<fn() -> S>,
}

impl<S: Side> ValidateResponseLayer<S> {
    /// Responses of every 2xx status keep `schema`. All of them are checked, and a broken one is refused.
    pub fn new(schema: JsonSchema) -> Self {
        let settings = Settings {
            limits: JsonLimits::new(),
            media: MediaTypes::json(),
            other: S::OTHER_MEDIA,
            mode: ResponseMode::Enforce,
            sample: 1.0,
            schemas: Schemas { success: schema, by_status: Vec::new() },
            reason: S::REASON,
            telemetry: Telemetry::default(),
        };
        Self { settings: Arc::new(settings), side: PhantomData }
    }
}

impl<S> ValidateResponseLayer<S> {
    /// Responses of this status keep `schema`. Default: [`new`](Self::new)'s for 2xx, and none for others.
    pub fn with_status(self, status: StatusCode, schema: JsonSchema) -> Self {
        self.with(|settings| {
            settings.schemas.by_status.retain(|(known, _)| *known != status);
            settings.schemas.by_status.push((status, schema));
        })
    }

    /// What is done about a response that breaks its schema. Default: [`ResponseMode::Enforce`].
    pub fn with_mode(self, mode: ResponseMode) -> Self {
        self.with(|settings| settings.mode = mode)
    }

    /// Checks this part of the responses, chosen at random: 0.01 is one in a hundred. Default: 1, all of them.
    ///
    /// # Errors
    ///
    /// When it is not more than 0 and at most 1. To check none is [`ResponseMode::Off`].
    pub fn with_sample(self, part: f64) -> Result<Self, ConfigError> {
        if part > 0.0 && part <= 1.0 {
            Ok(self.with(|settings| settings.sample = part))
        } else {
            Err(ConfigError::Sample)
        }
    }

    /// How large a document may be. Default: [`JsonLimits::new`].
    pub fn with_limits(self, limits: JsonLimits) -> Self {
        self.with(|settings| settings.limits = limits)
    }

    /// Reads responses of this media type too, which is JSON: `application/hal+json`. `application/json` is always
    /// read.
    ///
    /// # Errors
    ///
    /// When it is no `type/subtype` that ends in `+json`.
    pub fn with_media_type(self, name: &str) -> Result<Self, ConfigError> {
        let mut media = self.settings.media.clone();
        media.add(name)?;
        Ok(self.with(|settings| settings.media = media))
    }

    /// What to do with a response of another type, or of none, where a schema says what it should be. Default:
    /// [`OtherMedia::Pass`] on a server, [`OtherMedia::Refuse`] on a client, where it breaks the contract.
    pub fn with_other_media(self, other: OtherMedia) -> Self {
        self.with(|settings| settings.other = other)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.telemetry = Telemetry::pinned(recorder))
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        set(&mut settings);
        Self { settings: Arc::new(settings), side: PhantomData }
    }
}

impl<S> Clone for ValidateResponseLayer<S> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings), side: PhantomData }
    }
}

impl<S> fmt::Debug for ValidateResponseLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateResponseLayer").field("settings", &self.settings).finish()
    }
}

impl ServerLayer for ResponseSchemaLayer {
    type Phase = phase::Validation;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        refusal::LAYER
    }
}

/// Each attempt's answer is checked, so that a breaker and a retry further out see a broken one as a failure.
impl ClientLayer for ClientResponseSchemaLayer {
    type Phase = phase::client::Attempt;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        refusal::LAYER
    }
}

impl<S, Inner> Layer<Inner> for ValidateResponseLayer<S> {
    type Service = ValidateResponse<Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        ValidateResponse::new(inner, Arc::clone(&self.settings))
    }
}
