//! Keys: what they are made of, how they are read, and how one is found among several.

mod error;
mod jwk;
mod material;
mod pem;
mod set;
mod shared;
mod verifying;

pub(crate) use self::material::Material;
pub use self::{
    error::{JwkSetError, KeyError},
    set::{IgnoredKey, KeySet},
    shared::SharedKeys,
    verifying::VerifyingKey,
};
