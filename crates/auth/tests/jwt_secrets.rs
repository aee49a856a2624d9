//! No text that the crate produces holds a token, or the secret that signed it.
#![cfg(all(feature = "metrics", feature = "tracing", any(feature = "aws-lc-rs", feature = "rust-crypto")))]

mod everything;
mod mint;
mod support;

use bartizan_auth::{
    Algorithm, ApiKeyLayer, AuthLayer, JwtLayer, KeyQuery, KeySet, KeySource, SharedKeys, StaticKeys,
    TokenPolicy, VerifyingKey,
};
use bartizan_core::{Clock, ManualClock, Rejection, RequestContext};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::json;
use tower::Layer;

use self::{
    everything::Everything,
    mint::{AUDIENCE, ISSUER, Signer},
    support::{get, send},
};

#[test]
fn log_04_no_token_and_no_secret_is_in_any_text() {
    let signer = Signer::secret();
    let Signer::Secret(secret) = &signer else { unreachable!() };
    let secret = String::from_utf8(secret.clone()).unwrap();
    let seen = Everything::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = seen.0.listen(tracing::Level::TRACE);

    let keys = SharedKeys::new(signer.keys(Algorithm::Hs256));
    let layer = JwtLayer::new(keys.clone(), TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap())
        .with_clock(Clock::from(ManualClock::new()))
        .with_claims::<serde_json::Value>();
    let auth = AuthLayer::new(ApiKeyLayer::new(StaticKeys::new([]).unwrap()), layer.clone());
    let found = keys.lookup(&KeyQuery::new(Algorithm::Hs256, None));
    seen.debug(&signer.key(Algorithm::Hs256));
    for value in [
        &keys as &dyn std::fmt::Debug,
        &keys.current(),
        &found,
        &layer,
        &auth,
        &layer.layer(()),
        &auth.layer(()),
    ] {
        seen.debug(value);
    }
    seen.error(&VerifyingKey::from_secret(Algorithm::Hs512, &secret.as_bytes()[..40]).unwrap_err());
    seen.error(&VerifyingKey::from_pem(Algorithm::Rs256, secret.as_bytes()).unwrap_err());
    seen.error(&VerifyingKey::from_jwk(signer.jwk().to_string().as_bytes(), Algorithm::Rs256).unwrap_err());
    seen.error(&KeySet::from_jwks(secret.as_bytes(), Algorithm::Rs256).unwrap_err());
    seen.debug(
        &KeySet::from_jwks(json!({"keys": [signer.jwk()]}).to_string().as_bytes(), Algorithm::Hs256).unwrap(),
    );
    seen.error(&layer.with_realm(&format!("\n{secret}")).unwrap_err());
    seen.error(&TokenPolicy::new(&format!("\n{secret}"), ["a"]).unwrap_err());

    let good = signer.good(Algorithm::Hs256);
    let tokens = [
        good.clone(),
        signer.with(Algorithm::Hs256, &json!({"exp": 1})),
        signer.with(Algorithm::Hs256, &json!({"aud": "other"})),
        signer.with(Algorithm::Hs256, &json!({"sub": 7})),
        Signer::Secret(vec![7; 64]).good(Algorithm::Hs256),
        signer.good(Algorithm::Hs384),
        good[..good.len() - 1].to_owned(),
    ];
    let work = async || {
        for (layer, token) in tokens.iter().flat_map(|token| [(0, token), (1, token), (0, token)]) {
            let mut request =
                get("/").header("authorization", format!("Bearer {token}")).body(String::new()).unwrap();
            let context = RequestContext::of(&mut request);
            context.event().enable();
            let answer = if layer == 0 {
                send(&self::layer(&keys), request).await
            } else {
                send(&auth, request).await
            };
            seen.debug(&answer);
            seen.debug(&context);
            seen.debug(context.event());
            let refusal = answer.response.extensions().get::<Rejection>();
            seen.add(refusal.and_then(Rejection::cause).unwrap_or_default());
        }
        let request = get("/").header("authorization", format!("Bearer {good}")).body(String::new()).unwrap();
        let kept = self::layer(&keys).with_credential_kept();
        seen.debug(&send(&kept, request).await);
    };
    metrics::with_local_recorder(&recorder, || {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work());
    });
    seen.debug(&snapshotter.snapshot().into_vec());

    let text = seen.0.text();
    for part in [
        "expired",
        "wrong_audience",
        "bad_signature",
        "malformed",
        "token-1",
        "bartizan_auth_decisions_total",
    ] {
        assert!(text.contains(part), "the search sees what was said: {part}");
    }
    assert!(!text.contains("alice"), "nor who the callers are");
    assert!(!text.contains(&secret[..12]) && !text.contains(&secret[secret.len() - 12..]));
    for token in &tokens {
        for part in token.split('.').skip(1) {
            assert!(!text.contains(&part[..12]) && !text.contains(&part[part.len() - 12..]), "{part}");
        }
    }
}

fn layer(keys: &SharedKeys) -> JwtLayer<SharedKeys> {
    JwtLayer::new(keys.clone(), TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap())
        .with_clock(Clock::from(ManualClock::new()))
}
