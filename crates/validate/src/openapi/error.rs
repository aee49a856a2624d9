//! What can be wrong with a description of an API.

use std::{borrow::Cow, error::Error, fmt};

use super::document::Place;

/// A document that cannot be used, and the place in it.
#[derive(Debug)]
pub struct OpenApiError {
    place: String,
    what: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl OpenApiError {
    pub(super) fn new(place: impl fmt::Display, what: impl Into<Cow<'static, str>>) -> Self {
        Self { place: place.to_string(), what: what.into(), source: None }
    }

    pub(super) fn at(place: &Place, what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(place, what)
    }

    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Where: a JSON Pointer after `#` (`#/paths/~1orders/post/requestBody`), in another document than the first
    /// after its name, or the name of an option.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for OpenApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Error for OpenApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
