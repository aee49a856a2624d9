//! A whole key, which only its owner may have.

use std::{fmt, str::FromStr};

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    KeyRecord,
    digest::{Digest, digest},
    format::{self, ALPHABET, SECRET_LEN},
};
use crate::{ConfigError, GenerateError, ParseKeyError, error::Part};

/// A whole API key, `<prefix>_<id>_<secret><checksum>`: what its owner gets once, and nobody stores.
///
/// - `prefix`, chosen by the service, says whose key it is: words of `a-z0-9` joined by `_`, at most 24
///   characters, the first a letter. `orders_test` is one.
/// - `id`, random letters and digits, is public: `<prefix>_<id>` is the name of the key in stores and logs.
/// - `secret` is 32 random letters and digits, 190 bits.
/// - `checksum` is the CRC-32 of all before it, in 6 digits of base 62 (`0-9A-Za-z`): typos cost no lookup, and
///   secret scanners can tell a key from a look-alike offline, with
///   `[a-z][a-z0-9_]{0,23}_[0-9A-Za-z]{1,32}_[0-9A-Za-z]{38}`.
///
/// `Debug` shows the public part alone; the text is zeroized on drop.
///
/// ```
/// use bartizan_auth::ApiKey;
///
/// let key = ApiKey::generate("orders")?;
/// assert!(key.expose().starts_with("orders_"));
/// assert!(!format!("{key:?}").contains(key.expose()));
/// assert_eq!(key.expose().parse::<ApiKey>()?.id(), key.id());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ApiKey {
    text: String,
}

impl ApiKey {
    /// A new key with a random id and a random secret, both from the system's generator.
    ///
    /// # Errors
    ///
    /// When `prefix` is not of the form above, or the system gives no randomness.
    pub fn generate(prefix: &str) -> Result<Self, GenerateError> {
        const ID_LEN: usize = 12;
        if !format::is_prefix(prefix) {
            return Err(ConfigError::new(
                Part::ApiKey,
                "prefix",
                "must be words of a-z and 0-9 joined by `_`, begin with a letter, and have at most 24 characters",
            )
            .into());
        }
        let id = random::<ID_LEN>()?;
        Self::with_new_secret(&format!("{prefix}_{}", text_of(&*id)))
    }

    /// A new secret for the public part `id`.
    pub(super) fn with_new_secret(id: &str) -> Result<Self, GenerateError> {
        let secret = random::<SECRET_LEN>()?;
        // The whole length at once: a string that grows leaves copies behind.
        let mut text = String::with_capacity(id.len() + 1 + SECRET_LEN + format::CHECKSUM_LEN);
        text.push_str(id);
        text.push('_');
        text.push_str(text_of(&*secret));
        let checksum = format::checksum(text.as_bytes());
        text.push_str(text_of(&checksum));
        Ok(Self { text })
    }

    /// The key itself, to be shown to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The public part, `<prefix>_<id>`: fit for stores, logs and support.
    pub fn id(&self) -> &str {
        &self.text[..self.text.len() - SECRET_LEN - format::CHECKSUM_LEN - 1]
    }

    /// What to store of this key, which belongs to `owner`: its public part and the digest of its secret.
    #[must_use]
    pub fn record(&self, owner: impl Into<String>) -> KeyRecord {
        KeyRecord::new(self.id(), self.digest(), owner.into())
    }

    pub(super) fn digest(&self) -> Digest {
        let secret = self.text.as_bytes()[self.id().len() + 1..].first_chunk();
        digest(secret.expect("a key ends with its secret and its checksum"))
    }
}

/// Letters and digits, each equally likely.
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, getrandom::Error> {
    // The largest multiple of 62 in a byte: higher bytes would favour the first characters.
    const FAIR: u8 = 248;
    let mut text = Zeroizing::new([0; N]);
    let mut filled = 0;
    while filled < N {
        let mut bytes = Zeroizing::new([0; N]);
        getrandom::fill(&mut *bytes)?;
        for byte in bytes.iter().filter(|byte| **byte < FAIR).take(N - filled) {
            text[filled] = ALPHABET[usize::from(byte % 62)];
            filled += 1;
        }
    }
    Ok(text)
}

fn text_of(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).expect("the alphabet is ASCII")
}

impl FromStr for ApiKey {
    type Err = ParseKeyError;

    /// Reads a key, and checks its form and its checksum.
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        format::parse(text.as_bytes()).map(|_| Self { text: text.to_owned() }).ok_or(ParseKeyError(()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn key_01_generated_keys_parse_and_differ() {
        let keys: HashSet<String> =
            (0..200).map(|_| ApiKey::generate("orders_test").unwrap().expose().to_owned()).collect();
        assert_eq!(keys.len(), 200);
        for key in keys {
            let key: ApiKey = key.parse().unwrap();
            assert_eq!(key.id().len(), "orders_test_".len() + 12);
            assert_eq!(key.expose().len(), key.id().len() + 1 + 32 + 6);
        }
    }

    #[test]
    fn key_01_every_character_of_the_alphabet_is_used() {
        let mut seen = HashSet::new();
        for _ in 0..200 {
            seen.extend(*random::<32>().unwrap());
        }
        assert_eq!(seen.len(), 62, "6 400 draws miss one of 62 with a probability below 1e-40");
    }

    #[test]
    fn key_01_a_bad_prefix_is_refused_by_name() {
        for prefix in ["", "Orders", "7", "a__b", "_a", "a_", "ä", "a b", "abcdefghijklmnopqrstuvwxy"] {
            let error = ApiKey::generate(prefix).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("`prefix`"), "{prefix}: {source}");
        }
    }

    #[test]
    fn key_02_key_bytes_are_zeroized() {
        let mut key = ApiKey::generate("orders").unwrap();
        key.zeroize();
        assert!(key.text.is_empty());
        fn zeroizes_on_drop<T: ZeroizeOnDrop>() {}
        zeroizes_on_drop::<ApiKey>();
    }
}
