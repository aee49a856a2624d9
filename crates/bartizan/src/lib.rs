#![cfg_attr(feature = "full", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "full"),
    doc = "One coherent family of tower layers; see the documentation with the feature `full`."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapters;
mod describe;
mod fallible;
pub mod prelude;
#[cfg(feature = "recommended")]
mod recommended;
mod stack;

#[doc(inline)]
pub use bartizan_core::*;

#[cfg(feature = "access-log")]
pub use bartizan_access_log as access_log;
#[cfg(feature = "auth")]
pub use bartizan_auth as auth;
#[cfg(feature = "bulkhead")]
pub use bartizan_bulkhead as bulkhead;
#[cfg(feature = "circuit-breaker")]
pub use bartizan_circuit_breaker as circuit_breaker;
#[cfg(feature = "client-addr")]
pub use bartizan_client_addr as client_addr;
#[cfg(feature = "correlation-id")]
pub use bartizan_correlation_id as correlation_id;
#[cfg(feature = "deadline")]
pub use bartizan_deadline as deadline;
#[cfg(feature = "metrics")]
pub use bartizan_metrics as metrics;
#[cfg(feature = "rate-limit")]
pub use bartizan_rate_limit as rate_limit;
#[cfg(feature = "retry")]
pub use bartizan_retry as retry;
#[cfg(feature = "upload")]
pub use bartizan_upload as upload;
#[cfg(feature = "validate")]
pub use bartizan_validate as validate;

#[cfg(feature = "tonic")]
pub use self::adapters::{GrpcChannel, GrpcStack};
#[cfg(feature = "reqwest")]
pub use self::adapters::{HttpReqwest, HttpReqwestFuture};
#[cfg(feature = "recommended")]
pub use self::recommended::{Recommended, RecommendedError, RecommendedLayers, RecommendedStack};
pub use self::{
    describe::{Description, Entry},
    fallible::{Fallible, FallibleFuture, FallibleLayer, Side},
    stack::Stack,
};
