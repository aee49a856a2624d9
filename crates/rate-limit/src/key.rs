//! Whose requests a limit counts together.

use std::{borrow::Cow, fmt, mem, net::IpAddr};

use bartizan_core::{ClientAddr, Principal};

/// Whose requests a limit counts together: an address, a principal, a text, a number.
///
/// Borrows from the request; nothing of it is kept. A limiter in memory remembers a fixed 24 bytes per key:
/// addresses, numbers and texts of up to 16 bytes as they are, all else as a 128-bit SipHash under a secret of
/// the process. Keys of different kinds never meet: the text `7` is not the number 7.
///
/// ```
/// use bartizan_rate_limit::Key;
///
/// let tenant = Key::text("acme");
/// assert_eq!(format!("{tenant:?}"), "Key(text)", "a key may be a credential: it is not printed");
/// ```
#[derive(Clone)]
pub struct Key<'a>(pub(crate) Repr<'a>);

#[derive(Clone)]
pub(crate) enum Repr<'a> {
    Addr(IpAddr),
    Principal(&'a Principal),
    Credential(&'a Principal),
    Number(u64),
    Bytes(Cow<'a, [u8]>),
    Several(Box<[Key<'a>]>),
    /// What is left of a key once Redis was asked.
    #[cfg(feature = "redis")]
    Digest([u64; 2]),
    /// Requests without a key.
    Unknown,
}

impl<'a> Key<'a> {
    /// A caller's address: IPv4 whole, IPv6 by the prefix that [`ClientAddr::key`] says.
    pub fn client_addr(addr: ClientAddr) -> Self {
        Self(Repr::Addr(addr.key()))
    }

    /// An authenticated caller: its kind, issuer and subject, whatever credential it used.
    pub fn principal(principal: &'a Principal) -> Self {
        Self(Repr::Principal(principal))
    }

    /// The credential of an authenticated caller: its issuer and the credential's public id. `None` when it has
    /// no id.
    pub fn credential(principal: &'a Principal) -> Option<Self> {
        principal.credential_id().map(|_| Self(Repr::Credential(principal)))
    }

    /// Several keys as one: requests count together when all of them are the same, in the same order.
    pub fn tuple(keys: impl Into<Box<[Self]>>) -> Self {
        Self(Repr::Several(keys.into()))
    }

    /// A number.
    pub fn number(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// A text, borrowed or owned.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self(Repr::Bytes(match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }))
    }

    /// Bytes, such as a header's value. A text is the same key as its bytes.
    pub fn bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self(Repr::Bytes(bytes.into()))
    }

    /// Ends the key. As part of the caller this leaves nothing of one that owns no memory; what drops any key is too
    /// large to see through.
    #[inline(always)]
    pub(crate) fn end(self) {
        match self.0 {
            Repr::Bytes(_) | Repr::Several(_) => drop(self),
            Repr::Addr(_) | Repr::Principal(_) | Repr::Credential(_) | Repr::Number(_) | Repr::Unknown => {
                mem::forget(self);
            }
            #[cfg(feature = "redis")]
            Repr::Digest(_) => mem::forget(self),
        }
    }

    /// The key of all requests that have none.
    pub(crate) fn unknown() -> Self {
        Self(Repr::Unknown)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.0, Repr::Unknown)
    }

    /// The whole key, piece by piece, in an encoding that no two keys share: a byte for the kind, then the
    /// length of each part before the part. What a digest is made of.
    pub(crate) fn write_to(&self, write: &mut dyn FnMut(&[u8])) {
        fn part(write: &mut dyn FnMut(&[u8]), bytes: &[u8]) {
            write(&(bytes.len() as u64).to_le_bytes());
            write(bytes);
        }
        match &self.0 {
            Repr::Unknown => write(&[0]),
            Repr::Addr(IpAddr::V4(addr)) => {
                write(&[1]);
                write(&addr.octets());
            }
            Repr::Addr(IpAddr::V6(addr)) => {
                write(&[2]);
                write(&addr.octets());
            }
            Repr::Number(number) => {
                write(&[3]);
                write(&number.to_le_bytes());
            }
            Repr::Bytes(bytes) => {
                write(&[4]);
                part(write, bytes);
            }
            Repr::Principal(principal) => {
                write(&[5]);
                part(write, principal.kind().as_str().as_bytes());
                part(write, &[u8::from(principal.issuer().is_some())]);
                part(write, principal.issuer().unwrap_or_default().as_bytes());
                part(write, principal.subject().as_bytes());
            }
            Repr::Credential(principal) => {
                write(&[6]);
                part(write, &[u8::from(principal.issuer().is_some())]);
                part(write, principal.issuer().unwrap_or_default().as_bytes());
                part(write, principal.credential_id().unwrap_or_default().as_bytes());
            }
            Repr::Several(keys) => {
                write(&[7]);
                write(&(keys.len() as u64).to_le_bytes());
                keys.iter().for_each(|key| key.write_to(write));
            }
            #[cfg(feature = "redis")]
            Repr::Digest(digest) => {
                write(&[8]);
                digest.iter().for_each(|half| write(&half.to_le_bytes()));
            }
        }
    }
}

impl From<ClientAddr> for Key<'_> {
    fn from(addr: ClientAddr) -> Self {
        Self::client_addr(addr)
    }
}

impl<'a> From<&'a Principal> for Key<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self::principal(principal)
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Key<'_> {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<u64> for Key<'_> {
    fn from(number: u64) -> Self {
        Self::number(number)
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Repr::Addr(_) => "Key(address)",
            Repr::Principal(_) => "Key(principal)",
            Repr::Credential(_) => "Key(credential)",
            Repr::Several(_) => "Key(tuple)",
            Repr::Number(_) => "Key(number)",
            Repr::Bytes(_) => "Key(text)",
            #[cfg(feature = "redis")]
            Repr::Digest(_) => "Key(digest)",
            Repr::Unknown => "Key(unknown)",
        })
    }
}
