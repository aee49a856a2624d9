//! The document that describes the API, and by which requests are judged.

use axum::{http::header, response::IntoResponse};
use bartizan::validate::{Formats, OpenApi, OpenApiError};

/// What callers read, and what their requests are judged by.
pub const OPENAPI: &str = include_str!("../openapi.yaml");

/// The document, ready for use. Formats are checked: `email` must be an address.
pub(crate) fn api() -> Result<OpenApi, OpenApiError> {
    OpenApi::options().with_formats(Formats::Assert).build(OPENAPI)
}

/// `GET /openapi.yaml`, in its registered media type (RFC 9512).
pub(crate) async fn read() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI)
}
