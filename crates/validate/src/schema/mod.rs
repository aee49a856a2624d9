//! Bodies that a JSON Schema describes.

mod compiled;
mod document;
mod head;
mod instance;
mod layer;
mod limited;
mod options;
mod parameters;
#[cfg(test)]
mod samples;
mod unique;
mod violation;

pub(crate) use self::violation::Broken;
pub use self::{
    compiled::JsonSchema,
    document::validate_json,
    layer::{BySchema, JsonSchemaLayer},
    options::{Formats, Patterns, SchemaError, SchemaOptions},
};
#[cfg(feature = "openapi")]
pub(crate) use self::{
    options::configured,
    violation::{READ_ONLY, segments},
};
