//! Tokens: the keys that signed them, where keys are found, and what a good token says.

mod algorithm;
pub(crate) mod bearer;
mod cache;
mod challenge;
pub(crate) mod crypto;
mod future;
mod key;
mod layer;
mod policy;
mod refused;
mod service;
mod shape;
mod source;
mod token;
mod verify;

#[cfg(feature = "dpop")]
pub(crate) use self::token::{Compact, MAX_SIGNATURE, Segment, decode_signature};
pub use self::{
    algorithm::{Algorithm, Algorithms},
    future::JwtFuture,
    key::{IgnoredKey, JwkSetError, KeyError, KeySet, SharedKeys, VerifyingKey},
    layer::JwtLayer,
    policy::TokenPolicy,
    service::JwtService,
    shape::{ClaimsShape, TokenClaims},
    source::{AnyKeys, AnyRefresh, KeyQuery, KeySource, Lookup},
};
pub(crate) use self::{
    bearer::Scheme,
    challenge::Complaint,
    service::Shared,
    token::{Ignored, Names, Text},
};
