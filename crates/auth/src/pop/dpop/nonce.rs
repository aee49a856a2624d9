//! Nonces that nobody has to store: what a secret makes of the time.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::super::Offer;
use crate::{ConfigError, Failure, error::Part};

/// Time is cut into lifetimes. A nonce is good in the one that it was made in, and in the next.
pub(super) struct Nonces {
    keyed: Hmac<Sha256>,
    /// In seconds.
    lifetime: u64,
}

impl Nonces {
    pub(super) fn new(secret: &[u8], lifetime: Duration) -> Result<Self, ConfigError> {
        if secret.len() < 32 {
            return Err(ConfigError::new(Part::Dpop, "nonces.secret", "must have 32 bytes or more"));
        }
        if !(10..=3600).contains(&lifetime.as_secs()) {
            return Err(ConfigError::new(Part::Dpop, "nonces.lifetime", "must be 10 s to 3600 s"));
        }
        let keyed = Hmac::new_from_slice(secret)
            .map_err(|_| ConfigError::new(Part::Dpop, "nonces.secret", "is not usable as a key"))?;
        Ok(Self { keyed, lifetime: lifetime.as_secs() })
    }

    /// How long a nonce can be good.
    pub(super) fn longest_life(&self) -> Duration {
        Duration::from_secs(2 * self.lifetime)
    }

    pub(super) fn current(&self, now: Duration) -> HeaderValue {
        HeaderValue::from_str(&self.of(now.as_secs() / self.lifetime))
            .expect("base64url is legal in a header")
    }

    /// Whether it is a nonce of ours, and good; a newer one if that one soon will not be.
    pub(super) fn check(&self, presented: Option<&str>, now: Duration) -> Result<Offer, Failure> {
        let presented = presented.ok_or(Failure::NonceWanted)?.as_bytes();
        let period = now.as_secs() / self.lifetime;
        let is_of = |period| bool::from(self.of(period).as_bytes().ct_eq(presented));
        if is_of(period) {
            Ok(None)
        } else if period.checked_sub(1).is_some_and(is_of) {
            Ok(Some(Box::new(self.current(now))))
        } else {
            Err(Failure::NonceWanted)
        }
    }

    /// 128 bits: more than anybody guesses.
    fn of(&self, period: u64) -> String {
        let mut tag = self.keyed.clone();
        tag.update(b"bartizan dpop nonce");
        tag.update(&period.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&tag.finalize().into_bytes()[..16])
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pop_02_a_nonce_is_good_for_one_to_two_lifetimes_and_replaced_before_it_is_not() {
        let nonces = Nonces::new(&[7; 32], Duration::from_secs(100)).unwrap();
        let at = Duration::from_secs;
        let (first, second) = (nonces.current(at(1050)), nonces.current(at(1100)));
        assert_ne!(first, second);
        let check = |time| nonces.check(Some(first.to_str().unwrap()), at(time));
        assert_eq!(check(999), Err(Failure::NonceWanted), "of the future");
        assert_eq!(check(1000), Ok(None));
        assert_eq!(check(1099), Ok(None));
        assert_eq!(check(1100), Ok(Some(Box::new(second))));
        assert_eq!(check(1199), Ok(Some(Box::new(nonces.current(at(1199))))));
        assert_eq!(check(1200), Err(Failure::NonceWanted));
        let other = Nonces::new(&[8; 32], Duration::from_secs(100)).unwrap();
        assert_eq!(
            other.check(first.to_str().ok(), at(1050)),
            Err(Failure::NonceWanted),
            "of another secret"
        );
        for presented in [None, Some(""), Some("AAAAAAAAAAAAAAAAAAAAAA"), Some("ä")] {
            assert_eq!(nonces.check(presented, at(1050)), Err(Failure::NonceWanted));
            let _ = nonces.check(presented, Duration::MAX);
        }
    }

    #[test]
    fn nonces_that_cannot_work_are_refused_by_name() {
        let field = |secret: &[u8], seconds| {
            Nonces::new(secret, Duration::from_secs(seconds)).unwrap_err().field().to_owned()
        };
        assert_eq!(field(&[7; 31], 60), "nonces.secret");
        assert_eq!(field(&[7; 32], 9), "nonces.lifetime");
        assert_eq!(field(&[7; 32], 3601), "nonces.lifetime");
    }
}
