//! Tokens beside keys: the development ones, and those of an issuer elsewhere.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{Json, Router, extract::State, routing::get};
use bartizan::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use orders::{
    AUDIENCE, DEVELOPMENT_ISSUER, DevelopmentToken, READER_KEY, Remote, Tokens, WRITER_KEY, development_token,
};
use serde_json::{Value, json};
use support::{Reply, Service};
use tokio::{net::TcpListener, task::JoinHandle};

const API_KEY: &str = r#"ApiKey realm="orders""#;

fn alice() -> DevelopmentToken {
    DevelopmentToken {
        subject: "alice".to_owned(),
        scope: "orders:read".to_owned(),
        roles: Vec::new(),
        audience: AUDIENCE.to_owned(),
        ttl: 300,
    }
}

fn sign(token: &DevelopmentToken) -> String {
    development_token(token).unwrap()
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn a_token_and_a_key_open_the_same_routes_and_no_log_line_holds_the_token() {
    let service = Service::start().await;
    let token = sign(&DevelopmentToken { scope: "orders:read orders:write".to_owned(), ..alice() });
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let order = r#"{"email": "ada@example.com", "quantity": 2, "productId": "sku-1"}"#;
    let created = service.send("POST", "/v1/orders", None, &headers, order).await;
    assert_eq!(created.status, 201);
    let line = service.log_line(&created).await;
    assert_eq!((&line["user.id"], &line["http.route"]), (&json!("alice"), &json!("/v1/orders")));
    for part in token.split('.') {
        assert!(!line.to_string().contains(part), "{line}");
    }
    // Who it is counts, not by which token.
    let another = sign(&alice());
    assert_eq!(service.get_with_token("/v1/orders/1", &another).await.json(), created.json());
    let by_key = service.send("POST", "/v1/orders", Some(WRITER_KEY), &headers[1..], order).await;
    assert_eq!((by_key.status, by_key.header("location")), (201, Some("/v1/orders/2")));
    assert_eq!(service.get("/v1/orders/2", Some(WRITER_KEY)).await.status, 200);
}

#[tokio::test]
async fn aut_03_and_aut_05_a_token_that_is_not_accepted_is_a_401_with_both_challenges() {
    let service = Service::start().await;
    let good = sign(&alice());
    let admin = sign(&DevelopmentToken { roles: vec!["admin".to_owned()], ..alice() });
    let (signed, _) = admin.rsplit_once('.').unwrap();
    let other_signature = format!("{signed}.{}", good.rsplit('.').next().unwrap());
    let none = service.get("/v1/orders", None).await;
    assert_problem(&none, 401, "unauthenticated");
    assert_eq!(none.challenges(), [r#"Bearer realm="orders""#, API_KEY]);
    let mut bodies = Vec::new();
    for (token, why) in [
        (sign(&DevelopmentToken { ttl: -1, ..alice() }), "expired"),
        (
            sign(&DevelopmentToken { audience: "https://billing.example".to_owned(), ..alice() }),
            "wrong_audience",
        ),
        (other_signature, "bad_signature"),
    ] {
        let reply = service.get_with_token("/v1/orders", &token).await;
        assert_problem(&reply, 401, "unauthenticated");
        let [bearer, key] = reply.challenges()[..] else {
            panic!("two challenges: {:?}", reply.challenges())
        };
        assert!(bearer.starts_with(r#"Bearer realm="orders", error="invalid_token""#), "{bearer}");
        assert_eq!(key, API_KEY);
        assert_eq!(service.log_line(&reply).await["auth.failure"], why, "the log alone says why");
        bodies.push(reply.json_without_id());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "and the caller is told nothing of it");
    assert_eq!(service.get_with_token("/v1/orders", &good).await.status, 200);
}

#[tokio::test]
async fn azn_03_the_statistics_are_for_admins() {
    let service = Service::start().await;
    let support = sign(&DevelopmentToken { roles: vec!["support".to_owned()], ..alice() });
    let refused = service.get_with_token("/v1/admin/stats", &support).await;
    assert_problem(&refused, 403, "permission_denied");
    assert!(refused.text().contains("admin"), "{}", refused.text());
    assert_problem(&service.get("/v1/admin/stats", Some(WRITER_KEY)).await, 403, "permission_denied");
    assert_problem(&service.get("/v1/admin/stats", None).await, 401, "unauthenticated");

    let order = r#"{"email": "ada@example.com", "quantity": 2, "productId": "sku-1"}"#;
    assert_eq!(service.post("/v1/orders", Some(WRITER_KEY), order).await.status, 201);
    let admin = sign(&DevelopmentToken { roles: vec!["admin".to_owned()], ..alice() });
    let stats = service.get_with_token("/v1/admin/stats", &admin).await;
    assert_eq!((stats.status, stats.json()), (200, json!({ "orders": 1, "maxOrders": 10_000 })));
}

#[tokio::test]
async fn aut_02_a_key_and_a_token_at_once_are_a_400() {
    let service = Service::start().await;
    let bearer = format!("Bearer {}", sign(&alice()));
    let both = service.send("GET", "/v1/orders", Some(READER_KEY), &[("authorization", &bearer)], "").await;
    assert_problem(&both, 400, "malformed_credentials");
    assert_eq!(both.challenges().len(), 2);
}

/// A key of an issuer elsewhere.
struct Signer {
    key: EncodingKey,
    kid: &'static str,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self { key: EncodingKey::from_ec_der(pkcs8.as_ref()), kid }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self, issuer: &str) -> String {
        let now = Clock::system().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.to_owned());
        let claims =
            json!({ "iss": issuer, "sub": "bob", "aud": AUDIENCE, "exp": now + 300, "scope": "orders:read" });
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

/// An issuer elsewhere. Stops when it is dropped.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    server: JoinHandle<()>,
}

impl Issuer {
    async fn start(signer: &Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(vec![signer.jwk()]));
        let document = json!({ "issuer": &url, "jwks_uri": format!("{url}/keys") });
        let published = async |State(keys): State<Arc<Mutex<Vec<Value>>>>| {
            let keys = keys.lock().unwrap().clone();
            Json(json!({ "keys": keys }))
        };
        let app = Router::new()
            .route("/keys", get(published))
            .route("/.well-known/openid-configuration", get(async move || Json(document.clone())))
            .with_state(Arc::clone(&keys));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, keys, server }
    }

    /// The service that takes its keys from here.
    async fn service(&self, issuer: Option<&str>) -> Service {
        let jwks = issuer.is_none().then(|| format!("{}/keys", self.url));
        let remote = Remote { jwks, issuer: issuer.map(str::to_owned), insecure_loopback_http: true };
        Service::start_accepting(Tokens::remote(remote).unwrap()).await
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The status once it is another than that of keys which are being fetched: a request waits for them a second at most,
/// which a busy machine may need for more than that.
async fn settled(service: &Service, token: &str, passing: u16) -> u16 {
    let ask = async {
        loop {
            let status = service.get_with_token("/v1/orders", token).await.status;
            if status != passing {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ask).await.expect("the keys are fetched")
}

#[tokio::test]
async fn jwk_01_and_jwk_03_keys_of_a_remote_set_are_rotated_while_the_service_runs() {
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let issuer = Issuer::start(&first).await;
    for name in [Some(issuer.url.as_str()), None] {
        *issuer.keys.lock().unwrap() = vec![first.jwk()];
        let service = issuer.service(name).await;
        let name = name.unwrap_or(DEVELOPMENT_ISSUER);
        assert_eq!(settled(&service, &first.token(name), 503).await, 200);
        let foreign = service.get_with_token("/v1/orders", &first.token("https://other.example")).await;
        assert_problem(&foreign, 401, "unauthenticated");

        // The new key is not there, so it is asked for; the old one goes with the answer.
        *issuer.keys.lock().unwrap() = vec![second.jwk()];
        assert_eq!(settled(&service, &second.token(name), 401).await, 200);
        assert_problem(
            &service.get_with_token("/v1/orders", &first.token(name)).await,
            401,
            "unauthenticated",
        );
        assert_problem(&service.get_with_token("/v1/orders", &sign(&alice())).await, 401, "unauthenticated");
        assert_eq!(service.get("/v1/orders", Some(READER_KEY)).await.status, 200);
    }
}

#[tokio::test]
async fn jwk_04_an_issuer_that_is_away_is_a_503_and_spoils_no_keys_that_were_there() {
    let signer = Signer::new("first");
    let issuer = Issuer::start(&signer).await;
    let service = issuer.service(None).await;
    let token = signer.token(DEVELOPMENT_ISSUER);
    assert_eq!(settled(&service, &token, 503).await, 200);
    issuer.server.abort();
    let again = signer.token(DEVELOPMENT_ISSUER);
    assert_eq!(service.get_with_token("/v1/orders", &again).await.status, 200);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let remote = Remote { jwks: Some(url), issuer: None, insecure_loopback_http: true };
    let tokens = Tokens::remote(remote).unwrap();
    let service = Service::start_accepting(tokens.clone()).await;
    let reply = service.get_with_token("/v1/orders", &token).await;
    assert_problem(&reply, 503, "dependency_unavailable");
    assert!(reply.header("retry-after").is_some_and(|wait| wait.parse::<u64>().unwrap() >= 1));
    assert!(!tokens.ready().await);
}
