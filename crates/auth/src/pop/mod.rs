//! Tokens that are good in their owner's hands alone: bound to a key (DPoP, RFC 9449), or to the certificate of the
//! TLS connection (RFC 8705).

mod confirmation;
#[cfg(feature = "dpop")]
mod dpop;
#[cfg(feature = "mtls")]
mod mtls;
#[cfg(not(feature = "dpop"))]
mod no_dpop;
#[cfg(not(feature = "mtls"))]
mod no_mtls;
mod possession;

#[cfg(feature = "dpop")]
pub use self::dpop::Dpop;
#[cfg(feature = "mtls")]
pub use self::mtls::{ClientCertificate, MutualTls};
#[cfg(not(feature = "dpop"))]
pub(crate) use self::no_dpop::Dpop;
#[cfg(not(feature = "mtls"))]
pub(crate) use self::no_mtls::MutualTls;
pub(crate) use self::{
    confirmation::{Confirmation, Thumbprint},
    possession::{DPOP_NONCE, Offer, Possession},
};
