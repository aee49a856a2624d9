//! How many requests of a key may be under way at once.

mod layer;
mod service;
mod slots;

pub use self::{
    layer::ConcurrencyLimitLayer,
    service::{ConcurrencyLimit, ConcurrencyLimitFuture},
    slots::Permit,
};
