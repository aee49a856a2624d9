//! The ends of a client's stack, for clients that do not take any `http::Request`.

#[cfg(feature = "tonic")]
mod grpc;
#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "tonic")]
pub use self::grpc::{GrpcChannel, GrpcStack};
#[cfg(feature = "reqwest")]
pub use self::reqwest::{HttpReqwest, HttpReqwestFuture};

#[cfg(any(feature = "tonic", feature = "reqwest"))]
type BoxError = Box<dyn std::error::Error + Send + Sync>;
