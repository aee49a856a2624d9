//! Metric and fact names of tokens are API.
#![cfg(all(feature = "metrics", any(feature = "aws-lc-rs", feature = "rust-crypto")))]

mod mint;
mod support;

use std::collections::BTreeMap;

use bartizan_auth::{Algorithm, ApiKeyLayer, AuthLayer, StaticKeys};
use bartizan_core::{Fact, RequestContext};
use http::Request;
use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::json;

use self::{
    mint::{Signer, bearer, secret_layer},
    support::{get, send},
};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn obs_09_every_decision_over_a_token_is_counted_by_a_reason_of_a_fixed_list() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let signer = Signer::secret();
    let with = |changes| signer.with(Algorithm::Hs256, &changes);
    let layer = secret_layer().with_bypass("/open").unwrap();
    let auth = AuthLayer::new(ApiKeyLayer::new(StaticKeys::new([]).unwrap()), layer.clone());
    with_local_recorder(&recorder, || {
        wait(async {
            for _ in 0..3 {
                send(&layer, bearer(&with(json!({})))).await;
            }
            for number in 0..50 {
                send(&layer, bearer(&with(json!({"iss": number.to_string()})))).await;
            }
            send(&layer, bearer(&with(json!({"exp": 1})))).await;
            send(&layer, bearer("a.b.c")).await;
            send(&layer, bearer("{}")).await;
            send(&layer, Request::default()).await;
            send(&layer, get("/open").body(String::new()).unwrap()).await;
            send(&layer.clone().optional(), Request::default()).await;
            send(&auth, Request::default()).await;
            send(&auth, get("/open").body(String::new()).unwrap()).await;
            send(&auth, bearer(&with(json!({})))).await;
        });
    });
    let counted: BTreeMap<_, _> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, .., value)| {
            let (_, key) = key.into_parts();
            assert_eq!(key.name(), "bartizan_auth_decisions_total");
            let DebugValue::Counter(count) = value else { panic!("not a counter") };
            (key.labels().map(metrics::Label::value).collect::<Vec<_>>().join(" "), count)
        })
        .collect();
    let expected = [
        ("auth bypassed none", 1),
        ("auth refused missing", 1),
        ("jwt accepted none", 4),
        ("jwt anonymous none", 1),
        ("jwt bypassed none", 1),
        ("jwt refused expired", 1),
        ("jwt refused malformed", 1),
        ("jwt refused malformed_header", 1),
        ("jwt refused missing", 1),
        ("jwt refused wrong_issuer", 50),
    ];
    assert_eq!(counted, expected.into_iter().map(|(labels, count)| (labels.to_owned(), count)).collect());
}

#[test]
fn log_06_the_wide_event_names_the_token_by_its_id_if_it_was_well_signed() {
    let facts = |token: &str| {
        let mut request = bearer(token);
        let context = RequestContext::of(&mut request);
        context.event().enable();
        wait(send(&secret_layer(), request));
        context.event().read(|facts| facts.iter().cloned().collect::<BTreeMap<&str, Fact>>())
    };
    let signer = Signer::secret();
    let id = ("auth.token_id", Fact::from("token-1"));
    let scheme = ("auth.scheme", Fact::from("jwt"));
    let accepted = [scheme.clone(), ("auth.outcome", "accepted".into()), id.clone()];
    assert_eq!(facts(&signer.good(Algorithm::Hs256)), accepted.into());
    let refused = ("auth.outcome", Fact::from("refused"));
    let expired = [scheme.clone(), refused.clone(), ("auth.failure", "expired".into()), id];
    assert_eq!(facts(&signer.with(Algorithm::Hs256, &json!({"exp": 1}))), expired.into());
    let forged = [scheme, refused, ("auth.failure", "bad_signature".into())];
    assert_eq!(facts(&Signer::Secret(vec![7; 64]).good(Algorithm::Hs256)), forged.into());
}
