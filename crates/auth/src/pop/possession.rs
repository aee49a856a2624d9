//! Which proofs a layer asks for, and the order in which it does.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Request, header::Entry};

use super::{Confirmation, Dpop, MutualTls};
use crate::{Failure, jwt::Scheme, settings::Settings};

pub(crate) static DPOP: HeaderName = HeaderName::from_static("dpop");

pub(crate) static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A nonce for the next proof, which the response is to carry. Boxed: few are, and each response would move with the room.
pub(crate) type Offer = Option<Box<HeaderValue>>;

/// What callers can be asked to prove. Clones share the proofs seen before: one that was used is used up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Possession {
    pub(crate) dpop: Option<Arc<Dpop>>,
    pub(crate) mtls: Option<Arc<MutualTls>>,
    /// Whether a token that is bound to nothing is refused.
    pub(crate) is_required: bool,
}

impl Possession {
    /// Whether `Authorization: DPoP` is ours.
    pub(crate) fn takes_dpop(&self) -> bool {
        self.dpop.is_some()
    }

    /// Takes away what a caller may not say of itself.
    pub(crate) fn strip<B>(&self, request: &mut Request<B>) {
        if let Some(mtls) = &self.mtls {
            mtls.strip(request);
        }
    }

    /// Takes away the proof, which is of no use any more, or hides it from every `Debug`.
    pub(crate) fn hide_proof<B>(&self, request: &mut Request<B>, keep: bool) {
        if self.dpop.is_none() {
            return;
        }
        if !keep {
            request.headers_mut().remove(&DPOP);
        } else if let Entry::Occupied(mut proofs) = request.headers_mut().entry(&DPOP) {
            proofs.iter_mut().for_each(|proof| proof.set_sensitive(true));
        }
    }

    /// Whether the request proves all that a good token wants proven. Gives the nonce that the response is to offer.
    ///
    /// A proof is used up by the last of the checks, so that a request that is refused can be sent again.
    #[inline]
    pub(crate) fn check<B>(
        &self,
        confirmation: &Confirmation,
        scheme: Scheme,
        token: &[u8],
        request: &Request<B>,
        settings: &Settings,
    ) -> Result<Offer, Failure> {
        if *confirmation == Confirmation::default() {
            return if self.is_required || scheme == Scheme::Dpop { Err(Failure::Unbound) } else { Ok(None) };
        }
        if confirmation.is_beyond_us {
            return Err(Failure::UnsupportedBinding);
        }
        if let Some(certificate) = &confirmation.certificate {
            let mtls = self.mtls.as_ref().ok_or(Failure::UnsupportedBinding)?;
            mtls.check(request, certificate)?;
        }
        let Some(key) = &confirmation.key else {
            return if scheme == Scheme::Dpop { Err(Failure::Unbound) } else { Ok(None) };
        };
        let dpop = self.dpop.as_ref().ok_or(Failure::UnsupportedBinding)?;
        // Whoever stole it has no key (RFC 9449 section 7.2).
        if scheme != Scheme::Dpop {
            return Err(Failure::WrongScheme);
        }
        dpop.check(request, token, key, settings)
    }

    /// The nonce that proofs must hold at this time, if they must hold one.
    pub(crate) fn nonce(&self, now: Duration) -> Option<HeaderValue> {
        self.dpop.as_ref().and_then(|dpop| dpop.nonce(now))
    }
}
