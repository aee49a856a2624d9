//! How keys are read, which are refused, and which a token means.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod mint;

use std::error::Error;

use aws_lc_rs::{encoding::AsDer, signature::KeyPair};
use bartizan_auth::{Algorithm, Algorithms, JwkSetError, KeyError, KeyQuery, KeySet, Lookup, VerifyingKey};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64},
};
use serde_json::{Value, json};

use self::mint::{ALL, RSA, Signer};

/// Self-signed, and the public key in it.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBfzCCASWgAwIBAgIUQELg1eFwAQy9Su9R4AKr33oP8JswCgYIKoZIzj0EAwIw\n\
FTETMBEGA1UEAwwKaWQuZXhhbXBsZTAeFw0yNjExMjQwMjQxNDFaFw0zNjExMjEw\n\
MjQxNDFaMBUxEzARBgNVBAMMCmlkLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAASMoXBOgdBImxI7p0w7EplBVjDCA6SjsfX2zXHOGU83P+qWmAJE9t8q\n\
NRiuWYTkstb+dxIXTOpnD1LcmLqkj9zlo1MwUTAdBgNVHQ4EFgQUjFn0ano0qtxo\n\
1OteHtKETPX1GmowHwYDVR0jBBgwFoAUjFn0ano0qtxo1OteHtKETPX1GmowDwYD\n\
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAgcmp80S2Vvqv3EpkktXyT\n\
0V2aX/V0OQhZFTEocaS9/QIhAOHHOMwJqSeDViu+HZKuC3Ea1xvGGZhUiaFwV+lK\n\
XX/1\n\
-----END CERTIFICATE-----\n\
";
const ITS_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjKFwToHQSJsSO6dMOxKZQVYwwgOk\n\
o7H19s1xzhlPNz/qlpgCRPbfKjUYrlmE5LLW/ncSF0zqZw9S3Ji6pI/c5Q==\n\
-----END PUBLIC KEY-----\n\
";

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

fn spki(signer: &Signer) -> Vec<u8> {
    match signer {
        Signer::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        Signer::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        Signer::Ed25519(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        Signer::Secret(_) => unreachable!("a secret is no public key"),
    }
}

#[test]
fn a_public_key_in_pem_is_the_one_in_jwk() {
    for algorithm in ALL.into_iter().filter(|one| !one.as_str().starts_with("HS")) {
        let signer = Signer::for_algorithm(algorithm);
        let read = VerifyingKey::from_pem(algorithm, &pem("PUBLIC KEY", &spki(&signer))).unwrap();
        assert_eq!(read, signer.key(algorithm));
        assert_ne!(read, Signer::for_algorithm(algorithm).key(algorithm));
    }
    let Signer::Rsa(pair) = &*RSA else { unreachable!() };
    let pkcs1 = pem("RSA PUBLIC KEY", pair.public_key().as_ref());
    assert_eq!(VerifyingKey::from_pem(Algorithm::Ps256, &pkcs1).unwrap(), RSA.key(Algorithm::Ps256));
    let key = |pem: &str| VerifyingKey::from_pem(Algorithm::Es256, pem.as_bytes()).unwrap();
    assert_eq!(key(CERTIFICATE), key(ITS_KEY));
}

#[test]
fn jwt_08_a_pem_that_is_no_usable_public_key_is_refused() {
    let read = |algorithm, pem: &[u8]| VerifyingKey::from_pem(algorithm, pem).unwrap_err();
    let rsa = spki(&RSA);
    assert_eq!(read(Algorithm::Es256, &pem("PUBLIC KEY", &rsa)), KeyError::WrongType);
    assert_eq!(read(Algorithm::Es384, ITS_KEY.as_bytes()), KeyError::WrongType);
    assert_eq!(read(Algorithm::Rs256, &pem("PRIVATE KEY", &rsa)), KeyError::Private);
    assert_eq!(read(Algorithm::Rs256, &pem("RSA PRIVATE KEY", &rsa)), KeyError::Private);
    for bad in [
        &b""[..],
        b"nonsense",
        &rsa,
        &pem("PUBLIC KEY", b"nonsense"),
        &pem("CERTIFICATE", &rsa),
        &pem("X", &rsa),
    ] {
        assert_eq!(read(Algorithm::Rs256, bad), KeyError::Malformed);
    }
    let truncated = &rsa[..rsa.len() - 1];
    assert_eq!(read(Algorithm::Rs256, &pem("PUBLIC KEY", truncated)), KeyError::Malformed);
    let mut off = spki(&Signer::for_algorithm(Algorithm::Es256));
    *off.last_mut().unwrap() ^= 1;
    assert_eq!(
        read(Algorithm::Es256, &pem("PUBLIC KEY", &off)),
        KeyError::Invalid,
        "JWT-16: not on its curve"
    );
}

#[test]
fn any_pem_is_read_without_a_panic() {
    bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
        let _ = VerifyingKey::from_pem(Algorithm::Rs256, bytes);
        for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
            assert!(VerifyingKey::from_pem(Algorithm::Rs256, &pem(label, bytes)).is_err());
        }
    });
}

fn jwk(signer: &Signer, changes: &Value) -> Value {
    let mut jwk = signer.jwk();
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn one(jwk: &Value, accepted: impl Into<Algorithms>) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::from_jwk(jwk.to_string().as_bytes(), accepted)
}

#[test]
fn jwt_08_jwt_16_a_weak_or_wrong_jwk_is_refused() {
    let weak = BASE64.encode([0xff; 128]);
    let ec = Signer::for_algorithm(Algorithm::Es256);
    let x = ec.jwk()["x"].as_str().unwrap().to_owned();
    for (jwk, algorithm, expected) in [
        (jwk(&RSA, &json!({"n": weak})), Algorithm::Rs256, KeyError::TooShort),
        (jwk(&RSA, &json!({"e": "AQ"})), Algorithm::Rs256, KeyError::WeakExponent),
        (jwk(&RSA, &json!({"e": "Ag"})), Algorithm::Rs256, KeyError::WeakExponent),
        (jwk(&RSA, &json!({"e": ""})), Algorithm::Rs256, KeyError::WeakExponent),
        (jwk(&RSA, &json!({"n": "not base64!"})), Algorithm::Rs256, KeyError::Malformed),
        (jwk(&RSA, &json!({"n": null})), Algorithm::Rs256, KeyError::Malformed),
        (jwk(&RSA, &json!({"n": 7})), Algorithm::Rs256, KeyError::Malformed),
        (jwk(&RSA, &json!({"d": "AA"})), Algorithm::Rs256, KeyError::Private),
        (jwk(&RSA, &json!({"use": "enc"})), Algorithm::Rs256, KeyError::NotForVerifying),
        (jwk(&RSA, &json!({"key_ops": ["sign"]})), Algorithm::Rs256, KeyError::NotForVerifying),
        (jwk(&RSA, &json!({"alg": "RS384"})), Algorithm::Rs256, KeyError::AlgorithmNotAccepted),
        (jwk(&RSA, &json!({"alg": "RSA-OAEP"})), Algorithm::Rs256, KeyError::UnknownAlgorithm),
        (jwk(&RSA, &json!({"alg": "ES256"})), Algorithm::Es256, KeyError::WrongType),
        (jwk(&RSA, &json!({"kid": ""})), Algorithm::Rs256, KeyError::BadKid),
        (jwk(&RSA, &json!({"kid": "k".repeat(257)})), Algorithm::Rs256, KeyError::BadKid),
        (jwk(&ec, &json!({"crv": "P-384"})), Algorithm::Es384, KeyError::Malformed),
        (jwk(&ec, &json!({"crv": "secp256k1"})), Algorithm::Es256, KeyError::UnknownType),
        (jwk(&ec, &json!({"y": x})), Algorithm::Es256, KeyError::Invalid),
        (jwk(&ec, &json!({"kty": "XX"})), Algorithm::Es256, KeyError::UnknownType),
        (
            json!({"kty": "OKP", "crv": "X25519", "x": BASE64.encode([9; 32])}),
            Algorithm::EdDsa,
            KeyError::UnknownType,
        ),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), Algorithm::EdDsa, KeyError::Malformed),
        (json!({"kty": "oct", "k": BASE64.encode([1; 31])}), Algorithm::Hs256, KeyError::TooShort),
        (json!([]), Algorithm::Hs256, KeyError::Malformed),
    ] {
        let error = one(&jwk, algorithm).unwrap_err();
        assert_eq!(error, expected, "{jwk}");
        assert!(!error.to_string().is_empty() && !error.as_str().contains(' '));
    }
    assert!(
        one(&jwk(&RSA, &json!({"use": "sig", "key_ops": ["verify"], "alg": "PS512"})), Algorithm::Ps512)
            .is_ok()
    );
}

#[test]
fn jwt_04_a_jwk_that_does_not_say_its_algorithm_is_bound_to_the_one_that_fits() {
    use Algorithm::{Ed25519, EdDsa, Es256, Hs256, Ps256, Rs256};
    let bound =
        |signer: &Signer, accepted: Algorithms| one(&signer.jwk(), accepted).map(|key| key.algorithm());
    assert_eq!(bound(&RSA, [Hs256, Rs256, Es256].into()), Ok(Rs256));
    assert_eq!(bound(&RSA, [Rs256, Ps256].into()), Err(KeyError::NoAlgorithm));
    assert_eq!(bound(&RSA, [Es256].into()), Err(KeyError::NoAlgorithm));
    let ed = Signer::for_algorithm(EdDsa);
    assert_eq!(bound(&ed, [EdDsa, Ed25519].into()), Err(KeyError::NoAlgorithm), "one key has one name");
}

#[test]
fn jwk_02_what_is_not_usable_spoils_nothing() {
    let good = jwk(&RSA, &json!({"kid": "good", "alg": "RS256", "use": "sig", "x5t": "ignored"}));
    let set = json!({"keys": [
        jwk(&RSA, &json!({"kid": "enc", "use": "enc"})),
        jwk(&RSA, &json!({"kid": "private", "d": "AA"})),
        jwk(&RSA, &json!({"kid": "private-enc", "use": "enc", "d": "AA"})),
        {"kty": "oct", "kid": "secret", "k": BASE64.encode([1; 64]), "alg": "HS256"},
        {"kty": "future", "kid": "future"},
        {"kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "EC", "kid": "curve", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"},
        {"kid": 7},
        "nonsense",
        null,
        good,
        jwk(&RSA, &json!({"kid": "other", "alg": "PS256"})),
        jwk(&RSA, &json!({"kid": "k".repeat(300)})),
    ], "extra": 1});
    let set = KeySet::from_jwks(set.to_string().as_bytes(), [Algorithm::Rs256, Algorithm::Hs256]).unwrap();
    assert!(set.keys().map(VerifyingKey::kid).eq([Some("good")]));
    let ignored: Vec<_> = set.ignored().iter().map(|key| (key.kid().unwrap_or("-"), key.reason())).collect();
    let long = "k".repeat(256);
    assert_eq!(
        ignored,
        [
            ("enc", KeyError::NotForVerifying),
            ("private", KeyError::Private),
            ("private-enc", KeyError::Private),
            ("secret", KeyError::Symmetric),
            ("future", KeyError::UnknownType),
            ("post-quantum", KeyError::UnknownType),
            ("curve", KeyError::UnknownType),
            ("short", KeyError::TooShort),
            ("-", KeyError::Malformed),
            ("-", KeyError::Malformed),
            ("-", KeyError::Malformed),
            ("other", KeyError::AlgorithmNotAccepted),
            (&long, KeyError::BadKid),
        ]
    );
}

#[test]
fn jwk_02_any_private_member_makes_a_key_private() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let signer = Signer::for_algorithm(algorithm);
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            for value in [json!("AQAB"), json!([{"r": "AQAB"}]), json!(null)] {
                if name == "k" && !value.is_string() {
                    continue;
                }
                let key = jwk(&signer, &json!({"kid": "1", name: value}));
                let set = json!({"keys": [key]}).to_string();
                let set = KeySet::from_jwks(set.as_bytes(), algorithm).unwrap();
                assert_eq!((set.len(), set.ignored()[0].reason()), (0, KeyError::Private), "{name}");
                let one = VerifyingKey::from_jwk(key.to_string().as_bytes(), algorithm);
                assert_eq!(one.unwrap_err(), KeyError::Private, "{algorithm:?} {name}");
            }
        }
    }
}

#[test]
fn jwk_02_a_text_that_is_no_set_is_refused_and_a_set_is_bounded() {
    let read = |text: &str| KeySet::from_jwks(text.as_bytes(), Algorithm::Rs256);
    for text in
        ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]"#, r#"{"keys":null}"#, r#"{"keys":[]}x"#]
    {
        assert!(matches!(read(text), Err(JwkSetError::Malformed)), "{text}");
    }
    assert!(read(r#"{"keys":[]}"#).unwrap().is_empty());
    let many = |count| json!({"keys": vec![json!({}); count]}).to_string();
    assert_eq!(read(&many(256)).unwrap().ignored().len(), 256);
    assert!(matches!(read(&many(257)), Err(JwkSetError::TooLarge)));
    let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(KeySet::MAX_BYTES));
    assert!(matches!(read(&long), Err(JwkSetError::TooLarge)));
    let missing = KeySet::from_jwks_file("/there/is/no/such/file", Algorithm::Rs256).unwrap_err();
    assert!(matches!(missing, JwkSetError::Io(_)) && missing.source().is_some());
}

#[test]
fn jwk_02_any_set_is_read_without_a_panic() {
    let all: Algorithms = ALL.into_iter().collect();
    bolero::check!().with_type::<(Vec<u8>, [String; 6])>().for_each(|(bytes, texts)| {
        let _ = KeySet::from_jwks(bytes, all);
        let [kid, alg, crv, n, e, x] = texts;
        for kty in ["RSA", "EC", "OKP", "oct"] {
            let key = json!({"kty": kty, "kid": kid, "alg": alg, "crv": crv, "n": n, "e": e, "x": x, "y": x, "k": x});
            let set = KeySet::from_jwks(json!({"keys": [key]}).to_string().as_bytes(), all).unwrap();
            assert_eq!(set.len() + set.ignored().len(), 1);
        }
    });
}

fn named(kid: Option<&str>, algorithm: Algorithm) -> VerifyingKey {
    let key = if algorithm.as_str().starts_with("HS") {
        Signer::secret()
    } else {
        Signer::for_algorithm(algorithm)
    };
    let key = key.key(algorithm);
    match kid {
        Some(kid) => key.with_kid(kid).unwrap(),
        None => key,
    }
}

fn found(set: &KeySet, kid: Option<&str>, algorithm: Algorithm) -> String {
    match set.find(&KeyQuery::new(algorithm, kid)) {
        Lookup::Found(key) => {
            assert_eq!(key.algorithm(), algorithm);
            key.kid().unwrap_or("-").to_owned()
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn jwk_02_two_keys_of_one_name_are_tried_only_if_the_algorithm_tells_them_apart() {
    let (es, ed) = (Algorithm::Es256, Algorithm::EdDsa);
    let set =
        KeySet::new([named(Some("a"), es), named(Some("a"), ed), named(Some("b"), es), named(Some("b"), es)]);
    assert_eq!(found(&set, Some("a"), es), "a");
    assert_eq!(found(&set, Some("a"), ed), "a");
    assert_eq!(found(&set, Some("b"), es), "Ambiguous");
    assert_eq!(found(&set, Some("b"), ed), "WrongAlgorithm");
    assert_eq!(found(&set, Some("a"), Algorithm::Rs256), "WrongAlgorithm");
    assert_eq!(found(&set, Some("c"), es), "Unknown");
}

#[test]
fn jwk_02_a_key_that_is_listed_twice_is_one_key() {
    let es = Algorithm::Es256;
    let (a, b) = (Signer::for_algorithm(es), Signer::for_algorithm(es));
    let set = json!({"keys": [
        jwk(&a, &json!({"kid": "a"})),
        jwk(&a, &json!({"kid": "a", "use": "sig", "x5t": "of another certificate"})),
        jwk(&b, &json!({"kid": "b"})),
        jwk(&a, &json!({"kid": "b"})),
    ]});
    let set = KeySet::from_jwks(set.to_string().as_bytes(), es).unwrap();
    assert_eq!((set.len(), set.ignored().len()), (3, 0));
    assert_eq!(found(&set, Some("a"), es), "a");
    assert_eq!(found(&set, Some("b"), es), "Ambiguous", "these are two");
}

#[test]
fn jwk_03_without_a_name_exactly_one_key_must_fit() {
    let (es, ed) = (Algorithm::Es256, Algorithm::EdDsa);
    let set = KeySet::new([named(Some("a"), es), named(Some("b"), ed), named(Some("c"), ed)]);
    assert_eq!(found(&set, None, es), "a");
    assert_eq!(found(&set, None, ed), "Ambiguous");
    assert_eq!(found(&set, None, Algorithm::Rs256), "Unknown");
    let set = KeySet::new([named(None, es), named(Some("a"), es)]);
    assert_eq!(found(&set, Some("a"), es), "a");
    assert_eq!(found(&set, Some("x"), es), "-", "a key without a name goes by any");
    assert_eq!(found(&set, None, es), "Ambiguous");
}

#[test]
fn a_set_knows_whether_it_has_all_keys_of_another() {
    let (one, other) = (named(Some("a"), Algorithm::Hs256), named(Some("b"), Algorithm::Hs256));
    let renamed = named(Some("c"), Algorithm::Hs256);
    let both = KeySet::new([named(Some("a"), Algorithm::Hs256), other]);
    let alone = KeySet::new([one]);
    assert!(both.is_superset(&alone) && !alone.is_superset(&both));
    assert!(!both.is_superset(&KeySet::from(renamed)));
}
