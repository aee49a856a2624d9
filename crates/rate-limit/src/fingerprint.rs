//! What a store remembers of a key.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    net::IpAddr,
};

use foldhash::{SharedSeed, fast::FoldHasher};
use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use crate::key::{Key, Repr};

/// A key in 24 bytes: a tag that tells its kind, and either the key itself or a keyed hash of it.
///
/// So the memory of a store depends on the number of its keys alone, however long a header a caller sends, and no
/// text of a caller stays in memory as it is unless it has at most 16 bytes. The hash is SipHash under a secret
/// seed: to make two keys meet, or to meet another caller's, is to guess 128 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    tag: u64,
    value: [u64; 2],
}

const UNKNOWN: u64 = 0;
const ADDR_V4: u64 = 1;
const ADDR_V6: u64 = 2;
const NUMBER: u64 = 3;
const PRINCIPAL: u64 = 4;
const LONG: u64 = 5;
const CREDENTIAL: u64 = 6;
const SEVERAL: u64 = 7;
// 8 and 9 tell keys in Redis, see `RemoteKey`.
#[cfg(feature = "redis")]
const DIGEST: u64 = 10;
/// Of no key at all.
const NOTHING: u64 = u64::MAX;
/// Plus the length, 0 to 16.
const SHORT: u64 = 16;

impl Fingerprint {
    /// Of no key at all.
    pub(crate) const NONE: Self = Self { tag: NOTHING, value: [0; 2] };

    /// Whether it is that of all requests that have no key.
    pub(crate) fn is_unknown(&self) -> bool {
        self.tag == UNKNOWN
    }

    #[cfg(feature = "redis")]
    pub(crate) fn from_parts(tag: u64, value: [u64; 2]) -> Self {
        Self { tag, value }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn parts(self) -> (u64, [u64; 2]) {
        (self.tag, self.value)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be the key itself.
        f.write_str("Fingerprint")
    }
}

/// The secret seeds of one store.
pub(crate) struct Secret {
    sip: SipHasher13,
    fold: u64,
    shared: SharedSeed,
}

impl Secret {
    /// Seeds from the system's entropy.
    pub(crate) fn random() -> Self {
        // SipHash under a key of the system's entropy: a generator that std has.
        let state = RandomState::new();
        Self::from_words(|index| state.hash_one(index))
    }

    /// The same seeds each time.
    pub(crate) fn fixed(seed: u64) -> Self {
        Self::from_words(|index| SipHasher13::new_with_keys(seed, index).finish128().h1)
    }

    fn from_words(word: impl Fn(u64) -> u64) -> Self {
        Self {
            sip: SipHasher13::new_with_keys(word(0), word(1)),
            fold: word(2),
            shared: SharedSeed::from_u64(word(3)),
        }
    }

    // Where the kind of a key is known, as it is of an address, little is left of this.
    #[inline(always)]
    pub(crate) fn fingerprint(&self, key: &Key<'_>) -> Fingerprint {
        match &key.0 {
            Repr::Addr(IpAddr::V4(addr)) => Fingerprint { tag: ADDR_V4, value: [addr.to_bits().into(), 0] },
            Repr::Addr(IpAddr::V6(addr)) => Fingerprint { tag: ADDR_V6, value: halves(addr.to_bits()) },
            Repr::Principal(principal) => {
                Fingerprint { tag: PRINCIPAL, value: halves(principal.fingerprint()) }
            }
            Repr::Credential(_) => self.encoded(CREDENTIAL, key),
            Repr::Several(_) => self.encoded(SEVERAL, key),
            Repr::Number(number) => Fingerprint { tag: NUMBER, value: [*number, 0] },
            Repr::Bytes(bytes) => self.bytes(bytes),
            #[cfg(feature = "redis")]
            Repr::Digest(digest) => Fingerprint { tag: DIGEST, value: *digest },
            Repr::Unknown => Fingerprint { tag: UNKNOWN, value: [0; 2] },
        }
    }

    /// The hash of the whole key, for those kinds that are seldom used.
    #[inline(never)]
    fn encoded(&self, tag: u64, key: &Key<'_>) -> Fingerprint {
        let mut sip = self.sip;
        key.write_to(&mut |piece| sip.write(piece));
        hashed(tag, sip.finish128())
    }

    #[inline(never)]
    fn bytes(&self, bytes: &[u8]) -> Fingerprint {
        let Some(tag) = (bytes.len() <= 16).then_some(SHORT + bytes.len() as u64) else {
            return hashed(LONG, self.sip.hash(bytes));
        };
        let mut padded = [0; 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        Fingerprint { tag, value: halves(u128::from_le_bytes(padded)) }
    }

    /// Where in a table the fingerprint belongs. Seeded too: a caller chooses its address.
    #[inline]
    pub(crate) fn hash(&self, fingerprint: &Fingerprint) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.fold, &self.shared);
        hasher.write_u64(fingerprint.tag);
        hasher.write_u64(fingerprint.value[0]);
        hasher.write_u64(fingerprint.value[1]);
        hasher.finish()
    }
}

fn hashed(tag: u64, hash: Hash128) -> Fingerprint {
    Fingerprint { tag, value: [hash.h1, hash.h2] }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::Principal;

    use super::*;

    #[test]
    fn keys_that_differ_never_meet() {
        let addr = |text: &str| Key::client_addr(bartizan_core::ClientAddr::new(text.parse().unwrap()));
        let user = Principal::user("billing").build();
        let service = Principal::service("billing").build();
        let issued = Principal::user("billing").issuer("keys").build();
        let shifted = Principal::user("lling").issuer("keysbi").build();
        let empty_issuer = Principal::user("billing").issuer("").build();
        let long = ["a".repeat(16), "a".repeat(17), "a".repeat(18), "b".repeat(17)];
        let long_subject = Principal::user("s".repeat(300)).build();
        let longer_subject = Principal::user("s".repeat(301)).build();
        let keys = [
            Key::unknown(),
            Key::number(0),
            Key::number(7),
            Key::text(""),
            Key::text("7"),
            Key::text("7\0"),
            Key::text(&*long[0]),
            Key::text(&*long[1]),
            Key::text(&*long[2]),
            Key::text(&*long[3]),
            addr("0.0.0.7"),
            addr("0:0:0:7::"),
            Key(Repr::Addr("::7".parse().unwrap())),
            Key::principal(&user),
            Key::principal(&service),
            Key::principal(&issued),
            Key::principal(&shifted),
            Key::principal(&empty_issuer),
            Key::principal(&long_subject),
            Key::principal(&longer_subject),
        ];
        for secret in [Secret::random(), Secret::fixed(1)] {
            let prints = keys.each_ref().map(|key| secret.fingerprint(key));
            for (index, print) in prints.iter().enumerate() {
                assert!(!prints[..index].contains(print), "{index}: {:?}", keys[index]);
            }
        }
    }

    #[test]
    fn one_caller_has_one_key() {
        let secret = Secret::random();
        let same = |a: Key<'_>, b: Key<'_>| secret.fingerprint(&a) == secret.fingerprint(&b);
        let one = Principal::user("ada").issuer("idp").scopes(["a"]).credential_id("1").build();
        let other = Principal::user("ada").issuer("idp").scopes(["b"]).tenant("t").credential_id("2").build();
        assert!(same(Key::principal(&one), Key::principal(&other)), "whatever the credential");
        assert!(same(
            Key::text("a longer text than fits"),
            Key::bytes(b"a longer text than fits".as_slice())
        ));
        assert!(same(Key::from("short"), Key::from(String::from("short"))));
    }

    #[test]
    fn seeds_are_secret_and_differ() {
        let long = Key::text("a longer text than fits");
        let (one, other) = (Secret::random(), Secret::random());
        assert!(one.fingerprint(&long) != other.fingerprint(&long));
        let number = one.fingerprint(&Key::number(1));
        assert_ne!(one.hash(&number), other.hash(&number), "not even the place in a table can be foreseen");
        assert_eq!(format!("{one:?}"), "Secret");
        let fixed = [Secret::fixed(1), Secret::fixed(1), Secret::fixed(2)].map(|secret| secret.hash(&number));
        assert!(fixed[0] == fixed[1] && fixed[0] != fixed[2]);
    }
}
