//! A proof: a JWT that brings its own key, and is believed about nothing else than that its sender holds it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Algorithm, Algorithms, Failure, VerifyingKey,
    jwt::{Compact, Ignored, MAX_SIGNATURE, Segment, decode_signature},
    key::sha256,
    pop::Thumbprint,
};

/// The most bytes of a proof. One with an RSA key of 4096 bits has 2500.
const MAX: usize = 8 * 1024;

/// The longest id that is taken. What is remembered of it is a hash.
const MAX_ID: usize = 256;

/// What a proof that is well formed and well signed says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// The key that signed it.
    pub(super) key: Thumbprint,
    /// `jti`
    pub(super) id: String,
    /// `htm`
    pub(super) method: String,
    /// `htu`
    pub(super) target: String,
    /// `iat`, since 1970
    pub(super) issued_at: Duration,
    /// `ath`: SHA-256 of the token.
    pub(super) token: [u8; 32],
    pub(super) nonce: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: f64,
    ath: String,
    nonce: Option<String>,
}

impl Proof {
    /// Everything of RFC 9449 section 4.3 that can be seen without the request.
    pub(super) fn read(proof: &[u8], accepted: Algorithms) -> Result<Self, Failure> {
        Self::read_signed(proof, accepted).ok_or(Failure::InvalidProof)
    }

    fn read_signed(proof: &[u8], accepted: Algorithms) -> Option<Self> {
        if proof.len() > MAX {
            return None;
        }
        let compact = Compact::split(proof).ok()?;
        let mut signature = [0; MAX_SIGNATURE];
        let signature = decode_signature(compact.signature, &mut signature).ok()?;
        let mut segment = Segment::<512>::new();
        let header: Map<String, Value> = object(segment.text(compact.header).ok()?)?;
        let claims: Claims = object(segment.text(compact.payload).ok()?)?;

        let text = |name| header.get(name).and_then(Value::as_str);
        if !text("typ")?.eq_ignore_ascii_case("dpop+jwt") {
            return None;
        }
        // No extension is understood, so none may be critical.
        if ["crit", "b64", "enc"].iter().any(|name| header.contains_key(*name)) {
            return None;
        }
        let algorithm = Algorithm::from_name(text("alg")?).filter(|one| accepted.contains(*one))?;
        let (key, thumbprint) = public_key(header.get("jwk")?.as_object()?, algorithm)?;
        if claims.jti.is_empty() || claims.jti.len() > MAX_ID || !key.verify(compact.signed, signature) {
            return None;
        }
        Some(Self {
            key: thumbprint,
            id: claims.jti,
            method: claims.htm,
            target: claims.htu,
            issued_at: Duration::try_from_secs_f64(claims.iat).ok()?,
            token: BASE64_URL_SAFE_NO_PAD.decode(claims.ath).ok()?.try_into().ok()?,
            nonce: claims.nonce,
        })
    }
}

/// A JSON object in which no name occurs twice (JWT-07).
fn object<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
    if !json.trim_ascii_start().starts_with('{') {
        return None;
    }
    serde_json::from_str::<Ignored>(json).ok()?;
    serde_json::from_str(json).ok()
}

/// The key, and its thumbprint (RFC 7638 section 3): of the members that it consists of, in the order of their names.
fn public_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<(VerifyingKey, Thumbprint)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let required: &[&str] = match text("kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let json = serde_json::to_vec(jwk).ok()?;
    let key = VerifyingKey::from_jwk(&json, algorithm).ok()?;
    // The key was accepted, so these are base64url and names: there is nothing to escape.
    let member = |name: &&str| text(name).map(|value| format!("\"{name}\":\"{value}\""));
    let members = required.iter().map(member).collect::<Option<Vec<_>>>()?;
    Some((key, sha256(format!("{{{}}}", members.join(",")).as_bytes())))
}

#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod tests {
    use super::*;

    /// The example of RFC 7638 section 3.1.
    #[test]
    fn pop_01_a_thumbprint_is_that_of_rfc_7638() {
        let jwk = serde_json::json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
            "alg": "RS256",
            "kid": "2011-04-29",
        });
        let jwk = jwk.as_object().unwrap();
        let (_, thumbprint) = public_key(jwk, Algorithm::Rs256).unwrap();
        let expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(thumbprint), expected);
        assert!(public_key(jwk, Algorithm::Ps256).is_none(), "the key says what it is for");
        assert!(public_key(jwk, Algorithm::Es256).is_none());
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            let mut jwk = jwk.clone();
            jwk.insert(name.to_owned(), "AQAB".into());
            assert!(public_key(&jwk, Algorithm::Rs256).is_none(), "a private key: {name}");
        }
    }

    #[test]
    fn pop_01_any_proof_is_read_without_a_panic() {
        let accepted = Algorithms::from([Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]);
        bolero::check!().with_type::<(Vec<u8>, String, String)>().for_each(|(bytes, header, payload)| {
            assert_eq!(Proof::read(bytes, accepted), Err(Failure::InvalidProof));
            let quoted = serde_json::to_string(header).unwrap();
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":{quoted}}}"#);
            let real = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{jwk}}}"#);
            for header in [header, &real] {
                let parts = [header.as_bytes(), payload.as_bytes(), bytes]
                    .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
                assert_eq!(Proof::read(parts.join(".").as_bytes(), accepted), Err(Failure::InvalidProof));
            }
        });
    }
}
