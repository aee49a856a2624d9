//! Limits in Redis or Valkey, which all instances of a service share.
//!
//! A request's limits are decided by a script that Redis runs at once (`decide.lua`, on `state.lua`): the same
//! algorithms as in memory, over the server's clock. What the answers mean is decided where it is for those in
//! memory.

mod failure;
mod future;
mod key;
mod layer;
mod link;
#[cfg(test)]
mod model;
mod refusals;
mod remote;
mod script;
mod service;
mod store;
mod target;

pub(crate) use self::failure::Failure;
pub use self::{
    failure::{FailureMode, RedisUnavailable},
    future::RedisRateLimitFuture,
    layer::RedisRateLimitLayer,
    service::RedisRateLimit,
    store::RedisStore,
};
