//! Keys from a file.

mod support;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bartizan_auth::{ApiKey, ApiKeyLayer, FileKeys, FileKeysError, KeyRecord, KeyStore};
use tokio::time::{Instant, sleep};

use self::support::{send, with_key};

fn key() -> ApiKey {
    ApiKey::generate("orders").unwrap()
}

/// A file of its own, gone with the test.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(records: &[KeyRecord]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bartizan-keys-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let file = Self(std::env::temp_dir().join(name));
        file.write(records);
        file
    }

    fn write(&self, records: &[KeyRecord]) {
        self.write_text(&serde_json::to_string(records).unwrap());
    }

    fn write_text(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn key_03_a_file_is_read_anew_when_it_changes_and_swapped_whole() {
    let (first, second) = (key(), key());
    let file = KeyFile::new(&[first.record("billing")]);
    let (keys, _watch) = FileKeys::open(&file.0).unwrap();
    let layer = ApiKeyLayer::new(keys.clone());
    assert_eq!(send(&layer, with_key(&first)).await.status(), 200);
    assert_eq!(send(&layer, with_key(&second)).await.status(), 401);
    assert!(!keys.reload().unwrap(), "nothing has changed");

    let held = keys.lookup(first.id()).unwrap();
    file.write(&[second.record("shipping")]);
    assert!(keys.reload().unwrap());
    assert_eq!(send(&layer, with_key(&first)).await.status(), 401, "revoked by the file");
    assert_eq!(send(&layer, with_key(&second)).await.principal().unwrap().subject(), "shipping");
    assert_eq!(held.principal().subject(), "billing", "who has found a key keeps it");
    assert!(keys.last_used(second.id()).is_some());

    file.write(&[]);
    assert!(keys.reload().unwrap() && keys.is_empty(), "an empty list refuses everybody");
}

#[tokio::test]
async fn key_03_a_bad_file_keeps_the_last_good_keys() {
    let good = key();
    let file = KeyFile::new(&[good.record("billing")]);
    let (keys, _watch) = FileKeys::open(&file.0).unwrap();
    let layer = ApiKeyLayer::new(keys.clone());
    let secret = good.expose();
    let record = |field: &str| format!(r#"[{{"id":"orders_a","digests":["{secret}"],{field}"owner":"x"}}]"#);
    for text in [
        "",
        "[",
        "{}",
        "null",
        &record(""),
        &record(r#""other":1,"#),
        &format!(r#"[{{"id":"{secret}"}}]"#),
        &format!(r#"[{{"id":"orders_a","digests":"{secret}","owner":"x"}}]"#),
    ] {
        file.write_text(text);
        for _ in 0..2 {
            let error = keys.reload().unwrap_err();
            let shown =
                format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!keys.is_current());
        assert_eq!(send(&layer, with_key(&good)).await.status(), 200, "{text}");
    }
    fs::remove_file(&file.0).unwrap();
    assert!(matches!(keys.reload(), Err(FileKeysError::Read(_))));
    assert_eq!(send(&layer, with_key(&good)).await.status(), 200);

    file.write(&[good.record("billing")]);
    assert!(keys.reload().unwrap(), "the same content as before the fault is good again");
    assert!(keys.is_current());
    assert!(matches!(FileKeys::open("/nowhere/keys.json"), Err(FileKeysError::Read(_))));
    let large = fs::File::create(&file.0).unwrap();
    large.set_len(16 * 1024 * 1024 + 1).unwrap();
    assert!(matches!(keys.reload(), Err(FileKeysError::TooLarge)));
    file.write_text(&record(""));
    let Err(FileKeysError::Record(error)) = FileKeys::open(&file.0) else { panic!("it is bad") };
    assert_eq!(error.field(), "keys[0].digests[0]");
}

/// Lets virtual time pass until it is so.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it was never so");
}

#[tokio::test(start_paused = true)]
async fn key_03_a_watch_sees_a_change_and_ends_with_the_last_handle() {
    let (first, second) = (key(), key());
    let file = KeyFile::new(&[first.record("billing")]);
    let (keys, watch) = FileKeys::open(&file.0).unwrap();
    let running = tokio::spawn(watch.with_interval(Duration::from_secs(2)).unwrap().run());
    let start = Instant::now();
    file.write(&[second.record("billing")]);
    until(|| keys.lookup(second.id()).is_some()).await;
    assert!(start.elapsed() <= Duration::from_millis(2_200), "{:?}", start.elapsed());
    assert!(keys.lookup(first.id()).is_none());

    file.write_text("rubbish");
    until(|| !keys.is_current()).await;
    file.write(&[first.record("billing")]);
    until(|| keys.lookup(first.id()).is_some()).await;
    drop(keys);
    running.await.unwrap();
    let (_keys, watch) = FileKeys::open(&file.0).unwrap();
    assert_eq!(watch.with_interval(Duration::ZERO).unwrap_err().field(), "interval");
}
