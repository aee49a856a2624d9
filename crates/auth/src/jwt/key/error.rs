//! What can be wrong with a key.

use std::{error::Error, fmt, io};

use crate::jwt::crypto;

/// Why a key is not usable. Never repeats the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a key in the form that was expected.
    Malformed,
    /// A key type or curve that no known algorithm uses.
    UnknownType,
    /// An algorithm that does not exist.
    UnknownAlgorithm,
    /// An algorithm that is not among the accepted ones.
    AlgorithmNotAccepted,
    /// The key does not say its algorithm, and not exactly one of the accepted ones fits it.
    NoAlgorithm,
    /// The algorithm wants another type of key, or another curve.
    WrongType,
    /// Its `use` or its `key_ops` say that it is for something else than verifying.
    NotForVerifying,
    /// A shared secret where only public keys belong.
    Symmetric,
    /// A private key where only public keys belong.
    Private,
    /// An RSA modulus below 2048 bits, or a secret shorter than the hash.
    TooShort,
    /// An RSA modulus above 8192 bits, or an exponent above 33.
    TooLong,
    /// An RSA exponent that is even, or 1.
    WeakExponent,
    /// Not a point of its curve, or otherwise no key to the cryptographic library.
    Invalid,
    /// A `kid` above 256 bytes, or empty.
    BadKid,
    /// Neither the feature `aws-lc-rs` nor `rust-crypto` is on.
    NoBackEnd,
}

impl KeyError {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::UnknownAlgorithm => "unknown_algorithm",
            Self::AlgorithmNotAccepted => "algorithm_not_accepted",
            Self::NoAlgorithm => "no_algorithm",
            Self::WrongType => "wrong_type",
            Self::NotForVerifying => "not_for_verifying",
            Self::Symmetric => "symmetric",
            Self::Private => "private",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::WeakExponent => "weak_exponent",
            Self::Invalid => "invalid",
            Self::BadKid => "bad_kid",
            Self::NoBackEnd => "no_back_end",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the key is not in the form that was expected",
            Self::UnknownType => "no known algorithm uses a key of this type or curve",
            Self::UnknownAlgorithm => "the algorithm does not exist",
            Self::AlgorithmNotAccepted => "the key's algorithm is not among the accepted ones",
            Self::NoAlgorithm => {
                "the key does not say its algorithm, and not exactly one of the accepted ones fits it"
            }
            Self::WrongType => "the algorithm wants a key of another type or curve",
            Self::NotForVerifying => "the key is not for verifying signatures",
            Self::Symmetric => "a shared secret stands where only public keys belong",
            Self::Private => "a private key stands where only public keys belong",
            Self::TooShort => "the key is too short for its algorithm",
            Self::TooLong => "the key is too long to be used",
            Self::WeakExponent => "the key's exponent is even or 1",
            Self::Invalid => "the key is not a point of its curve, or otherwise invalid",
            Self::BadKid => "the key's id is empty or has more than 256 bytes",
            Self::NoBackEnd => crypto::NONE,
        })
    }
}

impl Error for KeyError {}

/// Why a text is no JWK set (RFC 7517 section 5). A key of it that is not usable spoils nothing, and is none of
/// these.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwkSetError {
    /// The file cannot be read.
    Io(io::Error),
    /// Not a JSON object with an array `keys`.
    Malformed,
    /// More than 512 KiB, or more than 256 keys.
    TooLarge,
    /// The crate was built without a library that verifies signatures.
    NoBackEnd,
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(_) => "the file with the key set cannot be read",
            Self::Malformed => "the key set is not a JSON object with an array `keys`",
            Self::NoBackEnd => crypto::NONE,
            Self::TooLarge => "the key set has more than 512 KiB or more than 256 keys",
        })
    }
}

impl Error for JwkSetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
