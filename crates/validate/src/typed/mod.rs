//! Requests that become a value of a type, once.

mod broken;
#[cfg(feature = "garde")]
mod by_garde;
#[cfg(feature = "validator")]
mod by_validator;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "axum")]
mod form;
mod layer;
#[cfg(feature = "axum")]
mod path;
mod rules;
mod shape;
mod slot;
#[cfg(feature = "axum")]
mod valid;

use self::broken::Broken;

#[cfg(feature = "garde")]
pub use self::by_garde::Garde;
#[cfg(feature = "axum")]
pub use self::{
    extract::ReportOnly,
    form::{ValidForm, ValidQuery},
    path::ValidPath,
    valid::Valid,
};
pub use self::{
    layer::{Typed, ValidateJsonLayer},
    rules::Rules,
    slot::take_valid,
};
