//! What is stored of a secret, and how a presented one is compared with it.

use std::fmt;

use subtle::ConstantTimeEq;

use super::format::SECRET_LEN;

/// SHA-256 of a secret. A slow hash would buy nothing: the secret is 190 random bits, not a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

pub(crate) fn digest(secret: &[u8; SECRET_LEN]) -> Digest {
    #[cfg(test)]
    calls::note(|calls| calls.digests += 1);
    Digest(sha256(secret))
}

/// In assembly, which on machines without instructions for SHA does a quarter less work.
#[cfg(feature = "aws-lc-rs")]
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// The digests of the secrets that one id accepts: always two places, so that every comparison costs the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretDigests([Digest; 2]);

impl SecretDigests {
    /// What an unknown id is compared with. The outcome is never used.
    pub(crate) const DUMMY: Self = Self([Digest([0; 32]); 2]);

    /// One secret fills both places.
    pub(crate) fn new(current: Digest, previous: Option<Digest>) -> Self {
        Self([current, previous.unwrap_or(current)])
    }

    /// Whether the secret is one of these, in time that depends on neither.
    pub(crate) fn accept(&self, secret: &[u8; SECRET_LEN]) -> bool {
        let presented = digest(secret);
        #[cfg(test)]
        calls::note(|calls| calls.comparisons += 1);
        let [current, previous] = &self.0;
        (differ(&presented, current).ct_eq(&0) | differ(&presented, previous).ct_eq(&0)).into()
    }
}

/// Zero for equal digests. All bits are looked at, eight bytes at a time, and nothing depends on what they are;
/// only the sum is compared. That is `subtle`'s comparison of slices without its detour per byte.
fn differ(one: &Digest, other: &Digest) -> u64 {
    let words = |digest: &Digest| {
        let (words, _) = digest.0.as_chunks::<8>();
        [words[0], words[1], words[2], words[3]].map(u64::from_ne_bytes)
    };
    words(one).iter().zip(words(other)).fold(0, |all, (one, other)| all | (one ^ other))
}

/// Counts the costly steps, so that a test need not measure time.
#[cfg(test)]
pub(crate) mod calls {
    use std::cell::Cell;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Calls {
        pub(crate) digests: u32,
        pub(crate) comparisons: u32,
    }

    thread_local!(static CALLS: Cell<Calls> = const { Cell::new(Calls { digests: 0, comparisons: 0 }) });

    pub(super) fn note(change: impl FnOnce(&mut Calls)) {
        let mut calls = CALLS.get();
        change(&mut calls);
        CALLS.set(calls);
    }

    /// The calls that `work` makes on this thread.
    pub(crate) fn during(work: impl FnOnce()) -> Calls {
        CALLS.set(Calls::default());
        work();
        CALLS.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_02_the_digest_is_sha_256() {
        // As `printf 01234567890123456789012345678901 | sha256sum` says.
        let expected = "861009ec4d599fab1f40abc76e6f89880cff5833c79c548c99f9045f191cd90b";
        let digest = digest(b"01234567890123456789012345678901");
        assert_eq!(digest.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    }

    #[test]
    fn key_02_digests_that_differ_in_one_bit_differ() {
        let zero = Digest([0; 32]);
        assert_eq!(differ(&zero, &zero), 0);
        for bit in 0..256 {
            let mut other = zero;
            other.0[bit / 8] = 1 << (bit % 8);
            assert_ne!(differ(&zero, &other), 0);
            assert_ne!(differ(&other, &zero), 0);
            assert_eq!(differ(&other, &other), 0);
        }
    }

    #[test]
    fn key_03_both_secrets_are_accepted_and_no_third() {
        let (old, new, other) = ([b'o'; 32], [b'n'; 32], [b'x'; 32]);
        let both = SecretDigests::new(digest(&new), Some(digest(&old)));
        assert!(both.accept(&old) && both.accept(&new) && !both.accept(&other));
        let one = SecretDigests::new(digest(&new), None);
        assert!(one.accept(&new) && !one.accept(&old));
    }
}
