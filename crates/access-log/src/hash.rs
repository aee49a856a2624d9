//! Names of principals, hashed with a key.

use std::fmt;

use sha2::{Digest, Sha256};

/// The key, prepared for HMAC-SHA-256 (RFC 2104).
#[derive(Clone)]
pub(crate) struct HashKey {
    inner: Sha256,
    outer: Sha256,
}

impl HashKey {
    /// The fewest bytes of a key that cannot be guessed.
    pub(crate) const MIN: usize = 16;

    const BLOCK: usize = 64;

    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; Self::BLOCK];
        if key.len() > Self::BLOCK {
            let digest = Sha256::digest(key);
            block[..digest.len()].copy_from_slice(&digest);
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let with = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
        Self { inner: with(0x36), outer: with(0x5c) }
    }

    pub(crate) fn hash(&self, text: &str) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }

    /// Appends the first 16 bytes of the hash of `text` as hex digits: enough to tell callers apart.
    pub(crate) fn push_hex(&self, buffer: &mut Vec<u8>, text: &str) {
        push_hex(buffer, &self.hash(text)[..16]);
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// Appends `bytes` as lower-case hex digits.
pub(crate) fn push_hex(buffer: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        buffer.push(DIGITS[usize::from(byte >> 4)]);
        buffer.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac(key: &[u8], text: &str) -> String {
        let mut hex = Vec::new();
        push_hex(&mut hex, &HashKey::new(key).hash(text));
        String::from_utf8(hex).unwrap()
    }

    /// RFC 4231, test cases 1, 2 and 6.
    #[test]
    fn the_hash_is_hmac_sha_256() {
        assert_eq!(
            hmac(&[0x0b; 20], "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hmac(b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hmac(&[0xaa; 131], "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", HashKey::new(b"0123456789abcdef")), "HashKey(…)");
    }
}
