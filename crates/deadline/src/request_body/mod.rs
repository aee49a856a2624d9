//! Requests whose bodies come too slowly.

mod body;
mod future;
mod layer;
mod pace;
mod service;
mod watch;

pub use self::{
    body::{TimedRequestBody, TooSlow},
    future::RequestBodyTimeoutFuture,
    layer::RequestBodyTimeoutLayer,
    service::RequestBodyTimeout,
};
