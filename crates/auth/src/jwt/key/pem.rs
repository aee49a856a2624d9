//! Public keys in PEM.

use der::{
    Decode,
    asn1::ObjectIdentifier,
    oid::db::{rfc5912, rfc8410},
    pem,
    referenced::OwnedToRef,
};
use pkcs1::RsaPublicKeyRef;
use spki::SubjectPublicKeyInfoRef;
use x509_cert::Certificate;

use super::{KeyError, Material};
use crate::jwt::algorithm::Curve;

/// The key of a `PUBLIC KEY`, an `RSA PUBLIC KEY` or a `CERTIFICATE`.
pub(super) fn read(pem: &[u8]) -> Result<Material, KeyError> {
    let (label, der) = pem::decode_vec(pem).map_err(malformed)?;
    match label {
        "PUBLIC KEY" => from_spki(&SubjectPublicKeyInfoRef::from_der(&der).map_err(malformed)?),
        "RSA PUBLIC KEY" => from_pkcs1(&der),
        "CERTIFICATE" => {
            let certificate = Certificate::from_der(&der).map_err(malformed)?;
            from_spki(&certificate.tbs_certificate().subject_public_key_info().owned_to_ref())
        }
        label if label.ends_with("PRIVATE KEY") => Err(KeyError::Private),
        _ => Err(KeyError::Malformed),
    }
}

/// RFC 5280 section 4.1.2.7, with the algorithms of RFC 5480 and RFC 8410.
fn from_spki(key: &SubjectPublicKeyInfoRef<'_>) -> Result<Material, KeyError> {
    let bits = key.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
    match key.algorithm.oid {
        rfc5912::RSA_ENCRYPTION => from_pkcs1(bits),
        rfc5912::ID_EC_PUBLIC_KEY => {
            let curve = key.algorithm.parameters_oid().map_err(|_| KeyError::Malformed)?;
            Material::ec(curve_of(curve)?, bits.to_vec())
        }
        rfc8410::ID_ED_25519 => bits.try_into().map(Material::Ed25519).map_err(|_| KeyError::Malformed),
        _ => Err(KeyError::UnknownType),
    }
}

fn from_pkcs1(der: &[u8]) -> Result<Material, KeyError> {
    let key = RsaPublicKeyRef::from_der(der).map_err(|_| KeyError::Malformed)?;
    Ok(Material::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes()))
}

fn curve_of(oid: ObjectIdentifier) -> Result<Curve, KeyError> {
    match oid {
        rfc5912::SECP_256_R_1 => Ok(Curve::P256),
        rfc5912::SECP_384_R_1 => Ok(Curve::P384),
        rfc5912::SECP_521_R_1 => Ok(Curve::P521),
        _ => Err(KeyError::UnknownType),
    }
}

fn malformed<E>(_: E) -> KeyError {
    KeyError::Malformed
}
