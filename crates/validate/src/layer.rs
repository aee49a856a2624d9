//! The layer, and what all its kinds can be told.

use std::{fmt, sync::Arc};

use bartizan_core::{ServerLayer, phase};
use tower_layer::Layer;

use crate::{
    ConfigError, JsonLimits, OtherMedia, Validate,
    check::{Check, Shared, Syntax},
    refusal,
    settings::Settings,
};

/// Reads the JSON bodies of requests, under limits, and hands the very bytes on.
///
/// A body of another declared type goes on unread, so that one layer can stand around routes of many kinds.
///
/// See the [crate's documentation](crate) for an example and for the behaviour.
pub type JsonLayer = ValidateLayer<Syntax>;

/// What [`JsonLayer`] and its kin are: a check `C`, and settings. Clones share both.
#[must_use]
pub struct ValidateLayer<C> {
    shared: Arc<Shared<C>>,
}

impl JsonLayer {
    /// Default limits, `application/json`, and other types pass.
    pub fn new() -> Self {
        Self::of(Syntax)
    }
}

impl Default for JsonLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Check> ValidateLayer<C> {
    pub(crate) fn of(check: C) -> Self {
        let settings = Settings::new(C::OTHER_MEDIA);
        Self { shared: Arc::new(Shared { settings, check: Arc::new(check) }) }
    }
}

impl<C> ValidateLayer<C> {
    /// How large a document may be. Default: [`JsonLimits::new`].
    pub fn with_limits(self, limits: JsonLimits) -> Self {
        self.with(|settings| settings.limits = limits)
    }

    /// Reads bodies of this media type too, which is JSON: `application/merge-patch+json`. `application/json` is
    /// always read.
    ///
    /// # Errors
    ///
    /// When it is no `type/subtype` that ends in `+json`.
    pub fn with_media_type(self, name: &str) -> Result<Self, ConfigError> {
        let mut media = self.shared.settings.media.clone();
        media.add(name)?;
        Ok(self.with(|settings| settings.media = media))
    }

    /// What to do with a body of another declared type. Default: [`OtherMedia::Pass`] for [`JsonLayer`],
    /// [`OtherMedia::Refuse`] for the layers that demand a schema or a type.
    pub fn with_other_media(self, other: OtherMedia) -> Self {
        self.with(|settings| settings.other = other)
    }

    /// POST, PUT and PATCH may come without a body, and then nothing is checked. Default: such a request is
    /// refused; other methods never need one. A handler of axum's then takes `Option<Valid<T>>`: `Valid<T>` alone
    /// demands a body all the same.
    pub fn with_optional_body(self) -> Self {
        self.with(|settings| settings.body_required = false)
    }

    /// Refuses nothing: what would be refused is counted and told, and goes on as it came, so that a check can be
    /// tried on real traffic first. Memory stays within the limits all the same.
    pub fn with_report_only(self) -> Self {
        self.with(|settings| settings.report_only = true)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.telemetry = crate::telemetry::Telemetry::pinned(recorder))
    }

    /// The same settings for another check.
    #[cfg(feature = "schema")]
    pub(crate) fn with_check(self, make: impl FnOnce(&C) -> Arc<C>) -> Self {
        let check = make(&self.shared.check);
        Self { shared: Arc::new(Shared { settings: self.shared.settings.clone(), check }) }
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        set(&mut settings);
        Self { shared: Arc::new(Shared { settings, check: Arc::clone(&self.shared.check) }) }
    }
}

impl<C> Clone for ValidateLayer<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for ValidateLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateLayer").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl<C> ServerLayer for ValidateLayer<C> {
    type Phase = phase::Validation;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        refusal::LAYER
    }
}

impl<S, C> Layer<S> for ValidateLayer<C> {
    type Service = Validate<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Validate::new(inner, Arc::clone(&self.shared))
    }
}
