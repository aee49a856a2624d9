//! A server that speaks TLS alone to others than the test.

use std::{env, fs, process::Command, time::Duration};

use bartizan_rate_limit::RedisStore;
use bartizan_testkit::RedisServer;
use rcgen::{CertificateParams, KeyPair};

const SERVER: &str = "BARTIZAN_TEST_REDIS_TLS";

#[test]
fn a_server_is_trusted_over_tls_whose_certificate_is() {
    let folder = env::temp_dir().join(format!("bartizan-redis-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let stranger = KeyPair::generate().unwrap();
    let strange = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&stranger).unwrap();
    fs::write(file("key.pem"), key.serialize_pem()).unwrap();
    fs::write(file("certificate.pem"), certificate.pem()).unwrap();
    fs::write(file("strange.pem"), strange.pem()).unwrap();

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let _server = RedisServer::start_with(&[
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &file("certificate.pem"),
        "--tls-key-file",
        &file("key.pem"),
        "--tls-ca-cert-file",
        &file("certificate.pem"),
    ]);
    let connects = |trusted: &str| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "tls::connect", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(SERVER, format!("rediss://localhost:{port}"))
            .env("SSL_CERT_FILE", file(trusted))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().contains("connected: true")
    };
    assert!(connects("certificate.pem"));
    assert!(!connects("strange.pem"));
    fs::remove_dir_all(&folder).unwrap();
}

/// The process whose trust the test chooses.
#[test]
#[ignore = "a process of the test above"]
fn connect() {
    let Ok(url) = env::var(SERVER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = RedisStore::single(&url).unwrap().with_timeout(Duration::from_secs(1)).unwrap();
    println!("\nconnected: {}", runtime.block_on(store.connect()).is_ok());
}
