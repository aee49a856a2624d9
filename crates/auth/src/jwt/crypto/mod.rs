//! The library that verifies signatures: aws-lc-rs if it is there, else the crates of RustCrypto.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod none;
#[cfg(feature = "rust-crypto")]
#[cfg_attr(
    all(feature = "aws-lc-rs", not(test)),
    expect(dead_code, reason = "aws-lc-rs is used where it is there")
)]
mod rust_crypto;

#[cfg(feature = "aws-lc-rs")]
pub(crate) use self::aws_lc::Verifier;
#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
pub(crate) use self::none::Verifier;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
pub(crate) use self::rust_crypto::Verifier;

use crate::{ConfigError, error::Part};

/// Whether there is a library at all.
pub(crate) const IS_THERE: bool = cfg!(any(feature = "aws-lc-rs", feature = "rust-crypto"));

/// What to do where there is none.
pub(crate) const NONE: &str = "neither the feature `aws-lc-rs` nor `rust-crypto` is on";

/// Refuses the setting `algorithms` of what could never verify a signature.
pub(crate) fn check(part: Part) -> Result<(), ConfigError> {
    if IS_THERE {
        return Ok(());
    }
    Err(ConfigError::new(
        part,
        "algorithms",
        "cannot be verified: turn on the feature `aws-lc-rs` or `rust-crypto`",
    ))
}

/// Both libraries say the same of every signature.
#[cfg(all(test, feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
            ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
            RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
            RsaKeyPair,
        },
    };

    use super::{aws_lc, rust_crypto};
    use crate::jwt::{
        Algorithm,
        algorithm::{Curve, Family},
        key::Material,
    };

    const MESSAGE: &[u8] = b"header.payload";

    /// A key, and its signature.
    fn signed(algorithm: Algorithm) -> (Material, Vec<u8>) {
        let random = SystemRandom::new();
        match algorithm.family() {
            Family::Secret { .. } => {
                let secret = [7; 64];
                let hash = match algorithm {
                    Algorithm::Hs256 => aws_lc_rs::hmac::HMAC_SHA256,
                    Algorithm::Hs384 => aws_lc_rs::hmac::HMAC_SHA384,
                    _ => aws_lc_rs::hmac::HMAC_SHA512,
                };
                let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(hash, &secret), MESSAGE);
                (Material::Secret(secret.to_vec().into()), tag.as_ref().to_vec())
            }
            Family::Rsa => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, MESSAGE, &mut signature).unwrap();
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                (Material::rsa(n, e), signature)
            }
            Family::Ec(curve) => {
                let signing = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
                    Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
                };
                let pair = EcdsaKeyPair::generate(signing).unwrap();
                let signature = pair.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
                (Material::ec(curve, pair.public_key().as_ref().to_vec()).unwrap(), signature)
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let point = pair.public_key().as_ref().try_into().unwrap();
                (Material::Ed25519(point), pair.sign(MESSAGE).as_ref().to_vec())
            }
        }
    }

    #[test]
    fn jwt_08_both_libraries_accept_the_same_signatures_and_no_others() {
        for algorithm in Algorithm::ALL {
            let (material, good) = signed(algorithm);
            let one = aws_lc::Verifier::new(algorithm, &material).unwrap();
            let other = rust_crypto::Verifier::new(algorithm, &material).unwrap();
            let both = |message: &[u8], signature: &[u8]| {
                let verdicts = [one.verify(message, signature), other.verify(message, signature)];
                assert_eq!(verdicts[0], verdicts[1], "{algorithm} {} bytes", signature.len());
                verdicts[0]
            };
            assert!(both(MESSAGE, &good), "{algorithm}");
            assert!(!both(b"header.payloaD", &good));
            let half = good.len() / 2;
            let (front, back) = good.split_at(half);
            let (zero, full) = (vec![0; half], vec![0xff; half]);
            let longer = [&good[..], &[0]].concat();
            let prefixed = [&[0], &good[..]].concat();
            for bad in [
                [front, &zero].concat(),
                [&zero, back].concat(),
                [&zero[..], &zero].concat(),
                [front, &full].concat(),
                [&full, back].concat(),
                [back, front].concat(),
                longer,
                prefixed,
                vec![],
                vec![0; good.len()],
                good[..good.len() - 1].to_vec(),
                good[1..].to_vec(),
            ] {
                assert!(!both(MESSAGE, &bad), "{algorithm}");
            }
            for bit in (0..good.len() * 8).step_by(good.len() * 8 / 24 + 1) {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(!both(MESSAGE, &bad), "{algorithm}, bit {bit}");
            }
        }
    }

    #[test]
    fn jwt_16_both_libraries_refuse_what_is_no_point_of_the_curve() {
        for (algorithm, curve) in [
            (Algorithm::Es256, Curve::P256),
            (Algorithm::Es384, Curve::P384),
            (Algorithm::Es512, Curve::P521),
        ] {
            for fill in [0, 1, 0xff] {
                let mut point = vec![fill; 1 + 2 * curve.coordinate_len()];
                point[0] = 4;
                let material = Material::ec(curve, point).unwrap();
                assert!(aws_lc::Verifier::new(algorithm, &material).is_err());
                assert!(rust_crypto::Verifier::new(algorithm, &material).is_err());
            }
        }
    }
}
