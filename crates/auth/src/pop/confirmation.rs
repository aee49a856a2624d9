//! `cnf`: what a caller must hold for a token to be theirs (RFC 7800 section 3.1).

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use crate::jwt::{Ignored, Names, Text};

/// SHA-256 of a key (RFC 7638), or of a certificate.
pub(crate) type Thumbprint = [u8; 32];

/// What a token is bound to. All that is there must be proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confirmation {
    /// `jkt` (RFC 9449 section 6.1).
    pub(crate) key: Option<Thumbprint>,
    /// `x5t#S256` (RFC 8705 section 3.1).
    pub(crate) certificate: Option<Thumbprint>,
    /// Something that nobody here can ask for a proof of.
    pub(crate) is_beyond_us: bool,
}

impl<'de> Deserialize<'de> for Confirmation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConfirmationVisitor;

        impl<'de> Visitor<'de> for ConfirmationVisitor {
            type Value = Confirmation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a confirmation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut confirmation = Confirmation::default();
                let mut names = Names::new();
                while let Some(Text(name)) = members.next_key()? {
                    names.add(&name)?;
                    match &*name {
                        "jkt" => confirmation.key = Some(thumbprint(&mut members)?),
                        "x5t#S256" => confirmation.certificate = Some(thumbprint(&mut members)?),
                        // To ignore it, as RFC 7800 would, is to take a bound token from whoever has it.
                        _ => {
                            members.next_value::<Ignored>()?;
                            confirmation.is_beyond_us = true;
                        }
                    }
                }
                confirmation.is_beyond_us |= confirmation == Confirmation::default();
                Ok(confirmation)
            }
        }

        deserializer.deserialize_map(ConfirmationVisitor)
    }
}

fn thumbprint<'de, A: MapAccess<'de>>(members: &mut A) -> Result<Thumbprint, A::Error> {
    let Text(text) = members.next_value()?;
    // One byte more than there may be: what is longer does not fit.
    let mut bytes = [0; 33];
    match BASE64_URL_SAFE_NO_PAD.decode_slice(&*text, &mut bytes) {
        Ok(32) => Ok(std::array::from_fn(|index| bytes[index])),
        _ => Err(A::Error::custom("not a thumbprint")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Confirmation> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn pop_02_what_a_token_is_bound_to_is_read_in_full_or_refused() {
        let key = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
        let bound = Confirmation { key: Some([7; 32]), ..Confirmation::default() };
        assert_eq!(read(&format!(r#"{{"jkt":"{key}"}}"#)), Some(bound));
        let both = read(&format!(r#"{{"jkt":"{key}","x5t#S256":"{key}"}}"#));
        assert_eq!(both, Some(Confirmation { certificate: Some([7; 32]), ..bound }));
        for json in [r#"{}"#, r#"{"kid":"a"}"#, r#"{"jwk":{"kty":"EC"}}"#, r#"{"x5t":"AAAA"}"#] {
            assert!(read(json).unwrap().is_beyond_us, "{json}");
        }
        assert!(read(&format!(r#"{{"jkt":"{key}","jku":"a"}}"#)).unwrap().is_beyond_us);
        let (short, long) = (&key[1..], format!("{key}AA"));
        for value in ["\"\"", "null", "1", "[]", &format!("\"{short}\""), &format!("\"{long}\""), "\"a b\""] {
            assert_eq!(read(&format!(r#"{{"jkt":{value}}}"#)), None, "{value}");
            assert_eq!(read(&format!(r#"{{"x5t#S256":{value}}}"#)), None, "{value}");
        }
        assert_eq!(read(&format!(r#"{{"jkt":"{key}","jkt":"{key}"}}"#)), None, "said twice");
        for json in ["null", "[]", "\"a\"", "true"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn pop_02_any_confirmation_is_read_without_a_panic() {
        bolero::check!().with_type::<(String, String)>().for_each(|(name, value)| {
            let json = serde_json::json!({name: value}).to_string();
            if let Some(confirmation) = read(&json) {
                assert_ne!(confirmation, Confirmation::default(), "no bound token becomes a free one");
            }
        });
    }
}
