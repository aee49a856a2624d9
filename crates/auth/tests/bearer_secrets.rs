//! No text that the client side produces holds a secret, and all that it counts has its name.
#![cfg(all(feature = "metrics", feature = "tracing"))]

mod everything;

use std::{io, time::Duration};

use bartizan_auth::{BearerLayer, ClientCredentials};
use bartizan_core::{Clock, ManualClock};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{Layer, ServiceExt};

use self::everything::Everything;

#[tokio::test]
async fn aut_08_log_05_no_debug_log_error_or_metric_holds_a_secret() {
    let seen = Everything::default();
    let _guard = seen.0.listen(tracing::Level::TRACE);
    let mut outcomes = Vec::new();
    for (status, answer) in [
        (200, r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":600}"#),
        (200, r#"{"access_token":"t0ken","token_type":"t0ken"}"#),
        (200, r#"{"access_token":"t0ken t0ken","token_type":"Bearer"}"#),
        (200, r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":0}"#),
        (200, "t0ken"),
        (401, r#"{"error":"s3cret","error_description":"t0ken"}"#),
    ] {
        let recorder = DebuggingRecorder::new();
        let told = recorder.snapshotter();
        let endpoint = tower::service_fn(move |_: Request<Full<Bytes>>| {
            let response = Response::builder().status(status).body(String::from(answer)).unwrap();
            std::future::ready(Ok::<_, io::Error>(response))
        });
        let clock = ManualClock::new();
        let tokens = ClientCredentials::new("https://id.example/token?k=s3cret", "billing", "s3cret")
            .with_clock(Clock::from(clock.clone()))
            .with_recorder(recorder)
            .build_with(endpoint)
            .unwrap();
        let layer = BearerLayer::new(tokens.clone(), ["https://api.example"]).unwrap();
        let client = layer.layer(tower::service_fn(async |request: Request<Empty<Bytes>>| {
            assert_eq!(request.headers()["authorization"], "Bearer t0ken");
            // What a client that logs its requests would write.
            tracing::info!(headers = ?request.headers(), "sent");
            let challenge = "Bearer error=\"invalid_token\"";
            let response = Response::builder().status(401).header("www-authenticate", challenge);
            Ok::<_, io::Error>(response.body(String::new()).unwrap())
        }));
        for _ in 0..2 {
            let request = Request::get("https://api.example/").body(Empty::new()).unwrap();
            let response = client.clone().oneshot(request).await.unwrap();
            seen.debug(&response.headers());
            seen.debug(&response.extensions().get::<bartizan_core::Rejection>());
            clock.advance(Duration::from_secs(31));
        }
        seen.debug(&tokens);
        seen.debug(&client);
        for (key, _, _, value) in told.snapshot().into_vec() {
            seen.debug(&key);
            let (DebugValue::Counter(_), label) = (value, key.key().labels().nth(1)) else {
                panic!("a counter")
            };
            assert_eq!(key.key().name(), "bartizan_bearer_refreshes_total");
            assert_eq!(key.key().labels().next().unwrap().value(), "https://id.example/token");
            outcomes.push(label.unwrap().value().to_owned());
        }
    }
    let client =
        tower::service_fn(async |_: Request<Full<Bytes>>| Ok::<_, io::Error>(Response::new(String::new())));
    let bad = ClientCredentials::new("https://a:s3cret@id.example/?k=s3cret", "billing", "s3cret");
    seen.debug(&bad);
    seen.error(&bad.build_with(client).unwrap_err());
    assert_eq!(outcomes, ["success", "not_bearer", "unusable", "expired", "malformed", "refused"]);
    let seen = seen.0.text();
    assert!(seen.contains("got a token") && seen.contains("got no token"), "it was looked at");
    assert!(!seen.contains("s3cret") && !seen.contains("t0ken"), "{seen}");
}
