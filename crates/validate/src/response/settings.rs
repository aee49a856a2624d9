//! What a layer was told, and what all its services share.

use bartizan_core::Reason;
use http::StatusCode;

use crate::{JsonLimits, JsonSchema, OtherMedia, media::MediaTypes, telemetry::Telemetry};

/// What is done about a response that breaks its schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseMode {
    /// Nothing is read, and nothing is checked.
    Off,
    /// It is counted and told, and goes on as it came. One that is too large to be checked goes on unchecked, and is
    /// counted too.
    Log,
    /// The caller gets a refusal instead, with nothing of the response in it. One that cannot be checked is refused.
    /// The default.
    #[default]
    Enforce,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limits: JsonLimits,
    pub(super) media: MediaTypes,
    pub(super) other: OtherMedia,
    pub(super) mode: ResponseMode,
    /// The part of the responses that is checked: more than 0, at most 1.
    pub(super) sample: f64,
    pub(super) schemas: Schemas,
    pub(super) reason: Reason,
    pub(super) telemetry: Telemetry,
}

/// Which schema a response of which status has to keep.
#[derive(Clone, Debug)]
pub(super) struct Schemas {
    pub(super) success: JsonSchema,
    pub(super) by_status: Vec<(StatusCode, JsonSchema)>,
}

impl Schemas {
    pub(super) fn of(&self, status: StatusCode) -> Option<&JsonSchema> {
        let own = self.by_status.iter().find(|(known, _)| *known == status).map(|(_, schema)| schema);
        own.or_else(|| status.is_success().then_some(&self.success))
    }
}
