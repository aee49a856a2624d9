//! The header of a token (RFC 7515 section 4), of which little is believed.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::members::{Ignored, Names, Text, place_text};
use crate::{
    Failure,
    jwt::{Algorithm, KeyQuery},
};

/// What a header says that is of use. `jwk`, `jku`, `x5u` and `x5c` are not (JWT-05).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<Cow<'a, str>>,
    pub(crate) kind: Kind,
}

/// What a token says it is (RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing said.
    Unsaid,
    /// `JWT`
    Jwt,
    /// `at+jwt`
    AccessToken,
    /// `id_token+jwt`, `logout+jwt`, `dpop+jwt` and whatever comes.
    Other,
}

impl Kind {
    /// Media types compare without case, and with or without `application/` (RFC 7515 section 4.1.9).
    fn of(typ: &str) -> Self {
        const PREFIX: &str = "application/";
        let subtype = match typ.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
            _ => typ,
        };
        if subtype.eq_ignore_ascii_case("at+jwt") {
            Self::AccessToken
        } else if subtype.eq_ignore_ascii_case("jwt") {
            Self::Jwt
        } else {
            Self::Other
        }
    }
}

impl<'a> Header<'a> {
    /// # Errors
    ///
    /// When the header is malformed, names an algorithm that does not exist, is one of an encrypted token, wants
    /// an extension to be understood (none is), or has a `kid` that no key has.
    pub(crate) fn read(json: &'a str) -> Result<Self, Failure> {
        let Raw { alg, kid, typ, demands } = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
        if demands {
            return Err(Failure::Unsupported);
        }
        let algorithm = alg.as_deref().ok_or(Failure::Malformed)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(Failure::WrongAlgorithm)?;
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > KeyQuery::MAX_KID) {
            return Err(Failure::UnknownKey);
        }
        Ok(Self { algorithm, kid, kind: typ.map_or(Kind::Unsaid, |typ| Kind::of(&typ)) })
    }
}

struct Raw<'a> {
    alg: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    /// Whether it wants something done that we do not do.
    demands: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;

        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut raw = Raw { alg: None, kid: None, typ: None, demands: false };
                let mut names = Names::new();
                while let Some(Text(name)) = members.next_key()? {
                    match &*name {
                        "alg" => place_text(&mut members, &mut names, &mut raw.alg)?,
                        "kid" => place_text(&mut members, &mut names, &mut raw.kid)?,
                        "typ" => place_text(&mut members, &mut names, &mut raw.typ)?,
                        other => {
                            names.add(other)?;
                            members.next_value::<Ignored>()?;
                            // No extension is understood, so none may be critical. `b64` would have to be.
                            raw.demands |= matches!(other, "crit" | "b64" | "enc");
                        }
                    }
                }
                Ok(raw)
            }
        }

        deserializer.deserialize_map(RawVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jwt_03_the_algorithm_is_one_that_exists_in_its_one_spelling() {
        assert_eq!(Header::read(r#"{"alg":"RS256"}"#).unwrap().algorithm, Algorithm::Rs256);
        for alg in ["none", "None", "noNE", "NONE", "", "rs256", "RS256 ", "HS1", "A256GCM"] {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            assert_eq!(Header::read(&header).unwrap_err(), Failure::WrongAlgorithm, "{alg}");
        }
        for header in [r#"{"typ":"JWT"}"#, r#"{"alg":null}"#, r#"{"alg":["RS256"]}"#, r#"{"alg":1}"#] {
            assert_eq!(Header::read(header).unwrap_err(), Failure::Malformed, "{header}");
        }
    }

    #[test]
    fn jwt_05_keys_in_the_header_are_not_looked_at() {
        let header =
            r#"{"alg":"ES256","jwk":{"kty":"oct","k":"AA"},"jku":"http://a","x5u":"http://a","x5c":["AA"]}"#;
        let expected = Header { algorithm: Algorithm::Es256, kid: None, kind: Kind::Unsaid };
        assert_eq!(Header::read(header).unwrap(), expected);
        let kid = |kid: &str| Header::read(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#)).map(|_| ());
        assert_eq!(kid(&"k".repeat(256)), Ok(()));
        assert_eq!(kid(&"k".repeat(257)), Err(Failure::UnknownKey));
        assert_eq!(kid(""), Err(Failure::UnknownKey));
        assert_eq!(Header::read(r#"{"alg":"ES256","kid":7}"#).unwrap_err(), Failure::Malformed);
    }

    #[test]
    fn jwt_06_no_extension_is_understood() {
        for member in [
            r#""crit":["exp"],"exp":1"#,
            r#""crit":[]"#,
            r#""crit":"b64""#,
            r#""crit":["b64"],"b64":false"#,
            r#""b64":false"#,
        ] {
            let header = format!(r#"{{"alg":"ES256",{member}}}"#);
            assert_eq!(Header::read(&header).unwrap_err(), Failure::Unsupported, "{member}");
        }
    }

    #[test]
    fn jwt_09_an_encrypted_token_is_refused() {
        let header = r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#;
        assert_eq!(Header::read(header).unwrap_err(), Failure::Unsupported);
        let header = r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#;
        assert_eq!(Header::read(header).unwrap_err(), Failure::Unsupported);
    }

    #[test]
    fn jwt_07_a_header_is_an_object_without_repetitions() {
        for header in [
            "",
            "null",
            "[]",
            "\"a\"",
            "1",
            "{",
            r#"{"alg":"ES256"}{}"#,
            r#"{"alg":"ES256","alg":"none"}"#,
            r#"{"alg":"ES256","x":{"y":1,"y":2}}"#,
            "\u{feff}{\"alg\":\"ES256\"}",
            r#"{"alg":"\ud800"}"#,
        ] {
            assert_eq!(Header::read(header).unwrap_err(), Failure::Malformed, "{header}");
        }
    }

    #[test]
    fn jwt_14_types_compare_without_case_and_with_or_without_their_prefix() {
        for (typ, expected) in [
            ("at+jwt", Kind::AccessToken),
            ("AT+JWT", Kind::AccessToken),
            ("Application/At+Jwt", Kind::AccessToken),
            ("JWT", Kind::Jwt),
            ("application/jwt", Kind::Jwt),
            ("logout+jwt", Kind::Other),
            ("dpop+jwt", Kind::Other),
            ("application/", Kind::Other),
            ("x/at+jwt", Kind::Other),
            ("", Kind::Other),
        ] {
            let header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
            assert_eq!(Header::read(&header).unwrap().kind, expected, "{typ}");
        }
    }

    #[test]
    fn jwt_07_any_header_is_read_without_a_panic() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let _ = Header::read(text);
            let quoted = serde_json::to_string(text).unwrap();
            let header = format!(r#"{{"alg":"ES256","kid":{quoted},"typ":{quoted}}}"#);
            match Header::read(&header) {
                Ok(header) => assert_eq!(header.kid.as_deref(), Some(text.as_str())),
                Err(failure) => {
                    assert!(failure == Failure::UnknownKey && (text.is_empty() || text.len() > 256));
                }
            }
        });
    }
}
