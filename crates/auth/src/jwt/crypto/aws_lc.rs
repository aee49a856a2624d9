//! aws-lc-rs.

use aws_lc_rs::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
        RsaPublicKeyComponents, VerificationAlgorithm,
    },
};

use crate::jwt::{Algorithm, KeyError, key::Material};

pub(crate) enum Verifier {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Verifier {
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, KeyError> {
        match material {
            Material::Secret(secret) => Ok(Self::Secret(Box::new(hmac::Key::new(hash(algorithm)?, secret)))),
            Material::Rsa { modulus, exponent } => {
                RsaPublicKeyComponents { n: &modulus[..], e: &exponent[..] }
                    .to_parsed_public_key(rsa(algorithm)?)
                    .map(Self::Public)
                    .map_err(|_| KeyError::Invalid)
            }
            Material::Ec { point, .. } => parse(curve(algorithm)?, point),
            Material::Ed25519(point) => parse(curve(algorithm)?, point),
        }
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

fn parse(algorithm: &'static dyn VerificationAlgorithm, point: &[u8]) -> Result<Verifier, KeyError> {
    ParsedPublicKey::new(algorithm, point).map(Verifier::Public).map_err(|_| KeyError::Invalid)
}

fn hash(algorithm: Algorithm) -> Result<hmac::Algorithm, KeyError> {
    match algorithm {
        Algorithm::Hs256 => Ok(hmac::HMAC_SHA256),
        Algorithm::Hs384 => Ok(hmac::HMAC_SHA384),
        Algorithm::Hs512 => Ok(hmac::HMAC_SHA512),
        _ => Err(KeyError::WrongType),
    }
}

fn rsa(algorithm: Algorithm) -> Result<&'static RsaParameters, KeyError> {
    match algorithm {
        Algorithm::Rs256 => Ok(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Ok(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Ok(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Ok(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Ok(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Ok(&RSA_PSS_2048_8192_SHA512),
        _ => Err(KeyError::WrongType),
    }
}

fn curve(algorithm: Algorithm) -> Result<&'static dyn VerificationAlgorithm, KeyError> {
    match algorithm {
        Algorithm::Es256 => Ok(&ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Ok(&ECDSA_P384_SHA384_FIXED),
        Algorithm::Es512 => Ok(&ECDSA_P521_SHA512_FIXED),
        Algorithm::EdDsa | Algorithm::Ed25519 => Ok(&ED25519),
        _ => Err(KeyError::WrongType),
    }
}
