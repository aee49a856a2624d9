use std::{fmt, str::FromStr};

use bytes::Bytes;
use http::HeaderValue;

/// The longest id that is taken.
const MAX: usize = 128;

/// An id that is not 1 to 128 characters of `[A-Za-z0-9._~+/=:@-]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdError {
    /// Empty.
    Empty,
    /// Longer than 128 characters.
    TooLong,
    /// Holds a character outside the alphabet.
    BadCharacter,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the id is empty",
            Self::TooLong => "the id is longer than 128 characters",
            Self::BadCharacter => "the id holds a character outside [A-Za-z0-9._~+/=:@-]",
        })
    }
}

impl std::error::Error for IdError {}

fn check(bytes: &[u8]) -> Result<(), IdError> {
    match bytes.len() {
        0 => Err(IdError::Empty),
        1..=MAX if are_good(bytes) => Ok(()),
        1..=MAX => Err(IdError::BadCharacter),
        _ => Err(IdError::TooLong),
    }
}

/// One flag per byte: 1 if an id may hold it.
const ALPHABET: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let char = byte as u8;
        let is_good = char.is_ascii_alphanumeric()
            || matches!(char, b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':' | b'@' | b'-');
        table[byte] = is_good as u8;
        byte += 1;
    }
    table
};

/// No early exit: bad bytes are rare, and two instructions for each byte without a branch are the shorter way.
fn are_good(bytes: &[u8]) -> bool {
    let is_good = |good, byte: &u8| good & ALPHABET[usize::from(*byte)];
    let (chunks, rest) = bytes.as_chunks::<4>();
    let good = chunks.iter().fold(1, |good, chunk| chunk.iter().fold(good, is_good));
    rest.iter().fold(good, is_good) == 1
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name($inner);

        impl $name {
            /// An id from its bytes, without copying them.
            ///
            /// # Errors
            ///
            /// When the bytes are not 1 to 128 characters of `[A-Za-z0-9._~+/=:@-]`.
            pub fn new(bytes: impl Into<Bytes>) -> Result<Self, IdError> {
                let bytes = bytes.into();
                check(&bytes)?;
                HeaderValue::from_maybe_shared(bytes).map(Self::wrap).map_err(|_| IdError::BadCharacter)
            }

            /// An id from a header, sharing its bytes.
            ///
            /// # Errors
            ///
            /// As [`new`](Self::new).
            pub fn from_header(value: &HeaderValue) -> Result<Self, IdError> {
                check(value.as_bytes())?;
                let mut value = value.clone();
                value.set_sensitive(false);
                Ok(Self::wrap(value))
            }

            /// The id.
            pub fn as_str(&self) -> &str {
                // The alphabet is ASCII: this never falls back.
                self.value().to_str().unwrap_or_default()
            }

            /// The bytes of the id: ASCII, and none that a JSON string must escape.
            pub fn as_bytes(&self) -> &[u8] {
                self.value().as_bytes()
            }

            /// The id as a header value; sharing, not copying.
            pub fn to_header(&self) -> HeaderValue {
                self.value().clone()
            }
        }

        /// As [`new`](Self::new), from a copy of the text.
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text.as_bytes())?;
                HeaderValue::from_str(text).map(Self::wrap).map_err(|_| IdError::BadCharacter)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

id! {
    /// The id of the workflow a request belongs to: `x-correlation-id`. The same alphabet as [`RequestId`].
    CorrelationId(HeaderValue)
}

id! {
    /// The id of one request: `x-request-id`. 1 to 128 characters of `[A-Za-z0-9._~+/=:@-]`.
    // It holds a correlation id, so that it can be lent as one.
    RequestId(CorrelationId)
}

impl CorrelationId {
    fn wrap(value: HeaderValue) -> Self {
        Self(value)
    }

    fn value(&self) -> &HeaderValue {
        &self.0
    }
}

impl RequestId {
    fn wrap(value: HeaderValue) -> Self {
        Self(CorrelationId(value))
    }

    fn value(&self) -> &HeaderValue {
        &self.0.0
    }

    /// The id of the workflow that is this request alone.
    pub fn as_correlation_id(&self) -> &CorrelationId {
        &self.0
    }
}

impl From<RequestId> for CorrelationId {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cid_02_only_the_alphabet_and_128_characters_pass() {
        let longest = "x".repeat(128);
        for good in ["a", "AZaz09._~+/=:@-", longest.as_str()] {
            assert_eq!(RequestId::new(good.to_owned()).unwrap().as_str(), good);
            assert_eq!(good.parse(), RequestId::new(good.to_owned()));
            assert_eq!(good.parse(), CorrelationId::new(good.to_owned()));
        }
        let too_long = "x".repeat(129);
        for (bad, error) in [
            ("", IdError::Empty),
            (too_long.as_str(), IdError::TooLong),
            ("a b", IdError::BadCharacter),
            ("a,b", IdError::BadCharacter),
            ("a\u{1b}[0m", IdError::BadCharacter),
            ("a\r\nb", IdError::BadCharacter),
            ("\u{2028}", IdError::BadCharacter),
            ("%0d%0a", IdError::BadCharacter),
        ] {
            assert_eq!(RequestId::new(bad.to_owned()), Err(error), "{bad:?}");
            assert_eq!(bad.parse::<RequestId>(), Err(error), "{bad:?}");
            assert_eq!(bad.parse::<CorrelationId>(), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn cid_02_every_byte_is_judged_at_every_place() {
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=:@-".contains(&byte);
        for length in [1, 2, 36, 128] {
            for place in [0, length - 1] {
                for byte in 0..=u8::MAX {
                    let mut id = vec![b'a'; length];
                    id[place] = byte;
                    assert_eq!(RequestId::new(id).is_ok(), alphabet(byte), "{byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn cid_05_no_accepted_id_holds_a_byte_that_a_log_line_must_escape() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if let Ok(id) = CorrelationId::new(bytes.to_vec()) {
                assert_eq!(serde_json::to_string(id.as_str()).unwrap(), format!("\"{id}\""));
                assert_eq!(id.as_str().as_bytes(), bytes);
            }
        });
    }
}
