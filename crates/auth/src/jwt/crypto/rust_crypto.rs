//! The crates of RustCrypto.

use hmac::{Hmac, KeyInit, Mac};
use rsa::{BoxedUint, PublicKey, pkcs1v15, pss, signature::Verifier as _};
use sha2::{Sha256, Sha384, Sha512};

use crate::jwt::{Algorithm, KeyError, key::Material};

pub(crate) enum Verifier {
    Hs256(Hmac<Sha256>),
    Hs384(Hmac<Sha384>),
    Hs512(Hmac<Sha512>),
    Rs256(pkcs1v15::VerifyingKey<Sha256>),
    Rs384(pkcs1v15::VerifyingKey<Sha384>),
    Rs512(pkcs1v15::VerifyingKey<Sha512>),
    Ps256(pss::VerifyingKey<Sha256>),
    Ps384(pss::VerifyingKey<Sha384>),
    Ps512(pss::VerifyingKey<Sha512>),
    Es256(p256::ecdsa::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
    Es512(p521::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Verifier {
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, KeyError> {
        fn invalid<E>(_: E) -> KeyError {
            KeyError::Invalid
        }
        Ok(match (algorithm, material) {
            (Algorithm::Hs256, Material::Secret(key)) => {
                Self::Hs256(Hmac::new_from_slice(key).map_err(invalid)?)
            }
            (Algorithm::Hs384, Material::Secret(key)) => {
                Self::Hs384(Hmac::new_from_slice(key).map_err(invalid)?)
            }
            (Algorithm::Hs512, Material::Secret(key)) => {
                Self::Hs512(Hmac::new_from_slice(key).map_err(invalid)?)
            }
            (_, Material::Rsa { modulus, exponent }) => {
                let number = BoxedUint::from_be_slice_vartime;
                let key = PublicKey::new_with_size_limits(number(modulus), number(exponent), 2048..=8192)
                    .map_err(invalid)?;
                Self::rsa(algorithm, key)?
            }
            (Algorithm::Es256, Material::Ec { point, .. }) => {
                Self::Es256(p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(invalid)?)
            }
            (Algorithm::Es384, Material::Ec { point, .. }) => {
                Self::Es384(p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(invalid)?)
            }
            (Algorithm::Es512, Material::Ec { point, .. }) => {
                Self::Es512(p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(invalid)?)
            }
            (Algorithm::EdDsa | Algorithm::Ed25519, Material::Ed25519(point)) => {
                Self::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(point).map_err(invalid)?)
            }
            _ => return Err(KeyError::WrongType),
        })
    }

    fn rsa(algorithm: Algorithm, key: PublicKey) -> Result<Self, KeyError> {
        Ok(match algorithm {
            Algorithm::Rs256 => Self::Rs256(pkcs1v15::VerifyingKey::new(key)),
            Algorithm::Rs384 => Self::Rs384(pkcs1v15::VerifyingKey::new(key)),
            Algorithm::Rs512 => Self::Rs512(pkcs1v15::VerifyingKey::new(key)),
            Algorithm::Ps256 => Self::Ps256(pss::VerifyingKey::new(key)),
            Algorithm::Ps384 => Self::Ps384(pss::VerifyingKey::new(key)),
            Algorithm::Ps512 => Self::Ps512(pss::VerifyingKey::new(key)),
            _ => return Err(KeyError::WrongType),
        })
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        /// One shape for all: parse the signature, then verify it.
        macro_rules! verify {
            ($key:expr, $signature:ty) => {
                <$signature>::try_from(signature)
                    .is_ok_and(|signature| $key.verify(message, &signature).is_ok())
            };
        }
        match self {
            Self::Hs256(key) => key.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Hs384(key) => key.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Hs512(key) => key.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Rs256(key) => verify!(key, pkcs1v15::Signature),
            Self::Rs384(key) => verify!(key, pkcs1v15::Signature),
            Self::Rs512(key) => verify!(key, pkcs1v15::Signature),
            Self::Ps256(key) => verify!(key, pss::Signature),
            Self::Ps384(key) => verify!(key, pss::Signature),
            Self::Ps512(key) => verify!(key, pss::Signature),
            Self::Es256(key) => verify!(key, p256::ecdsa::Signature),
            Self::Es384(key) => verify!(key, p384::ecdsa::Signature),
            Self::Es512(key) => verify!(key, p521::ecdsa::Signature),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}
