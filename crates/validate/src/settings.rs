//! What all layers of the crate can be told, and what they share.

use http::Method;

use crate::{JsonLimits, OtherMedia, media::MediaTypes, telemetry::Telemetry};

/// What a layer was told.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) limits: JsonLimits,
    pub(crate) media: MediaTypes,
    pub(crate) other: OtherMedia,
    pub(crate) body_required: bool,
    pub(crate) report_only: bool,
    pub(crate) telemetry: Telemetry,
}

impl Settings {
    pub(crate) fn new(other: OtherMedia) -> Self {
        Self {
            limits: JsonLimits::new(),
            media: MediaTypes::json(),
            other,
            body_required: true,
            report_only: false,
            telemetry: Telemetry::default(),
        }
    }

    /// For a body of these types, and no other.
    #[cfg(feature = "axum")]
    pub(crate) fn of(media: MediaTypes) -> Self {
        Self { media, ..Self::new(OtherMedia::Refuse) }
    }

    /// Whether a request with this method must have a body.
    pub(crate) fn wants_body(&self, method: &Method) -> bool {
        self.body_required && matches!(*method, Method::POST | Method::PUT | Method::PATCH)
    }
}
