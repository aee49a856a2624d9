//! Tokens as an issuer makes them, and as nobody should.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::LazyLock;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use bartizan_auth::{Algorithm, JwtLayer, KeySet, TokenPolicy, VerifyingKey};
use bartizan_core::{Clock, ManualClock};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::Request;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const AUDIENCE: &str = "https://api.example";

/// The wall time of a manual clock at its start.
pub(crate) const NOW: u64 = 1_767_225_600;

/// A key that signs.
#[derive(Debug)]
pub(crate) enum Signer {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Made once: an RSA key takes its time.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);

impl Signer {
    pub(crate) fn secret() -> Self {
        Self::Secret(b"a secret that is long enough for every algorithm of its family, HS512".to_vec())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn for_algorithm(algorithm: Algorithm) -> Self {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(algorithm).unwrap();
        match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => Self::secret(),
            Algorithm::Es256 => Self::Ec(ec(&ECDSA_P256_SHA256_FIXED_SIGNING)),
            Algorithm::Es384 => Self::Ec(ec(&ECDSA_P384_SHA384_FIXED_SIGNING)),
            Algorithm::Es512 => Self::Ec(ec(&ECDSA_P521_SHA512_FIXED_SIGNING)),
            Algorithm::EdDsa | Algorithm::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            _ => Self::rsa(),
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Secret(secret) => {
                let hash = match algorithm {
                    Algorithm::Hs256 => hmac::HMAC_SHA256,
                    Algorithm::Hs384 => hmac::HMAC_SHA384,
                    _ => hmac::HMAC_SHA512,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of this header and these claims, whatever they say.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        self.token_of(algorithm, &header.to_string(), &claims.to_string())
    }

    pub(crate) fn token_of(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// A token with good claims but for these changes; a null takes one away.
    pub(crate) fn with(&self, algorithm: Algorithm, changes: &Value) -> String {
        self.token(algorithm, &json!({"alg": algorithm.as_str(), "typ": "JWT"}), &claims(changes))
    }

    pub(crate) fn good(&self, algorithm: Algorithm) -> String {
        self.with(algorithm, &json!({}))
    }

    /// The public half, or the secret, as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::Secret(secret) => json!({"kty": "oct", "k": BASE64.encode(secret)}),
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({
                    "kty": "RSA",
                    "n": BASE64.encode(n.big_endian_without_leading_zero()),
                    "e": BASE64.encode(e.big_endian_without_leading_zero()),
                })
            }
            Self::Ec(pair) => {
                let (x, y) = {
                    let point = &pair.public_key().as_ref()[1..];
                    point.split_at(point.len() / 2)
                };
                let crv = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": crv, "x": BASE64.encode(x), "y": BASE64.encode(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key())})
            }
        }
    }

    pub(crate) fn key(&self, algorithm: Algorithm) -> VerifyingKey {
        VerifyingKey::from_jwk(self.jwk().to_string().as_bytes(), algorithm).unwrap()
    }

    pub(crate) fn keys(&self, algorithm: Algorithm) -> KeySet {
        KeySet::from(self.key(algorithm))
    }
}

/// Good claims but for these changes; a null takes one away.
pub(crate) fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "exp": NOW + 600,
        "iat": NOW,
        "jti": "token-1",
        "client_id": "app",
        "scope": "orders:read orders:write",
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(crate) const ALL: [Algorithm; 14] = [
    Algorithm::Hs256,
    Algorithm::Hs384,
    Algorithm::Hs512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
    Algorithm::Ed25519,
];

pub(crate) fn policy() -> TokenPolicy {
    TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap()
}

/// A layer that stands at [`NOW`].
pub(crate) fn layer(keys: impl Into<KeySet>) -> JwtLayer<KeySet> {
    JwtLayer::new(keys.into(), policy()).with_clock(Clock::from(ManualClock::new()))
}

/// The same, for tokens of [`Signer::secret`].
pub(crate) fn secret_layer() -> JwtLayer<KeySet> {
    layer(Signer::secret().keys(Algorithm::Hs256))
}

/// A good token of [`Signer::secret`].
pub(crate) fn good() -> String {
    Signer::secret().good(Algorithm::Hs256)
}

pub(crate) fn with(headers: &[(&'static str, &str)]) -> Request<String> {
    let request =
        headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    request.body(String::new()).unwrap()
}

pub(crate) fn bearer(token: &str) -> Request<String> {
    with(&[("authorization", &format!("Bearer {token}"))])
}
