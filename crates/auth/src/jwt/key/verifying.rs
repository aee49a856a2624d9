//! One key, ready to verify.

use std::fmt;

use super::{KeyError, Material, jwk, pem};
use crate::jwt::{Algorithm, Algorithms, KeyQuery, crypto::Verifier};

/// A key that verifies the signatures of one algorithm. Parsed once; shared by all threads.
///
/// Refused here, before any token is seen: RSA keys below 2048 bits or with an exponent of 1, secrets shorter than
/// the hash, curves that are not the algorithm's, points that are not on their curve.
///
/// ```
/// use bartizan_auth::{Algorithm, KeyError, VerifyingKey};
///
/// let key = VerifyingKey::from_secret(Algorithm::Hs256, b"0123456789abcdef0123456789abcdef")?.with_kid("2026")?;
/// assert_eq!((key.algorithm(), key.kid()), (Algorithm::Hs256, Some("2026")));
/// assert_eq!(VerifyingKey::from_secret(Algorithm::Hs256, b"too short").unwrap_err(), KeyError::TooShort);
/// # Ok::<_, KeyError>(())
/// ```
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    fingerprint: [u8; 32],
    verifier: Verifier,
}

impl VerifyingKey {
    /// A secret that issuer and service share, for an algorithm of the HS family.
    ///
    /// # Errors
    ///
    /// When the algorithm is of another family, or the secret shorter than its hash (RFC 7518 section 3.2).
    pub fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        Self::from_material(algorithm, &Material::Secret(secret.to_vec().into()))
    }

    /// A public key in PEM (RFC 7468): `PUBLIC KEY`, `RSA PUBLIC KEY`, or a `CERTIFICATE`, whose key alone is
    /// taken: neither its dates nor its issuer are looked at.
    ///
    /// # Errors
    ///
    /// When it is none of these, does not fit the algorithm, or is too weak for any.
    pub fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_material(algorithm, &pem::read(pem)?)
    }

    /// One JWK (RFC 7517 section 4). Its `alg`, or if it has none its type, must fit exactly one of the accepted
    /// algorithms. A shared secret (`oct`) is taken here, and never from a [set](super::KeySet::from_jwks).
    ///
    /// # Errors
    ///
    /// When it is not usable: malformed, private, for another use, of another algorithm, or too weak.
    pub fn from_jwk(jwk: &[u8], accepted: impl Into<Algorithms>) -> Result<Self, KeyError> {
        jwk::read_one(jwk, accepted.into())
    }

    /// The name that tokens call the key by.
    ///
    /// # Errors
    ///
    /// When it has not 1 to 256 bytes.
    pub fn with_kid(mut self, kid: &str) -> Result<Self, KeyError> {
        if !(1..=KeyQuery::MAX_KID).contains(&kid.len()) {
            return Err(KeyError::BadKid);
        }
        self.kid = Some(kid.into());
        Ok(self)
    }

    pub(crate) fn from_material(algorithm: Algorithm, material: &Material) -> Result<Self, KeyError> {
        material.check(algorithm)?;
        let verifier = Verifier::new(algorithm, material)?;
        Ok(Self { algorithm, kid: None, fingerprint: material.fingerprint(algorithm), verifier })
    }

    /// The one algorithm that the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name that tokens call the key by.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify(message, signature)
    }
}

/// The same key: kid, algorithm and numbers.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid && self.fingerprint == other.fingerprint
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
