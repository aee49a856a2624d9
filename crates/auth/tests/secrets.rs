//! No text that the crate produces holds a secret.
#![cfg(all(feature = "metrics", feature = "tracing"))]

mod everything;
mod support;

use std::{fmt::Debug, io};

use bartizan_auth::{
    ApiKey, ApiKeyLayer, AsyncKeyStore, CachedKeys, FileKeys, KeyRecord, KeyStore, StaticKeys, StoredKey,
};
use bartizan_core::RequestContext;
use http::Request;
use metrics_util::debugging::DebuggingRecorder;
use tower::Layer;

use self::{
    everything::Everything,
    support::{get, send, with_key},
};

/// A store whose one key nobody can use, and which fails for the rest.
struct Broken(KeyRecord);

impl AsyncKeyStore for Broken {
    type Error = io::Error;

    async fn fetch(&self, id: &str) -> io::Result<Option<KeyRecord>> {
        if id == self.0.id() { Ok(Some(self.0.clone())) } else { Err(io::Error::other("away")) }
    }
}

#[test]
fn key_02_log_05_no_debug_log_error_or_metric_holds_a_secret() {
    let key = ApiKey::generate("orders").unwrap();
    let forgery = key.record("x").rotate().unwrap();
    let stranger = ApiKey::generate("orders").unwrap();
    let seen = Everything::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = seen.0.listen(tracing::Level::TRACE);

    let record = key.record("billing");
    let keys = StaticKeys::new([record.clone()]).unwrap();
    let layer = ApiKeyLayer::new(keys.clone()).with_query_parameter("api_key").unwrap();
    for value in [
        &key as &dyn Debug,
        &record,
        &keys,
        &keys.lookup(key.id()),
        &layer,
        &layer.layer(()),
        &StoredKey::new(record.clone()),
    ] {
        seen.debug(value);
    }
    let path = std::env::temp_dir().join(format!("bartizan-secrets-{}", std::process::id()));
    std::fs::write(&path, serde_json::to_string(&[&record]).unwrap()).unwrap();
    let (in_file, watch) = FileKeys::open(&path).unwrap();
    let awaited = CachedKeys::new(Broken(record));
    for value in [&in_file as &dyn Debug, &watch, &awaited, &ApiKeyLayer::new(awaited.clone())] {
        seen.debug(value);
    }
    let awaited = ApiKeyLayer::new(awaited);
    let config = |digest: &str| format!(r#"[{{"id":"orders_a","digests":["{digest}"],"owner":"x"}}]"#);
    seen.error(&serde_json::from_str::<StaticKeys>(&config(key.expose())).unwrap_err());
    let no_list = config(key.expose()).replace(['[', ']'], "");
    seen.error(&serde_json::from_str::<KeyRecord>(&no_list).unwrap_err());
    seen.error(&format!("{}x", key.expose()).parse::<ApiKey>().unwrap_err());
    seen.error(&ApiKey::generate(key.expose()).unwrap_err());
    seen.error(&layer.clone().with_realm(&format!("\n{}", key.expose())).unwrap_err());
    seen.error(&layer.clone().with_bypass(&format!("/?api_key={}", key.expose())).unwrap_err());

    let work = async || {
        let mut typo = key.expose().to_owned();
        typo.push('x');
        let header = |value: &str| get("/").header("x-api-key", value).body(String::new()).unwrap();
        let query = |value: &str| get(&format!("/?api_key={value}")).body(String::new()).unwrap();
        let twice = get("/").header("x-api-key", key.expose()).header("x-api-key", key.expose());
        for mut request in [
            with_key(&key),
            with_key(&forgery),
            with_key(&stranger),
            header(&typo),
            query(key.expose()),
            query(&typo),
            twice.body(String::new()).unwrap(),
        ] {
            let context = RequestContext::of(&mut request);
            context.event().enable();
            let answer = send(&layer, request).await;
            seen.debug(&answer); // With what reached the handler, and the refusal in the response's extensions.
            seen.debug(&context);
            seen.debug(context.event());
            let refusal = answer.response.extensions().get::<bartizan_core::Rejection>();
            seen.add(refusal.and_then(|it| it.cause()).unwrap_or_default());
        }
        for key in [&key, &forgery, &stranger] {
            seen.debug(&send(&awaited, with_key(key)).await);
        }
        for bad in [key.expose().to_owned(), config(key.expose()), no_list.clone(), format!("[{no_list}]")] {
            std::fs::write(&path, bad).unwrap();
            seen.error(&in_file.reload().unwrap_err());
        }
        std::fs::remove_file(&path).unwrap();
        let kept = layer.clone().with_credential_kept();
        seen.debug(&send(&kept, with_key(&key)).await.handled.unwrap().headers);
        seen.debug(&send(&kept, Request::default()).await);
    };
    metrics::with_local_recorder(&recorder, || {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work());
    });
    seen.debug(&snapshotter.snapshot().into_vec());

    let text = seen.0.text();
    for part in
        ["wrong_secret", "unknown_key", "malformed", "bartizan_auth_decisions_total", "billing", key.id()]
    {
        assert!(text.contains(part), "the search sees what was said: {part}");
    }
    for key in [&key, &forgery, &stranger] {
        let secret = &key.expose()[key.id().len() + 1..][..32];
        for length in [32, 12] {
            assert!(!text.contains(&secret[..length]) && !text.contains(&secret[32 - length..]));
        }
    }
}
