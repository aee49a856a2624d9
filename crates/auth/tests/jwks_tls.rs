//! Keys fetched over TLS.
#![cfg(all(feature = "aws-lc-rs", feature = "https-client"))]

mod idp;
mod mint;

use std::{error::Error, sync::Arc};

use bartizan_auth::{Algorithm, HttpsClient, HttpsClientError, RemoteKeys};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivateKeyDer},
};
use tower::ServiceExt;

use self::idp::Named;

/// A server on this machine with a certificate for these names: its port, and the certificate in PEM.
async fn serve(names: &[&str]) -> (u16, String) {
    let keys = json!({"keys": [Named::new("a").jwk()]}).to_string();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
            while !head.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut buffer).await.unwrap();
                head.extend_from_slice(&buffer[..read]);
            }
            assert!(head.starts_with(b"GET /keys HTTP/1.1\r\n"));
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}", keys.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (port, certified.cert.pem())
}

async fn is_ready(host: &str, port: u16, client: &HttpsClient) -> bool {
    let keys = RemoteKeys::jwks(format!("https://{host}:{port}/keys"), Algorithm::Es256);
    keys.build_with(client.clone()).unwrap().ready().await
}

fn client(pem: &str) -> HttpsClient {
    HttpsClient::with_only_roots(pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn jwk_01_the_server_is_known_by_its_certificate() {
    let (port, pem) = serve(&["localhost"]).await;
    let (_, other_pem) = serve(&["localhost"]).await;
    let (other_port, other_name) = serve(&["id.example"]).await;
    assert!(is_ready("localhost", port, &client(&pem).with_private_targets()).await);
    assert!(!is_ready("localhost", port, &client(&other_pem).with_private_targets()).await, "another root");
    assert!(
        !is_ready("localhost", other_port, &client(&other_name).with_private_targets()).await,
        "another name"
    );
}

#[tokio::test]
async fn jwk_01_this_machine_is_reached_only_where_that_is_allowed() {
    // The name leads to an address, the address is not resolved: each has its own way around the check.
    for host in ["localhost", "127.0.0.1"] {
        let (port, pem) = serve(&[host]).await;
        assert!(is_ready(host, port, &client(&pem).with_private_targets()).await, "{host}");
        assert!(is_ready(host, port, &client(&pem).with_insecure_loopback_http()).await, "{host}");
        assert!(!is_ready(host, port, &client(&pem)).await, "{host}");
    }
}

#[tokio::test]
async fn jwk_01_why_a_target_is_not_reached_is_said() {
    let (port, pem) = serve(&["localhost"]).await;
    // By address, by a name, and by addresses in spellings that a name server takes for names.
    let forbidden = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"];
    for host in forbidden {
        let request =
            Request::get(format!("https://{host}:{port}/keys")).body(Full::<Bytes>::default()).unwrap();
        let error = client(&pem).oneshot(request).await.unwrap_err();
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        let mut said = false;
        while let Some(error) = next {
            said |= matches!(error.downcast_ref(), Some(HttpsClientError::ForbiddenTarget));
            next = error.source();
        }
        assert!(said, "{host}: {error:?}");
    }
    for (client, uri) in [
        (client(&pem), format!("http://localhost:{port}/")),
        (client(&pem).with_private_targets(), "http://10.0.0.1/".to_owned()),
        (client(&pem).with_insecure_loopback_http(), "http://id.example/".to_owned()),
    ] {
        let request = Request::get(&uri).body(Full::<Bytes>::default()).unwrap();
        let error = client.oneshot(request).await.unwrap_err();
        assert!(
            matches!(error, HttpsClientError::Insecure | HttpsClientError::ForbiddenTarget),
            "{uri}: {error:?}"
        );
    }
}

#[test]
fn roots_that_are_none_are_refused() {
    for bad in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = HttpsClient::with_only_roots(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, HttpsClientError::BadRoots), "{bad}");
    }
}
