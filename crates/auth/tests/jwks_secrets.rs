//! What the fetching of keys says, and that no secret is in it.
#![cfg(all(feature = "aws-lc-rs", feature = "tracing"))]

mod everything;
mod idp;
mod mint;

use std::io;

use bartizan_auth::{Algorithm, RemoteKeys};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};

use self::{everything::Everything, idp::Named, mint::Signer};

#[tokio::test]
async fn jwk_02_log_05_a_published_secret_is_reported_and_not_repeated() {
    let seen = Everything::default();
    let _guard = seen.0.listen(tracing::Level::TRACE);
    let (secret, key) = (Signer::secret().jwk(), Named::new("good").jwk());
    let mut private = Named::new("private").jwk();
    private["d"] = json!("s3cret");
    let good = json!({"keys": [secret, private, key]});
    let shared = secret["k"].as_str().unwrap();

    for (status, answer) in
        [(200, &good), (200, &json!({"keys": [secret]})), (200, &json!("s3cret")), (500, &json!("s3cret"))]
    {
        let answer: Value = answer.clone();
        let client = tower::service_fn(move |_: Request<Full<Bytes>>| {
            let response = Response::builder().status(status).body(answer.to_string()).unwrap();
            std::future::ready(Ok::<_, io::Error>(response))
        });
        let keys = RemoteKeys::jwks("https://id.example/keys?k=s3cret", Algorithm::Es256)
            .build_with(client)
            .unwrap();
        keys.ready().await;
        seen.debug(&keys);
    }
    let rude = || {
        tower::service_fn(async |_: Request<Full<Bytes>>| {
            Err::<Response<String>, _>(io::Error::other("away"))
        })
    };
    let keys =
        RemoteKeys::jwks("https://id.example/keys?k=s3cret", Algorithm::Es256).build_with(rude()).unwrap();
    assert!(!keys.ready().await);
    let bad = RemoteKeys::jwks("https://a:s3cret@id.example/", Algorithm::Es256);
    seen.debug(&bad);
    seen.error(&bad.build_with(rude()).unwrap_err());

    let seen = seen.0.text();
    for said in [
        "the key set publishes a secret",
        "kid=\"private\" kind=\"private\"",
        "kind=\"symmetric\"",
        "fetched other keys",
        "no key of the set can be used",
        "the answer is not a key set",
        "https://id.example/keys answered with status 500",
        "the exchange with the server failed: away",
        "issuer=\"https://id.example/keys\"",
    ] {
        assert!(seen.contains(said), "{said}: {seen}");
    }
    assert!(!seen.contains("s3cret") && !seen.contains(shared), "{seen}");
}
