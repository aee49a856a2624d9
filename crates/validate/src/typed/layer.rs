//! The typed check: one parse, one validation.

use std::{fmt, marker::PhantomData};

use bartizan_core::{Location, Rejection};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{Rules, rules, shape, slot};
use crate::{ValidateLayer, check::Check};

/// Refuses bodies that are not a valid `T`, and leaves the value for the handler.
///
/// `T` says by serde what the body looks like, and by the `validator` crate, or by `garde` in a `Garde`, what its
/// values may be. It is parsed once: with the feature `axum`, the extractor `Valid<T>` takes the value that the layer
/// made.
///
/// See the [crate's documentation](crate#typed-bodies) for an example and for the behaviour.
pub type ValidateJsonLayer<T> = ValidateLayer<Typed<T>>;

/// The body is a valid `T`.
pub struct Typed<T>(PhantomData<fn() -> T>);

impl<T: DeserializeOwned + Rules + Send + 'static> ValidateJsonLayer<T> {
    /// Default limits, `application/json`, and other types are refused.
    pub fn new() -> Self {
        Self::of(Typed::new())
    }
}

impl<T: DeserializeOwned + Rules + Send + 'static> Default for ValidateJsonLayer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Typed<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: DeserializeOwned + Rules + Send + 'static> Check for Typed<T> {
    fn body(&self, text: &str, head: &mut Parts) -> Result<(), Rejection> {
        let value: T = serde_json::from_str(text).map_err(|_| shape::explain::<T>(text))?;
        let verdict = rules::judge(&value, Location::Body);
        slot::put(&mut head.extensions, value);
        verdict
    }

    /// What comes next is the handler, which takes the value.
    const TELLS: bool = false;
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
}
