//! Several keys, and which of them a token means.

use std::{fmt, fs, path::Path, sync::Arc};

use super::{JwkSetError, KeyError, VerifyingKey, jwk};
use crate::jwt::{Algorithms, KeyQuery, Lookup};

/// The keys of one issuer. Never changes; see [`SharedKeys`](super::SharedKeys) for a set that is replaced.
///
/// A `kid` selects among the keys that have one; if none has it, the key without a `kid` is used that alone fits the
/// token's algorithm, and for a token without one, the key that alone does. Two keys that fit equally are not tried (JWK-02, JWK-03).
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Box<[Arc<VerifyingKey>]>,
    ignored: Box<[IgnoredKey]>,
}

/// A key of a JWK set that is not used, and why. The others are none the worse for it.
#[derive(Clone, PartialEq, Eq)]
pub struct IgnoredKey {
    pub(super) kid: Option<Box<str>>,
    pub(super) reason: KeyError,
}

impl IgnoredKey {
    /// Its name, cut to 256 bytes.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why it is not used.
    pub fn reason(&self) -> KeyError {
        self.reason
    }
}

impl fmt::Debug for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IgnoredKey").field("kid", &self.kid).field("reason", &self.reason).finish()
    }
}

impl KeySet {
    /// The most keys that a JWK set may have.
    pub const MAX_KEYS: usize = 256;

    /// The most bytes that a JWK set may have.
    pub const MAX_BYTES: usize = 512 * 1024;

    /// A set of these keys.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self { keys: keys.into_iter().map(Arc::new).collect(), ignored: Box::default() }
    }

    /// A JWK set (RFC 7517 section 5). Each key is read alone: one that is not usable for verifying signatures of an
    /// accepted algorithm is [ignored](Self::ignored). So are shared secrets, and private keys. A key that is listed
    /// twice is one key.
    ///
    /// A key without `alg` is bound to the accepted algorithm that fits it, if there is exactly one. An Ed25519 key
    /// without `alg` goes by both names, `EdDSA` and `Ed25519`, when both are accepted.
    ///
    /// # Errors
    ///
    /// When it is no JWK set, or too large a one, or when neither the feature `aws-lc-rs` nor `rust-crypto` is on. A set without a usable key is none of these: look at
    /// [`is_empty`](Self::is_empty).
    pub fn from_jwks(jwks: &[u8], accepted: impl Into<Algorithms>) -> Result<Self, JwkSetError> {
        let (keys, ignored) = jwk::read_set(jwks, accepted.into())?;
        Ok(Self { keys: keys.into_iter().map(Arc::new).collect(), ignored: ignored.into() })
    }

    /// The same, from a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, too.
    pub fn from_jwks_file(
        path: impl AsRef<Path>,
        accepted: impl Into<Algorithms>,
    ) -> Result<Self, JwkSetError> {
        Self::from_jwks(&fs::read(path).map_err(JwkSetError::Io)?, accepted)
    }

    /// The keys in use.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &VerifyingKey> {
        self.keys.iter().map(|key| &**key)
    }

    /// The keys that are not used.
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// The number of keys in use.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is in use.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether all keys of `other` are in this set, too: what they verified, this one verifies.
    pub fn is_superset(&self, other: &Self) -> bool {
        other.keys.iter().all(|key| self.keys.contains(key))
    }

    /// Whether both have the same keys, in whatever order: then each token means the same key in both. Of a set that has
    /// all keys of another, and more, that cannot be said: one that was added may make another ambiguous, or have the
    /// name by which tokens were verified with one that has none.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let count = |set: &Self, wanted| set.keys.iter().filter(|key| *key == wanted).count();
        self.len() == other.len() && self.keys.iter().all(|key| count(self, key) == count(other, key))
    }

    /// The key that a token means.
    pub fn find(&self, query: &KeyQuery<'_>) -> Lookup {
        let fits = |key: &&Arc<VerifyingKey>| key.algorithm() == query.algorithm;
        let Some(kid) = query.kid else { return only(self.keys.iter().filter(fits)) };
        let named = || self.keys.iter().filter(|key| key.kid() == Some(kid));
        if named().next().is_none() {
            return match only(self.keys.iter().filter(|key| key.kid().is_none()).filter(fits)) {
                // What is in doubt is not which of them was meant: none was.
                Lookup::Ambiguous => Lookup::Unknown,
                found => found,
            };
        }
        match only(named().filter(fits)) {
            Lookup::Unknown => Lookup::WrongAlgorithm,
            found => found,
        }
    }
}

fn only<'a>(mut keys: impl Iterator<Item = &'a Arc<VerifyingKey>>) -> Lookup {
    match (keys.next(), keys.next()) {
        (None, _) => Lookup::Unknown,
        (Some(key), None) => Lookup::Found(Arc::clone(key)),
        (Some(_), Some(_)) => Lookup::Ambiguous,
    }
}

impl FromIterator<VerifyingKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self::new(keys)
    }
}

impl From<VerifyingKey> for KeySet {
    fn from(key: VerifyingKey) -> Self {
        Self::new([key])
    }
}
