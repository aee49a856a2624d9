//! What a key is made of, in one form whatever it was read from, and the checks that every key passes.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::KeyError;
use crate::jwt::algorithm::{Algorithm, Curve, Family};

/// A key's numbers. Not yet bound to an algorithm.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    Secret(Zeroizing<Vec<u8>>),
    /// Big-endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// Uncompressed: `04`, x, y.
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519([u8; 32]),
}

impl Material {
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self::Rsa { modulus: without_leading_zeros(modulus), exponent: without_leading_zeros(exponent) }
    }

    /// An uncompressed point, whose coordinates are written in full (RFC 7518 section 6.2.1.2).
    pub(crate) fn ec(curve: Curve, point: Vec<u8>) -> Result<Self, KeyError> {
        let full = point.first() == Some(&4) && point.len() == 1 + 2 * curve.coordinate_len();
        if full { Ok(Self::Ec { curve, point }) } else { Err(KeyError::Malformed) }
    }

    /// Whether an algorithm could use the key at all.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        match (self, algorithm.family()) {
            (Self::Secret(_), Family::Secret { .. })
            | (Self::Rsa { .. }, Family::Rsa)
            | (Self::Ed25519(_), Family::Ed25519) => true,
            (Self::Ec { curve, .. }, Family::Ec(wanted)) => *curve == wanted,
            _ => false,
        }
    }

    /// What JWT-08 and JWT-16 refuse before any token is seen. That a point lies on its curve is checked by the
    /// library that parses it.
    pub(crate) fn check(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        if !self.fits(algorithm) {
            return Err(KeyError::WrongType);
        }
        match (self, algorithm.family()) {
            (Self::Secret(secret), Family::Secret { min_len }) if secret.len() < min_len => {
                Err(KeyError::TooShort)
            }
            (Self::Rsa { modulus, exponent }, _) => check_rsa(modulus, exponent),
            _ => Ok(()),
        }
    }

    /// What tells keys apart without holding them.
    pub(crate) fn fingerprint(&self, algorithm: Algorithm) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(algorithm.as_str());
        let parts: [&[u8]; 2] = match self {
            Self::Secret(secret) => [secret, &[]],
            Self::Rsa { modulus, exponent } => [modulus, exponent],
            Self::Ec { point, .. } => [point, &[]],
            Self::Ed25519(point) => [point, &[]],
        };
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// No part of a key is printed: a public one would only be noise.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(..)",
            Self::Rsa { .. } => "Rsa(..)",
            Self::Ec { .. } => "Ec(..)",
            Self::Ed25519(_) => "Ed25519(..)",
        })
    }
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyError> {
    let bits = bits(modulus);
    if bits < 2048 {
        return Err(KeyError::TooShort);
    }
    if exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] {
        return Err(KeyError::WeakExponent);
    }
    // A long exponent makes every verification dear.
    if bits > 8192 || self::bits(exponent) > 33 {
        return Err(KeyError::TooLong);
    }
    // The product of two odd primes.
    if modulus.last().is_none_or(|last| last % 2 == 0) { Err(KeyError::Invalid) } else { Ok(()) }
}

/// The bits of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn without_leading_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(bits: usize) -> Vec<u8> {
        let mut number = vec![0xff; bits.div_ceil(8)];
        number[0] = 0xff >> (number.len() * 8 - bits);
        number
    }

    #[test]
    fn jwt_08_weak_and_monstrous_keys_are_refused() {
        let check =
            |modulus: &[u8], exponent: &[u8]| Material::rsa(modulus, exponent).check(Algorithm::Rs256);
        let good: &[u8] = &[1, 0, 1];
        assert_eq!(check(&odd(2048), good), Ok(()));
        assert_eq!(check(&odd(8192), &[3]), Ok(()));
        let zeros = [[0; 300].to_vec(), odd(1024)].concat();
        for (modulus, exponent, expected) in [
            (odd(2047), good, KeyError::TooShort),
            (zeros, good, KeyError::TooShort),
            (vec![], good, KeyError::TooShort),
            (odd(8193), good, KeyError::TooLong),
            (odd(2048), &[1], KeyError::WeakExponent),
            (odd(2048), &[0, 0, 1], KeyError::WeakExponent),
            (odd(2048), &[2], KeyError::WeakExponent),
            (odd(2048), &[], KeyError::WeakExponent),
            (odd(2048), &[4, 0, 0, 0, 1], KeyError::TooLong),
            ([odd(2040), vec![2]].concat(), good, KeyError::Invalid),
        ] {
            assert_eq!(check(&modulus, exponent), Err(expected));
        }
        for (algorithm, len) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
            let check = |len| Material::Secret(vec![7; len].into()).check(algorithm);
            assert_eq!((check(len), check(len - 1)), (Ok(()), Err(KeyError::TooShort)));
        }
    }

    #[test]
    fn jwt_16_each_curve_has_its_algorithm() {
        for (curve, own) in [
            (Curve::P256, Algorithm::Es256),
            (Curve::P384, Algorithm::Es384),
            (Curve::P521, Algorithm::Es512),
        ] {
            let mut point = vec![4; 1 + 2 * curve.coordinate_len()];
            let material = Material::ec(curve, point.clone()).unwrap();
            let fitting: Vec<_> = Algorithm::ALL.into_iter().filter(|one| material.fits(*one)).collect();
            assert_eq!(fitting, [own]);
            point.pop();
            assert_eq!(Material::ec(curve, point), Err(KeyError::Malformed));
        }
        let ed: Vec<_> =
            Algorithm::ALL.into_iter().filter(|one| Material::Ed25519([0; 32]).fits(*one)).collect();
        assert_eq!(ed, [Algorithm::EdDsa, Algorithm::Ed25519]);
    }
}
