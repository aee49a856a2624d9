//! Bodies that become a value of a type, once.

mod layer;
mod rules;
mod shape;
mod slot;
#[cfg(feature = "axum")]
mod valid;

#[cfg(feature = "axum")]
pub use self::valid::Valid;
pub use self::{
    layer::{Typed, ValidateJsonLayer},
    slot::take_valid,
};
