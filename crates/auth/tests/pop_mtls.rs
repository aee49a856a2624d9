//! Tokens bound to the certificate of the TLS connection, and tokens bound to what nobody asks for.
#![cfg(all(feature = "mtls", any(feature = "aws-lc-rs", feature = "rust-crypto")))]

#[cfg(feature = "tonic-tls")]
mod handshake;
mod mint;
mod support;

use bartizan_auth::{
    Algorithm, ApiKeyLayer, AuthLayer, ClientCertificate, JwtLayer, KeySet, MutualTls, StaticKeys,
};
use bartizan_core::{Rejection, insert_peer_addr};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::Request;
use serde_json::{Value, json};

use self::{
    mint::{Signer, bearer, good, secret_layer},
    support::{Seen, send},
};

/// The certificate of RFC 8705 appendix A, and its thumbprint there.
const CERTIFICATE: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";
const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

fn certificate() -> ClientCertificate {
    ClientCertificate::from_der(BASE64_STANDARD.decode(CERTIFICATE).unwrap())
}

fn layer() -> JwtLayer<KeySet> {
    secret_layer().with_mtls(MutualTls::new())
}

fn behind_a_proxy() -> JwtLayer<KeySet> {
    secret_layer().with_mtls(MutualTls::new().with_trusted_proxies(["10.0.0.0/8"]).unwrap())
}

fn bound_to(confirmation: &Value) -> String {
    Signer::secret().with(Algorithm::Hs256, &json!({"cnf": confirmation}))
}

fn bound() -> Request<String> {
    bearer(&bound_to(&json!({"x5t#S256": THUMBPRINT})))
}

fn from(addr: &str, mut request: Request<String>) -> Request<String> {
    insert_peer_addr(request.extensions_mut(), addr.parse().unwrap());
    request
}

fn showing(certificate: ClientCertificate, mut request: Request<String>) -> Request<String> {
    request.extensions_mut().insert(certificate);
    request
}

fn telling(lines: &[&str], mut request: Request<String>) -> Request<String> {
    for line in lines {
        request.headers_mut().append("client-cert", line.parse().unwrap());
    }
    request.headers_mut().append("client-cert-chain", ":AAAA:".parse().unwrap());
    request
}

fn cause(seen: &Seen) -> &str {
    seen.response.extensions().get::<Rejection>().and_then(Rejection::cause).unwrap_or_default()
}

fn assert_refused(seen: &Seen, expected: &str) {
    assert_eq!((seen.status(), cause(seen)), (401, expected));
    let challenge = seen.header("www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"api\", error=\"invalid_token\""), "{challenge}");
    assert!(seen.handled.is_none());
}

#[tokio::test]
async fn pop_03_the_certificate_of_rfc_8705_opens_the_token_that_is_bound_to_it_and_no_other_does() {
    assert_eq!(certificate().thumbprint(), THUMBPRINT);
    let layer = layer();
    for _ in 0..2 {
        // The second time the token is one that was seen before: that proves nothing.
        assert_eq!(send(&layer, showing(certificate(), bound())).await.status(), 200);
        assert_refused(&send(&layer, bound()).await, "no_certificate");
        let other = ClientCertificate::from_der(&b"another"[..]);
        assert_refused(&send(&layer, showing(other, bound())).await, "wrong_certificate");
    }
    assert_eq!(send(&layer, bearer(&good())).await.status(), 200, "bound to nothing");
    let refused = send(&layer, bound()).await;
    assert_eq!(refused.face(), send(&layer, bearer("a.b.c")).await.face(), "AUT-07");
}

#[cfg(feature = "tonic-tls")]
#[tokio::test]
async fn pop_03_what_tonic_s_acceptor_learns_in_the_handshake_opens_the_token() {
    use tonic::transport::server::Connected;

    let (client, other) = (handshake::Client::new(), handshake::Client::new());
    let bound_to_client =
        || bearer(&bound_to(&json!({"x5t#S256": ClientCertificate::from_der(client.der()).thumbprint()})));
    let layer = layer();
    for (who, expected) in
        [(Some(&client), ""), (Some(&other), "wrong_certificate"), (None, "no_certificate")]
    {
        let mut request = bound_to_client();
        // As tonic's server does with each request of a connection.
        request.extensions_mut().insert(handshake::accept(who).await.connect_info());
        let seen = send(&layer, request).await;
        assert_eq!((seen.handled.is_some(), cause(&seen)), (expected.is_empty(), expected));
    }
}

#[tokio::test]
async fn pop_03_a_header_is_believed_of_a_trusted_proxy_alone_and_stripped_otherwise() {
    let line = format!(":{CERTIFICATE}:");
    let layer = behind_a_proxy();
    let passed = send(&layer, from("10.1.2.3", telling(&[&line], bound()))).await;
    assert_eq!(passed.status(), 200);
    assert!(
        passed.handled.unwrap().headers.contains_key("client-cert"),
        "the proxy's word is for the handler, too"
    );
    for (request, expected) in [
        (from("192.0.2.1", telling(&[&line], bound())), "no_certificate"),
        (telling(&[&line], bound()), "no_certificate"),
        (from("10.1.2.3", telling(&[&line, &line], bound())), "no_certificate"),
        (from("10.1.2.3", telling(&[CERTIFICATE], bound())), "no_certificate"),
        (from("10.1.2.3", telling(&[":AAAA:"], bound())), "wrong_certificate"),
        // What the proxy shows is its own certificate, not the client's.
        (from("10.1.2.3", showing(certificate(), bound())), "no_certificate"),
    ] {
        assert_refused(&send(&layer, request).await, expected);
    }
    assert_refused(
        &send(&self::layer(), from("10.1.2.3", telling(&[&line], bound()))).await,
        "no_certificate",
    );
    let auth = AuthLayer::new(ApiKeyLayer::new(StaticKeys::new([]).unwrap()), layer.clone()).optional();
    let without_token = || from("192.0.2.1", telling(&[&line], Request::default()));
    for seen in [
        send(&layer, from("192.0.2.1", telling(&[&line], bearer(&good())))).await,
        send(&layer.optional(), without_token()).await,
        send(&auth, without_token()).await,
    ] {
        let headers = seen.handled.unwrap().headers;
        assert!(!headers.contains_key("client-cert") && !headers.contains_key("client-cert-chain"));
    }
}

#[tokio::test]
async fn pop_02_a_token_bound_to_what_nobody_asks_for_is_no_bearer_token() {
    let plain = secret_layer();
    for confirmation in [
        json!({"x5t#S256": THUMBPRINT}),
        json!({"jkt": THUMBPRINT}),
        json!({"jwk": {"kty": "EC"}}),
        json!({"kid": "a"}),
        json!({}),
    ] {
        let token = bound_to(&confirmation);
        assert_refused(&send(&plain, showing(certificate(), bearer(&token))).await, "unsupported_binding");
        if confirmation.get("x5t#S256").is_none() {
            assert_refused(
                &send(&layer(), showing(certificate(), bearer(&token))).await,
                "unsupported_binding",
            );
        }
    }
    for confirmation in [json!("a"), json!(null), json!({"jkt": "short"}), json!({"x5t#S256": 7})] {
        let mut claims = mint::claims(&json!({}));
        claims["cnf"] = confirmation;
        let token = Signer::secret().token(Algorithm::Hs256, &json!({"alg": "HS256"}), &claims);
        assert_refused(&send(&plain, bearer(&token)).await, "invalid_claims");
    }
    let both = bound_to(&json!({"x5t#S256": THUMBPRINT, "jkt": THUMBPRINT}));
    let seen = send(&layer(), showing(certificate(), bearer(&both))).await;
    assert_refused(&seen, "unsupported_binding");
}

#[tokio::test]
async fn pop_03_tokens_that_are_bound_to_nothing_can_be_refused() {
    let strict = layer().with_binding_required();
    assert_refused(&send(&strict, bearer(&good())).await, "unbound");
    assert_refused(&send(&strict, showing(certificate(), bearer(&good()))).await, "unbound");
    assert_eq!(send(&strict, showing(certificate(), bound())).await.status(), 200);
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let field =
        |networks: &[&str]| MutualTls::new().with_trusted_proxies(networks).unwrap_err().field().to_owned();
    assert_eq!(field(&[]), "trusted_proxies");
    for network in ["", "proxy.example", "0.0.0.0/0", "::/0", "10.0.0.0/33"] {
        assert_eq!(field(&["10.0.0.0/8", network]), "trusted_proxies[1]", "{network}");
    }
}
