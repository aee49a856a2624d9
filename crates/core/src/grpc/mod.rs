//! The gRPC face of a refusal, after `PROTOCOL-HTTP2.md` and the richer error model of `google.rpc`.

mod code;
mod details;
mod message;
mod render;
mod reset;
#[cfg(feature = "tonic")]
mod status;

pub use self::code::GrpcCode;
pub(crate) use self::render::{DEFAULT_DOMAIN, RENDERED_HEADERS, render};
