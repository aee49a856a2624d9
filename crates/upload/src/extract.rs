//! The extractor.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bartizan_core::Rejection;

use crate::Upload;

impl<S: Send + Sync> FromRequest<S> for Upload<Body> {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        Self::of(request)
    }
}
