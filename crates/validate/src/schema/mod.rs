//! Bodies that a JSON Schema describes.

mod compiled;
mod instance;
mod layer;
mod options;
mod violation;

pub use self::{
    compiled::JsonSchema,
    layer::{BySchema, JsonSchemaLayer},
    options::{Formats, Patterns, SchemaError, SchemaOptions},
};
