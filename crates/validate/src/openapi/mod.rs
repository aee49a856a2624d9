//! Requests that a description in OpenAPI describes.

mod api;
mod body;
mod compile;
mod cut;
mod dialect;
mod document;
mod error;
mod form;
mod grammar;
mod layer;
mod names;
mod operation;
mod options;
mod parameter;
mod read_only;
mod report;
mod routes;
mod security;
mod servers;
mod style;
mod yaml;

pub use self::{
    api::OpenApi,
    error::OpenApiError,
    layer::{ByOpenApi, OpenApiLayer},
    options::{OpenApiOptions, Unlisted},
    read_only::ReadOnly,
    report::OpenApiReport,
    security::SchemeRule,
};
