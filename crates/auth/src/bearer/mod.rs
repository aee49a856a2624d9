//! Outgoing requests that carry a token, and the token they carry.

mod credentials;
mod future;
mod grant;
mod layer;
mod origin;
mod plan;
mod resend;
mod service;
mod telemetry;
mod tokens;

pub use self::{
    credentials::ClientCredentials,
    future::BearerFuture,
    layer::BearerLayer,
    resend::{NoResend, ResendBody, ResendCloned, ResendEmpty},
    service::BearerService,
    tokens::ClientTokens,
};
