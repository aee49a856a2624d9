//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{IgnoredKey, JwkSetError, KeyError, KeySet, Material, VerifyingKey};
use crate::jwt::{Algorithm, Algorithms, KeyQuery, algorithm::Curve, crypto};

/// One key, which may be a shared secret.
pub(super) fn read_one(jwk: &[u8], accepted: Algorithms) -> Result<VerifyingKey, KeyError> {
    let raw: RawJwk = serde_json::from_slice(jwk).map_err(|_| KeyError::Malformed)?;
    match raw.algorithms(accepted)?.as_slice() {
        [algorithm] => raw.key(*algorithm),
        _ => Err(KeyError::NoAlgorithm),
    }
}

/// The usable public keys of a set, and the others.
pub(super) fn read_set(
    jwks: &[u8],
    accepted: Algorithms,
) -> Result<(Vec<VerifyingKey>, Vec<IgnoredKey>), JwkSetError> {
    // Said once, and not of each key.
    if !crypto::IS_THERE {
        return Err(JwkSetError::NoBackEnd);
    }
    if jwks.len() > KeySet::MAX_BYTES {
        return Err(JwkSetError::TooLarge);
    }
    let set: RawSet = serde_json::from_slice(jwks).map_err(|_| JwkSetError::Malformed)?;
    if set.keys.len() > KeySet::MAX_KEYS {
        return Err(JwkSetError::TooLarge);
    }
    let (mut keys, mut ignored) = (Vec::new(), Vec::new());
    for key in set.keys {
        let kid = key.get("kid").and_then(Value::as_str).map(|kid| cut(kid).into());
        match read_public(key, accepted) {
            // One that is listed twice is one key, and no reason to be in doubt which of the two is meant.
            Ok(read) => read.into_iter().for_each(|key| {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }),
            Err(reason) => ignored.push(IgnoredKey { kid, reason }),
        }
    }
    Ok((keys, ignored))
}

fn cut(kid: &str) -> &str {
    let mut end = kid.len().min(KeyQuery::MAX_KID);
    while !kid.is_char_boundary(end) {
        end -= 1;
    }
    &kid[..end]
}

/// A public key, under each name of its algorithm.
fn read_public(key: Value, accepted: Algorithms) -> Result<Vec<VerifyingKey>, KeyError> {
    let raw = RawJwk::deserialize(key).map_err(|_| KeyError::Malformed)?;
    if raw.kty == "oct" {
        return Err(KeyError::Symmetric);
    }
    raw.algorithms(accepted)?.into_iter().map(|algorithm| raw.key(algorithm)).collect()
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawJwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<Zeroizing<String>>,
    // The members of which no public key has any (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
    #[serde(default)]
    d: Present,
    #[serde(default)]
    p: Present,
    #[serde(default)]
    q: Present,
    #[serde(default)]
    dp: Present,
    #[serde(default)]
    dq: Present,
    #[serde(default)]
    qi: Present,
    #[serde(default)]
    oth: Present,
}

/// Whether a member is there, whatever it is.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

impl RawJwk {
    /// The accepted algorithms that the key is for: one, or the two names of one.
    fn algorithms(&self, accepted: Algorithms) -> Result<Vec<Algorithm>, KeyError> {
        // First: whatever the key is for, its owner must learn that everybody has it.
        if self.is_private() {
            return Err(KeyError::Private);
        }
        self.check_use()?;
        let material = self.material()?;
        if let Some(name) = &self.alg {
            let algorithm = Algorithm::from_name(name).ok_or(KeyError::UnknownAlgorithm)?;
            if !material.fits(algorithm) {
                return Err(KeyError::WrongType);
            }
            return if accepted.contains(algorithm) {
                Ok(vec![algorithm])
            } else {
                Err(KeyError::AlgorithmNotAccepted)
            };
        }
        let fitting: Vec<_> = accepted.iter().filter(|algorithm| material.fits(*algorithm)).collect();
        match (&material, fitting.len()) {
            (_, 1) | (Material::Ed25519(_), 2) => Ok(fitting),
            _ => Err(KeyError::NoAlgorithm),
        }
    }

    /// Most of these members are enough to find the others.
    fn is_private(&self) -> bool {
        let Self { d, p, q, dp, dq, qi, oth, .. } = self;
        [d, p, q, dp, dq, qi, oth].iter().any(|member| member.0) || (self.k.is_some() && self.kty != "oct")
    }

    fn check_use(&self) -> Result<(), KeyError> {
        let usage = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let ops = self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if usage && ops { Ok(()) } else { Err(KeyError::NotForVerifying) }
    }

    fn material(&self) -> Result<Material, KeyError> {
        match &*self.kty {
            "oct" => Ok(Material::Secret(Zeroizing::new(decode(self.k.as_deref())?))),
            "RSA" => Ok(Material::rsa(&decode(self.n.as_ref())?, &decode(self.e.as_ref())?)),
            "EC" => {
                let curve = Curve::from_name(self.crv()?).ok_or(KeyError::UnknownType)?;
                let (x, y) = (decode(self.x.as_ref())?, decode(self.y.as_ref())?);
                if x.len() != curve.coordinate_len() {
                    return Err(KeyError::Malformed);
                }
                Material::ec(curve, [vec![4], x, y].concat())
            }
            "OKP" if self.crv()? == "Ed25519" => {
                let point = decode(self.x.as_ref())?.try_into().map_err(|_| KeyError::Malformed)?;
                Ok(Material::Ed25519(point))
            }
            _ => Err(KeyError::UnknownType),
        }
    }

    fn crv(&self) -> Result<&str, KeyError> {
        self.crv.as_deref().ok_or(KeyError::Malformed)
    }

    fn key(&self, algorithm: Algorithm) -> Result<VerifyingKey, KeyError> {
        let key = VerifyingKey::from_material(algorithm, &self.material()?)?;
        match &self.kid {
            Some(kid) => key.with_kid(kid),
            None => Ok(key),
        }
    }
}

fn decode(text: Option<&String>) -> Result<Vec<u8>, KeyError> {
    let text = text.ok_or(KeyError::Malformed)?;
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Malformed)
}
