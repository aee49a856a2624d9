//! API keys and tokens, side by side.

mod future;
mod layer;
mod service;

pub use self::{future::AuthFuture, layer::AuthLayer, service::AuthService};
