//! What a key is called in Redis.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Key, fingerprint::Fingerprint, key::Repr};

/// A key as all instances of a service know it: a digest, whatever the caller sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoteKey {
    /// `None` for requests without a key.
    pub(super) digest: Option<[u64; 2]>,
    /// What all keys of a request have in common, where they shall share a slot of a cluster.
    pub(super) slot: Option<u32>,
}

impl RemoteKey {
    const DIGEST: u64 = 8;
    const UNKNOWN: u64 = 9;
    const HAS_SLOT: u64 = 1 << 8;

    /// The same in the form in which a decision notes keys.
    pub(super) fn fingerprint(self) -> Fingerprint {
        let kind = if self.digest.is_some() { Self::DIGEST } else { Self::UNKNOWN };
        let slot = self.slot.map_or(0, |slot| u64::from(slot) << 32 | Self::HAS_SLOT);
        Fingerprint::from_parts(kind | slot, self.digest.unwrap_or_default())
    }

    /// What a decision noted, if it was made in Redis.
    pub(super) fn of(fingerprint: Fingerprint) -> Option<Self> {
        let (tag, value) = fingerprint.parts();
        let digest = match tag & 0xFF {
            Self::DIGEST => Some(value),
            Self::UNKNOWN => None,
            _ => return None,
        };
        let slot = u32::try_from(tag >> 32).ok().filter(|_| tag & Self::HAS_SLOT != 0);
        Some(Self { digest, slot })
    }

    /// The key under which a limit in memory knows the same caller.
    pub(super) fn local(self) -> Key<'static> {
        self.digest.map_or_else(Key::unknown, |digest| Key(Repr::Digest(digest)))
    }

    /// The name of what is kept of this key. Its length is bounded by those of the prefix and the limit's name.
    pub(super) fn name(self, prefix: &str, limit: &str, sliding: bool) -> String {
        use fmt::Write;

        let mut name = String::with_capacity(prefix.len() + limit.len() + 48);
        name.push_str(prefix);
        name.push(':');
        // Writing to a `String` never fails.
        if let Some(slot) = self.slot {
            let _ = write!(name, "{{{slot:08x}}}:");
        }
        name.push_str(limit);
        name.push_str(if sliding { ":w:" } else { ":b:" });
        match self.digest {
            Some([high, low]) => {
                let _ = write!(name, "{high:016x}{low:016x}");
            }
            None => name.push('-'),
        }
        name
    }
}

/// The digest may tell an address to who tries all.
impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteKey")
    }
}

/// Makes digests of keys: HMAC-SHA-256, of which 128 bits are kept.
///
/// A caller who knows the secret, or when there is none, still cannot make two keys meet.
#[derive(Clone)]
pub(crate) struct Digester(Hmac<Sha256>);

impl Digester {
    pub(super) fn new(secret: &[u8]) -> Self {
        // Only a MAC with keys of one length alone refuses any.
        Self(Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// `None` for the key of requests without one, which is no secret and may be seen in Redis.
    pub(super) fn digest(&self, key: &Key<'_>) -> Option<[u64; 2]> {
        (!key.is_unknown()).then(|| self.halves(key))
    }

    /// What puts the keys of a request into one slot: 32 bits are plenty for 16 384 slots.
    pub(super) fn slot(&self, key: &Key<'_>) -> u32 {
        let [high, _] = self.halves(key);
        u32::try_from(high >> 32).unwrap_or_default()
    }

    fn halves(&self, key: &Key<'_>) -> [u64; 2] {
        let mut mac = self.0.clone();
        key.write_to(&mut |piece| mac.update(piece));
        let bytes = mac.finalize().into_bytes();
        let half = |at: usize| bytes[at..at + 8].iter().fold(0, |half, byte| half << 8 | u64::from(*byte));
        [half(0), half(8)]
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::{ClientAddr, Principal};

    use super::*;

    fn named(secret: &[u8], key: &Key<'_>, slot: Option<u32>) -> String {
        let digest = Digester::new(secret).digest(key);
        RemoteKey { digest, slot }.name("bartizan", "per-address", false)
    }

    #[test]
    fn keys_have_a_bounded_name_that_tells_nothing_and_that_all_instances_share() {
        let secret = "token-".repeat(2_000);
        let long = named(b"", &Key::text(&*secret), None);
        assert_eq!(long.len(), "bartizan:per-address:b:".len() + 32);
        assert_eq!(long, named(b"", &Key::text(&*secret), None), "no seed of the process");
        assert_ne!(long, named(b"pepper", &Key::text(&*secret), None), "but one that may be set");
        let hostile = named(b"", &Key::text("a}{b\r\nDEL *\0"), Some(7));
        assert!(hostile.starts_with("bartizan:{00000007}:per-address:b:"), "{hostile}");
        assert!(hostile.bytes().all(|byte| byte.is_ascii_graphic()));
        let addr = Key::client_addr(ClientAddr::new([192, 0, 2, 7].into()));
        assert!(!named(b"", &addr, None).contains("192"));
        assert_eq!(named(b"", &Key::unknown(), None), "bartizan:per-address:b:-");
    }

    #[test]
    fn keys_that_differ_have_names_that_differ() {
        let user = Principal::user("billing").build();
        let service = Principal::service("billing").build();
        let keys = [
            Key::text("7"),
            Key::number(7),
            Key::text(""),
            Key::principal(&user),
            Key::principal(&service),
            Key::tuple([Key::text("7")]),
        ];
        let names = keys.each_ref().map(|key| named(b"", key, None));
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{:?}", keys[index]);
        }
        let key = RemoteKey { digest: Some([1, 2]), slot: None };
        assert_ne!(key.name("p", "l", true), key.name("p", "l", false), "a window is no bucket");
    }

    #[test]
    fn a_note_leads_back_to_the_key() {
        for digest in [None, Some([0, 0]), Some([u64::MAX, 7])] {
            for slot in [None, Some(0), Some(u32::MAX)] {
                let key = RemoteKey { digest, slot };
                assert!(RemoteKey::of(key.fingerprint()) == Some(key));
            }
        }
        let secret = crate::fingerprint::Secret::fixed(1);
        let user = Principal::user("ada").build();
        let local = [Key::text("short"), Key::text("a longer text than fits"), Key::principal(&user)];
        for key in local.iter().chain([&Key::unknown(), &Key(Repr::Digest([1, 2]))]) {
            assert!(RemoteKey::of(secret.fingerprint(key)).is_none(), "{key:?} was decided in memory");
        }
        assert!(RemoteKey::of(Fingerprint::NONE).is_none());
    }
}
