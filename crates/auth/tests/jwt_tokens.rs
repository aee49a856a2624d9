//! Which tokens are accepted, with every algorithm, and which never are.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod mint;
mod support;

use std::{collections::HashSet, time::Duration};

use aws_lc_rs::signature::KeyPair;
use bartizan_auth::{Algorithm, JwtLayer, KeySet, SharedKeys, TokenPolicy, VerifyingKey};
use bartizan_core::{Clock, ManualClock, PrincipalKind, Rejection};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use self::{
    mint::{ALL, AUDIENCE, ISSUER, NOW, RSA, Signer, bearer, layer, policy},
    support::{Seen, send},
};

async fn present(layer: &JwtLayer<KeySet>, token: &str) -> Seen {
    send(layer, bearer(token)).await
}

/// Why a token is refused, as logs say it; `accepted` if it is not.
async fn verdict(layer: &JwtLayer<KeySet>, token: &str) -> String {
    let seen = present(layer, token).await;
    match seen.response.extensions().get::<Rejection>() {
        Some(rejection) => {
            assert!(seen.handled.is_none());
            assert_eq!(seen.status(), 401, "{rejection:?}");
            rejection.cause().unwrap().to_owned()
        }
        None => "accepted".to_owned(),
    }
}

/// A token whose header says these things, otherwise good, signed under `algorithm`.
fn headed(signer: &Signer, algorithm: Algorithm, header: &str) -> String {
    signer.token_of(algorithm, header, &mint::claims(&json!({})).to_string())
}

#[tokio::test]
async fn jwt_04_each_algorithm_verifies_its_own_tokens_and_no_others() {
    for own in ALL {
        let signer = Signer::for_algorithm(own);
        let layer = layer(signer.keys(own));
        let seen = present(&layer, &signer.good(own)).await;
        assert_eq!(seen.principal().unwrap().subject(), "alice", "{own}");
        for other in ALL {
            let token = headed(&signer, own, &json!({"alg": other.as_str()}).to_string());
            let expected = if own == other { "accepted" } else { "unknown_key" };
            assert_eq!(verdict(&layer, &token).await, expected, "{own} said to be {other}");
        }
    }
}

#[tokio::test]
async fn jwt_04_the_public_key_is_no_secret() {
    let layer = layer(RSA.keys(Algorithm::Rs256));
    let Signer::Rsa(pair) = &*RSA else { unreachable!() };
    let modulus = BASE64.decode(RSA.jwk()["n"].as_str().unwrap()).unwrap();
    for public in [modulus, pair.public_key().as_ref().to_vec()] {
        let token = Signer::Secret(public).good(Algorithm::Hs256);
        assert_eq!(verdict(&layer, &token).await, "unknown_key");
    }
}

#[tokio::test]
async fn jwt_04_a_key_that_is_called_by_name_is_for_its_algorithm_alone() {
    let key = RSA.key(Algorithm::Rs256).with_kid("a").unwrap();
    let layer = layer(key);
    for (alg, expected) in [(Algorithm::Rs256, "accepted"), (Algorithm::Ps256, "wrong_algorithm")] {
        let header = json!({"alg": alg.as_str(), "kid": "a"}).to_string();
        assert_eq!(verdict(&layer, &headed(&RSA, alg, &header)).await, expected);
    }
}

#[tokio::test]
async fn jwt_03_an_unsigned_token_never_passes() {
    let layer = layer(RSA.keys(Algorithm::Rs256));
    let body = BASE64.encode(mint::claims(&json!({})).to_string());
    for alg in ["none", "None", "NONE", "noNE", "", "rs256", "RS256\u{0}"] {
        let header = BASE64.encode(json!({"alg": alg}).to_string());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{body}.{signature}");
            let expected = if signature.is_empty() { "malformed" } else { "wrong_algorithm" };
            assert_eq!(verdict(&layer, &token).await, expected, "{alg}");
        }
    }
}

#[tokio::test]
async fn jwt_01_jwt_02_every_other_spelling_of_a_good_token_is_refused() {
    let layer = layer(RSA.keys(Algorithm::Rs256));
    let good = RSA.good(Algorithm::Rs256);
    assert_eq!(verdict(&layer, &good).await, "accepted");
    let parts: Vec<_> = good.split('.').collect();
    let last = good.as_bytes()[good.len() - 1];
    // 342 characters of a signature leave four bits over.
    let sibling = char::from(if last == b'A' { b'B' } else { last + 1 });
    let with_bits_left_over = format!("{}{sibling}", &good[..good.len() - 1]);
    for token in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good}."),
        format!("{good}.{}", parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!(".{good}"),
        good.replace('.', ".."),
        with_bits_left_over,
    ] {
        assert_eq!(verdict(&layer, &token).await, "malformed", "{token}");
    }
    for token in
        [format!("{} .{}.{}", parts[0], parts[1], parts[2]), format!("{{{good}}}"), format!("{good}\u{a0}")]
    {
        assert_eq!(present(&layer, &token).await.status(), 400, "{token}");
    }
    let huge = RSA.with(Algorithm::Rs256, &json!({"x": "y".repeat(16 * 1024)}));
    assert_eq!(verdict(&layer, &huge).await, "malformed");
}

#[tokio::test]
async fn jwt_05_a_key_that_the_token_brings_along_is_not_used() {
    let stranger = Signer::for_algorithm(Algorithm::Es256);
    let layer = layer(Signer::for_algorithm(Algorithm::Es256).key(Algorithm::Es256));
    let header = json!({
        "alg": "ES256", "jwk": stranger.jwk(), "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/cert", "x5c": ["AA"],
    });
    assert_eq!(
        verdict(&layer, &headed(&stranger, Algorithm::Es256, &header.to_string())).await,
        "bad_signature"
    );
    let named = Signer::for_algorithm(Algorithm::Es256);
    let layer = mint::layer(named.key(Algorithm::Es256).with_kid("a").unwrap());
    for kid in ["../a", "a'--", "http://a", "", &"a".repeat(257)] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        assert_eq!(verdict(&layer, &headed(&named, Algorithm::Es256, &header)).await, "unknown_key", "{kid}");
    }
}

#[tokio::test]
async fn jwt_06_jwt_07_jwt_09_a_well_signed_token_with_a_bad_header_is_refused() {
    let layer = layer(Signer::secret().keys(Algorithm::Hs256));
    for (header, expected) in [
        (r#"{"alg":"HS256"}"#, "accepted"),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, "unsupported"),
        (r#"{"alg":"HS256","crit":[]}"#, "unsupported"),
        (r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, "unsupported"),
        (r#"{"alg":"HS256","enc":"A256GCM"}"#, "unsupported"),
        (r#"{"alg":"HS256","alg":"HS256"}"#, "malformed"),
        (r#"{"alg":"HS256","x":{"a":1,"a":2}}"#, "malformed"),
        (r#"["HS256"]"#, "malformed"),
        (r#"{"typ":"JWT"}"#, "malformed"),
    ] {
        assert_eq!(
            verdict(&layer, &headed(&Signer::secret(), Algorithm::Hs256, header)).await,
            expected,
            "{header}"
        );
    }
    let claims = mint::claims(&json!({})).to_string();
    for (claims, expected) in [
        (claims.replace("\"sub\"", "\"sub\":\"bob\",\"sub\""), "invalid_claims"),
        (claims.replace("\"sub\"", "\"x\":[{\"a\":1,\"a\":1}],\"sub\""), "invalid_claims"),
        (format!("[{claims}]"), "invalid_claims"),
        (format!("{claims}{claims}"), "malformed"),
    ] {
        let token = Signer::secret().token_of(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &claims);
        assert_eq!(verdict(&layer, &token).await, expected, "{claims}");
    }
    // UTF-8 that is none.
    let signed = format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(b"{\"iss\":\"\xff\"}"));
    let signature = BASE64.encode(Signer::secret().sign(Algorithm::Hs256, signed.as_bytes()));
    assert_eq!(verdict(&layer, &format!("{signed}.{signature}")).await, "malformed");
}

#[tokio::test]
async fn jwt_08_a_signature_that_differs_in_any_bit_or_length_is_none() {
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::Es512,
        Algorithm::EdDsa,
    ] {
        let signer = Signer::for_algorithm(algorithm);
        let layer = layer(signer.keys(algorithm)).without_cache();
        let token = signer.good(algorithm);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64.decode(signature).unwrap();
        let with = |signature: &[u8]| format!("{signed}.{}", BASE64.encode(signature));
        assert_eq!(verdict(&layer, &with(&signature)).await, "accepted");
        for bit in (0..signature.len() * 8).step_by(signature.len() / 4 + 3) {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verdict(&layer, &with(&flipped)).await, "bad_signature", "{algorithm}, bit {bit}");
        }
        let (short, long) = (&signature[1..], [&[0], &signature[..]].concat());
        let appended = [&signature[..], &[0]].concat();
        for other in [short, &signature[..signature.len() - 1], &long, &appended, &signature[..1], &[0; 1024]]
        {
            assert_eq!(
                verdict(&layer, &with(other)).await,
                "bad_signature",
                "{algorithm}, {} bytes",
                other.len()
            );
        }
    }
}

#[tokio::test]
async fn jwt_08_ecdsa_numbers_out_of_range_and_in_der_are_refused() {
    let signer = Signer::for_algorithm(Algorithm::Es256);
    let layer = layer(signer.keys(Algorithm::Es256));
    let token = signer.good(Algorithm::Es256);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let zero = [0; 32];
    // An integer in DER has a zero before a set first bit.
    let integer = |number: &[u8]| [&[2, 33, 0], number].concat();
    let der = [&[0x30, 70][..], &integer(r), &integer(s)].concat();
    for bad in [
        [&zero, s].concat(),
        [r, &zero].concat(),
        [zero, zero].concat(),
        [&order, s].concat(),
        [r, &order].concat(),
        [[0xff; 32], [0xff; 32]].concat(),
        [s, r].concat(),
        der,
    ] {
        let token = format!("{signed}.{}", BASE64.encode(&bad));
        assert_eq!(verdict(&layer, &token).await, "bad_signature", "{bad:?}");
    }
}

#[tokio::test]
async fn jwt_08_rsa_paddings_are_not_interchangeable() {
    for (own, others) in [
        (Algorithm::Rs256, [Algorithm::Ps256, Algorithm::Rs384, Algorithm::Rs512]),
        // PSS with a salt of another length is PSS with another hash.
        (Algorithm::Ps256, [Algorithm::Rs256, Algorithm::Ps384, Algorithm::Ps512]),
    ] {
        let layer = layer(RSA.keys(own));
        for other in others {
            let token = headed(&RSA, other, &json!({"alg": own.as_str()}).to_string());
            assert_eq!(verdict(&layer, &token).await, "bad_signature", "{other} said to be {own}");
        }
    }
}

#[tokio::test]
async fn jwt_10_jwt_12_jwt_13_claims_decide_after_the_signature() {
    let layer = layer(Signer::secret().keys(Algorithm::Hs256));
    for (changes, expected) in [
        (json!({}), "accepted"),
        (json!({"exp": NOW - 59}), "accepted"),
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": NOW as f64 + 0.5}), "accepted"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"exp": "1767225600"}), "invalid_claims"),
        (json!({"exp": -1}), "invalid_claims"),
        (json!({"nbf": NOW + 60}), "accepted"),
        (json!({"nbf": NOW + 61}), "not_yet_valid"),
        (json!({"iat": NOW + 61}), "not_yet_valid"),
        (json!({"iss": "https://id.example/"}), "wrong_issuer"),
        (json!({"iss": null}), "wrong_issuer"),
        (json!({"aud": ["x", AUDIENCE]}), "accepted"),
        (json!({"aud": "x"}), "wrong_audience"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"sub": null}), "missing_claim"),
        (json!({"sub": ""}), "invalid_claims"),
        (json!({"sub": 7}), "invalid_claims"),
        (json!({"at_hash": "x"}), "wrong_type"),
        (json!({"typ": "ID"}), "wrong_type"),
        (json!({"typ": "Bearer"}), "accepted"),
    ] {
        assert_eq!(
            verdict(&layer, &Signer::secret().with(Algorithm::Hs256, &changes)).await,
            expected,
            "{changes}"
        );
        let forged = Signer::Secret(vec![1; 64]).with(Algorithm::Hs256, &changes);
        assert_ne!(verdict(&layer, &forged).await, "accepted");
    }
}

#[tokio::test]
async fn jwt_14_jwt_15_a_layer_may_want_access_tokens_of_rfc_9068_alone() {
    let strict = JwtLayer::new(Signer::secret().keys(Algorithm::Hs256), policy().with_rfc9068())
        .with_clock(Clock::from(ManualClock::new()));
    let loose = layer(Signer::secret().keys(Algorithm::Hs256));
    for (typ, by_strict, by_loose) in [
        (Some("at+jwt"), "accepted", "accepted"),
        (Some("application/AT+JWT"), "accepted", "accepted"),
        (Some("JWT"), "wrong_type", "accepted"),
        (None, "wrong_type", "accepted"),
        (Some("logout+jwt"), "wrong_type", "wrong_type"),
        (Some("dpop+jwt"), "wrong_type", "wrong_type"),
    ] {
        let header = json!({"alg": "HS256", "typ": typ});
        let header = if typ.is_some() { header } else { json!({"alg": "HS256"}) };
        let token = headed(&Signer::secret(), Algorithm::Hs256, &header.to_string());
        assert_eq!(verdict(&strict, &token).await, by_strict, "{typ:?}");
        assert_eq!(verdict(&loose, &token).await, by_loose, "{typ:?}");
    }
    for claim in ["exp", "aud", "sub", "client_id", "iat", "jti"] {
        let claims = mint::claims(&json!({claim: null}));
        let token =
            Signer::secret().token(Algorithm::Hs256, &json!({"alg": "HS256", "typ": "at+jwt"}), &claims);
        assert_eq!(verdict(&strict, &token).await, "missing_claim", "{claim}");
    }
}

#[tokio::test]
async fn jwt_11_a_key_of_one_issuer_never_verifies_a_token_of_another() {
    let (one, other) = (Signer::for_algorithm(Algorithm::Es256), Signer::for_algorithm(Algorithm::Es256));
    let key = |signer: &Signer| KeySet::from(signer.key(Algorithm::Es256).with_kid("same").unwrap());
    let elsewhere = "https://other.example";
    let layer = JwtLayer::new(key(&one), policy())
        .with_issuer(key(&other), TokenPolicy::new(elsewhere, ["other"]).unwrap())
        .unwrap()
        .with_clock(Clock::from(ManualClock::new()));
    let token = |signer: &Signer, iss: &str, aud: &str| {
        let header = json!({"alg": "ES256", "kid": "same"});
        signer.token(Algorithm::Es256, &header, &mint::claims(&json!({"iss": iss, "aud": aud})))
    };
    for (signer, iss, aud, expected) in [
        (&one, ISSUER, AUDIENCE, "accepted"),
        (&other, elsewhere, "other", "accepted"),
        (&one, elsewhere, "other", "bad_signature"),
        (&other, ISSUER, AUDIENCE, "bad_signature"),
        (&one, ISSUER, "other", "wrong_audience"),
        (&one, "https://third.example", AUDIENCE, "wrong_issuer"),
    ] {
        assert_eq!(verdict(&layer, &token(signer, iss, aud)).await, expected, "{iss} {aud}");
    }
    let seen = present(&layer, &token(&other, elsewhere, "other")).await;
    assert_eq!(seen.principal().unwrap().issuer(), Some(elsewhere));
    let twice = layer.with_issuer(key(&other), policy()).unwrap_err();
    assert_eq!(twice.field(), "issuers[2]");
}

#[tokio::test]
async fn jwt_13_the_principal_is_subject_issuer_and_kind() {
    let layer = layer(Signer::secret().keys(Algorithm::Hs256));
    let person = present(&layer, &Signer::secret().good(Algorithm::Hs256)).await.principal().unwrap();
    let token = Signer::secret().with(Algorithm::Hs256, &json!({"client_id": "alice"}));
    let program = present(&layer, &token).await.principal().unwrap();
    assert_eq!((person.kind(), program.kind()), (PrincipalKind::User, PrincipalKind::Service));
    assert_eq!(
        (person.subject(), person.issuer(), person.credential_id()),
        ("alice", Some(ISSUER), Some("token-1"))
    );
    assert!(person.has_scope("orders:read") && person.has_scope("orders:write"));
    assert_ne!(person, program);
}

#[tokio::test]
async fn jwt_16_an_ed25519_key_goes_by_the_names_that_were_accepted() {
    let signer = Signer::for_algorithm(Algorithm::EdDsa);
    let set = json!({"keys": [signer.jwk()]}).to_string();
    for (accepted, by_old, by_new) in [
        (vec![Algorithm::EdDsa], "accepted", "unknown_key"),
        (vec![Algorithm::Ed25519], "unknown_key", "accepted"),
        (vec![Algorithm::EdDsa, Algorithm::Ed25519], "accepted", "accepted"),
    ] {
        let accepted: bartizan_auth::Algorithms = accepted.into_iter().collect();
        let layer = layer(KeySet::from_jwks(set.as_bytes(), accepted).unwrap());
        assert_eq!(verdict(&layer, &signer.good(Algorithm::EdDsa)).await, by_old);
        assert_eq!(verdict(&layer, &signer.good(Algorithm::Ed25519)).await, by_new);
    }
}

#[tokio::test]
async fn jwt_17_a_token_seen_before_ends_with_its_time_and_with_its_key() {
    let clock = ManualClock::new();
    let signer = Signer::for_algorithm(Algorithm::Es256);
    let keys = SharedKeys::new(signer.keys(Algorithm::Es256));
    let layer = JwtLayer::new(keys.clone(), policy()).with_clock(Clock::from(clock.clone()));
    let token = signer.good(Algorithm::Es256);
    let status = async |token: &str| send(&layer, bearer(token)).await.status();
    for _ in 0..3 {
        assert_eq!(status(&token).await, 200);
    }
    let mut forged = token.clone().into_bytes();
    let middle = token.rfind('.').unwrap() - 4;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    assert_eq!(status(std::str::from_utf8(&forged).unwrap()).await, 401, "the same signature, other claims");

    let next = Signer::for_algorithm(Algorithm::Es256);
    keys.replace(KeySet::new([signer.key(Algorithm::Es256).with_kid("old").unwrap()]));
    assert_eq!(status(&token).await, 200, "verified anew");
    keys.replace(next.keys(Algorithm::Es256));
    assert_eq!(status(&token).await, 401, "removed");
    keys.replace(signer.keys(Algorithm::Es256));
    assert_eq!(status(&token).await, 200);
    clock.advance(Duration::from_secs(659));
    assert_eq!(status(&token).await, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(status(&token).await, 401, "expired, with the leeway");
}

/// What the reference says of a token.
fn reference(key: &jsonwebtoken::DecodingKey, algorithm: jsonwebtoken::Algorithm, token: &str) -> bool {
    let mut validation = jsonwebtoken::Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(String::from));
    // It reads the system's clock, which these tests do not.
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, key, &validation).is_ok()
}

#[tokio::test]
async fn jwt_08_the_verdict_is_that_of_jsonwebtoken_but_for_what_it_lets_through() {
    use jsonwebtoken::Algorithm as Theirs;
    for (ours, theirs) in [
        (Algorithm::Hs256, Theirs::HS256),
        (Algorithm::Hs512, Theirs::HS512),
        (Algorithm::Rs256, Theirs::RS256),
        (Algorithm::Ps384, Theirs::PS384),
        (Algorithm::Es256, Theirs::ES256),
        (Algorithm::Es384, Theirs::ES384),
        (Algorithm::EdDsa, Theirs::EdDSA),
    ] {
        let signer = if matches!(ours, Algorithm::Rs256 | Algorithm::Ps384) {
            None
        } else {
            Some(Signer::for_algorithm(ours))
        };
        let signer = signer.as_ref().unwrap_or(&RSA);
        let jwk = serde_json::from_value(signer.jwk()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let layer = layer(signer.keys(ours)).without_cache();
        let good = signer.good(ours);
        assert!(reference(&key, theirs, &good), "{ours}");
        let mut tokens = vec![good.clone()];
        // Every place of the token, changed a little.
        for place in (0..good.len()).step_by(good.len() / 48) {
            for replacement in ["A", "_", ".", "=", ""] {
                let mut token = good.clone();
                token.replace_range(place..=place, replacement);
                tokens.push(token);
            }
        }
        for changes in [
            json!({"aud": "x"}),
            json!({"iss": "x"}),
            json!({"sub": null}),
            json!({"exp": null}),
            json!({"aud": [AUDIENCE]}),
        ] {
            tokens.push(signer.with(ours, &changes));
        }
        for token in &tokens {
            let accepted = present(&layer, token).await.status() == 200;
            let theirs = reference(&key, theirs, token);
            assert_eq!(accepted, theirs, "{ours}: {token}");
        }
    }
}

#[test]
fn jwt_08_a_key_of_the_wrong_kind_is_refused_at_configuration() {
    let of =
        |algorithm, signer: &Signer| VerifyingKey::from_jwk(signer.jwk().to_string().as_bytes(), algorithm);
    for own in [Algorithm::Hs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        for other in ALL {
            let signer = Signer::for_algorithm(own);
            let same = match (own, other) {
                (Algorithm::Hs256, Algorithm::Hs384 | Algorithm::Hs512) => true,
                (Algorithm::EdDsa, Algorithm::Ed25519) => true,
                _ => own == other,
            };
            assert_eq!(of(other, &signer).is_ok(), same, "{own} as {other}");
        }
    }
}
