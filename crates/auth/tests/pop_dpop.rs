//! Tokens bound to a key of the client, and the proofs that come with them.
#![cfg(all(feature = "dpop", any(feature = "aws-lc-rs", feature = "rust-crypto")))]

#[cfg(feature = "tracing")]
mod everything;
mod mint;
mod support;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bartizan_auth::{Algorithm, ApiKeyLayer, AuthLayer, Dpop, JwtLayer, KeySet, RequireLayer, StaticKeys};
#[cfg(feature = "tracing")]
use bartizan_core::RequestContext;
use bartizan_core::{Clock, ManualClock, Reason, Rejection};
use bartizan_testkit::contract;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use tower::layer::util::Stack;

use self::{
    mint::{NOW, RSA, Signer, bearer, good, policy, secret_layer},
    support::{Seen, grpc, send},
};

const PLAIN: [&str; 2] = ["Bearer realm=\"api\"", "DPoP realm=\"api\", algs=\"PS256 ES256 EdDSA\""];

fn dpop() -> Dpop {
    Dpop::new("https://api.example", [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256]).unwrap()
}

fn layer() -> JwtLayer<KeySet> {
    secret_layer().with_dpop(dpop())
}

fn sha256(bytes: &[u8]) -> String {
    BASE64.encode(digest(&SHA256, bytes))
}

/// A client with a key, and a token that is bound to it.
struct Client {
    signer: Signer,
    algorithm: Algorithm,
    token: String,
}

impl Client {
    fn new(algorithm: Algorithm) -> Self {
        let signer = Signer::for_algorithm(algorithm);
        let jwk = signer.jwk();
        let part = |name: &str| jwk[name].as_str().unwrap();
        let canonical = match part("kty") {
            "EC" => {
                format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, part("crv"), part("x"), part("y"))
            }
            "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, part("e"), part("n")),
            kty => format!(r#"{{"crv":"{}","kty":"{kty}","x":"{}"}}"#, part("crv"), part("x")),
        };
        let confirmation = json!({"cnf": {"jkt": sha256(canonical.as_bytes())}});
        let token = Signer::secret().with(Algorithm::Hs256, &confirmation);
        Self { signer, algorithm, token }
    }

    /// A proof with another id each time, for `GET /`, but for these changes to its claims; a null takes one away.
    fn proof(&self, changes: &Value) -> String {
        self.proof_with(&json!({}), changes)
    }

    fn proof_with(&self, header: &Value, changes: &Value) -> String {
        use std::sync::atomic::{AtomicU64, Ordering};
        static ID: AtomicU64 = AtomicU64::new(0);
        let mut claims = json!({
            "jti": format!("proof-{}", ID.fetch_add(1, Ordering::Relaxed)),
            "htm": "GET",
            "htu": "https://api.example/",
            "iat": NOW,
            "ath": sha256(self.token.as_bytes()),
        });
        let mut all = json!({"typ": "dpop+jwt", "alg": self.algorithm.as_str(), "jwk": self.signer.jwk()});
        for (object, changes) in [(&mut claims, changes), (&mut all, header)] {
            for (name, value) in changes.as_object().unwrap() {
                if value.is_null() {
                    object.as_object_mut().unwrap().remove(name);
                } else {
                    object[name] = value.clone();
                }
            }
        }
        self.signer.token(self.algorithm, &all, &claims)
    }

    fn with(&self, proofs: &[&str]) -> Request<String> {
        let mut request = Request::get("/").header("authorization", format!("DPoP {}", self.token));
        for proof in proofs {
            request = request.header("dpop", *proof);
        }
        request.body(String::new()).unwrap()
    }

    fn good(&self) -> Request<String> {
        self.with(&[&self.proof(&json!({}))])
    }
}

fn challenges(seen: &Seen) -> Vec<&str> {
    seen.response.headers().get_all("www-authenticate").iter().map(|line| line.to_str().unwrap()).collect()
}

#[track_caller]
fn assert_refused(seen: &Seen, error: &str, expected: &str) {
    let cause = seen.response.extensions().get::<Rejection>().and_then(Rejection::cause);
    assert_eq!((seen.status(), cause), (401, Some(expected)));
    let [bearer, dpop] = challenges(seen)[..] else { panic!("{:?}", challenges(seen)) };
    assert_eq!(bearer, PLAIN[0]);
    assert!(dpop.starts_with(&format!("DPoP realm=\"api\", error=\"{error}\", ")), "{dpop}");
    assert!(dpop.ends_with(", algs=\"PS256 ES256 EdDSA\""), "{dpop}");
    assert_eq!(
        seen.response.headers().get_all("dpop-nonce").iter().count(),
        usize::from(error == "use_dpop_nonce")
    );
    assert!(seen.handled.is_none());
}

#[tokio::test]
async fn pop_01_a_good_proof_opens_the_token_once_and_nothing_of_it_reaches_the_handler() {
    let layer = layer();
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256] {
        let client = Client::new(algorithm);
        let proof = client.proof(&json!({}));
        let seen = send(&layer, client.with(&[&proof])).await;
        assert_eq!(seen.status(), 200, "{algorithm}");
        assert_eq!(seen.principal().unwrap().auth_scheme(), Some("DPoP"));
        let headers = seen.handled.unwrap().headers;
        assert!(!headers.contains_key("dpop") && !headers.contains_key("authorization"));
        assert!(!seen.response.headers().contains_key("dpop-nonce"));
        assert_refused(&send(&layer, client.with(&[&proof])).await, "invalid_dpop_proof", "replayed_proof");
        assert_refused(
            &send(&layer.clone(), client.with(&[&proof])).await,
            "invalid_dpop_proof",
            "replayed_proof",
        );
        assert_eq!(send(&layer, client.good()).await.status(), 200, "the next one is another");
    }
    let client = Client::new(Algorithm::Es256);
    let kept = layer.clone().with_credential_kept();
    let headers = send(&kept, client.good()).await.handled.unwrap().headers;
    assert!(headers["dpop"].is_sensitive() && headers["authorization"].is_sensitive());
    assert_eq!(send(&layer, bearer(&good())).await.status(), 200, "a token that is bound to nothing");
}

#[tokio::test]
async fn pop_01_a_proof_that_is_wrong_in_one_thing_is_refused() {
    let layer = layer();
    let client = Client::new(Algorithm::Es256);
    let (invalid, stale) = ("invalid_proof", "stale_proof");
    for (changes, expected) in [
        (json!({"htm": "POST"}), invalid),
        (json!({"htm": "get"}), invalid),
        (json!({"htm": null}), invalid),
        (json!({"htu": "https://api.example/other"}), invalid),
        (json!({"htu": "https://evil.example/"}), invalid),
        (json!({"htu": "http://api.example/"}), invalid),
        (json!({"htu": null}), invalid),
        (json!({"ath": sha256(b"another token")}), invalid),
        (json!({"ath": ""}), invalid),
        (json!({"ath": null}), invalid),
        (json!({"jti": ""}), invalid),
        (json!({"jti": "x".repeat(257)}), invalid),
        (json!({"jti": 7}), invalid),
        (json!({"jti": null}), invalid),
        (json!({"iat": null}), invalid),
        (json!({"iat": "now"}), invalid),
        (json!({"iat": -1}), invalid),
        (json!({"iat": 1e300}), invalid),
        (json!({"iat": NOW - 61}), stale),
        (json!({"iat": NOW + 61}), stale),
    ] {
        let seen = send(&layer, client.with(&[&client.proof(&changes)])).await;
        assert_refused(&seen, "invalid_dpop_proof", expected);
    }
    for changes in [
        json!({"iat": NOW - 60}),
        json!({"iat": NOW + 60}),
        json!({"htu": "HTTPS://API.example:443/?a=b#c"}),
        json!({"nonce": "of somebody"}),
        json!({"more": {"a": 1}}),
    ] {
        assert_eq!(send(&layer, client.with(&[&client.proof(&changes)])).await.status(), 200, "{changes}");
    }

    let jwk = client.signer.jwk();
    let other = Client::new(Algorithm::Es256);
    let merged = |name: &str, value: &str| {
        let mut jwk = jwk.clone();
        jwk[name] = value.into();
        json!({"jwk": jwk})
    };
    for header in [
        json!({"typ": "JWT"}),
        json!({"typ": "at+jwt"}),
        json!({"typ": null}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES384"}),
        json!({"alg": null}),
        json!({"jwk": null}),
        json!({"jwk": "a"}),
        json!({"jwk": other.signer.jwk()}),
        json!({"jwk": {"kty": "oct", "k": "AAAA"}}),
        json!({"jwk": RSA.jwk()}),
        json!({"crit": ["exp"]}),
        json!({"b64": false}),
        merged("d", "AAAA"),
        merged("k", "AAAA"),
        merged("crv", "P-384"),
        merged("use", "enc"),
        merged("y", jwk["x"].as_str().unwrap()),
    ] {
        let seen = send(&layer, client.with(&[&client.proof_with(&header, &json!({}))])).await;
        assert_refused(&seen, "invalid_dpop_proof", "invalid_proof");
    }
    let proof = client.proof(&json!({}));
    let (signed, signature) = proof.rsplit_once('.').unwrap();
    let unsigned = format!("{signed}.{}", BASE64.encode([7; 64]));
    assert_ne!(signature, &unsigned[signed.len() + 1..]);
    let long = client.proof(&json!({"more": "x".repeat(8192)}));
    let token = &client.token;
    for lines in [&[&*proof, &*proof][..], &[&unsigned], &["a.b.c"], &[""], &["{}"], &[&long], &[token]] {
        assert_refused(&send(&layer, client.with(lines)).await, "invalid_dpop_proof", "invalid_proof");
    }
    let twice = format!(r#"{{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let claims = json!({
        "jti": "a", "htm": "GET", "htu": "https://api.example/", "iat": NOW, "ath": sha256(token.as_bytes()),
    });
    let twice = client.signer.token_of(Algorithm::Es256, &twice, &claims.to_string());
    assert_refused(&send(&layer, client.with(&[&twice])).await, "invalid_dpop_proof", "invalid_proof");
    // None of these used it up.
    assert_eq!(send(&layer, client.with(&[&proof])).await.status(), 200);
}

#[tokio::test]
async fn pop_01_a_proof_by_another_key_than_the_token_s_is_refused() {
    let layer = layer();
    let (client, thief) = (Client::new(Algorithm::Es256), Client::new(Algorithm::Es256));
    let proof = thief.proof(&json!({"ath": sha256(client.token.as_bytes())}));
    assert_refused(&send(&layer, client.with(&[&proof])).await, "invalid_token", "wrong_proof_key");
}

#[tokio::test]
async fn pop_02_a_stolen_token_is_no_bearer_token_and_the_scheme_wants_a_proof() {
    let layer = layer();
    let client = Client::new(Algorithm::EdDsa);
    for _ in 0..2 {
        assert_refused(&send(&layer, client.with(&[])).await, "invalid_dpop_proof", "missing_proof");
        let mut stolen = client.good();
        stolen.headers_mut().insert("authorization", format!("Bearer {}", client.token).parse().unwrap());
        let seen = send(&layer, stolen).await;
        assert_eq!(seen.response.extensions().get::<Rejection>().unwrap().cause(), Some("wrong_scheme"));
        assert_eq!(seen.face(), send(&layer, bearer("a.b.c")).await.face(), "AUT-07");
        let [first, second] = challenges(&seen)[..] else { panic!() };
        assert!(first.starts_with("Bearer realm=\"api\", error=\"invalid_token\""));
        assert_eq!(second, PLAIN[1]);
        // From now on the token is one that was seen before: that proves nothing.
        assert_eq!(send(&layer, client.good()).await.status(), 200);
    }
    let free = Client { token: good(), ..Client::new(Algorithm::EdDsa) };
    assert_refused(&send(&layer, free.good()).await, "invalid_token", "unbound");
    let bad = Client { token: "a.b.c".to_owned(), ..Client::new(Algorithm::EdDsa) };
    assert_refused(&send(&layer, bad.good()).await, "invalid_token", "malformed");

    let strict = layer.clone().with_binding_required();
    assert_eq!(send(&strict, bearer(&good())).await.status(), 401);
    assert_eq!(send(&strict, client.good()).await.status(), 200);
    let without = send(&secret_layer(), client.good()).await;
    assert_eq!((without.status(), challenges(&without)), (401, vec![PLAIN[0]]), "DPoP is not taken here");
}

#[tokio::test]
async fn pop_02_both_schemes_are_asked_for_wherever_a_token_is() {
    let keys = || ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let layer = layer().with_realm("api").unwrap();
    assert_eq!(challenges(&send(&layer, Request::default()).await), PLAIN);
    let auth = AuthLayer::new(keys(), layer.clone());
    let all = [&PLAIN[..], &["ApiKey realm=\"api\""]].concat();
    assert_eq!(challenges(&send(&auth, Request::default()).await), all);
    let mut bad_key = Request::<String>::default();
    bad_key.headers_mut().insert("x-api-key", HeaderValue::from_static("nonsense"));
    assert_eq!(challenges(&send(&auth, bad_key).await).len(), 3);
    let inner = RequireLayer::scope("orders:read");
    let optional = Stack::new(inner.clone(), layer.clone().optional());
    assert_eq!(challenges(&send(&optional, Request::default()).await), PLAIN);
    let optional = Stack::new(inner, auth.clone().optional());
    assert_eq!(challenges(&send(&optional, Request::default()).await), all);

    let client = Client::new(Algorithm::Es256);
    assert_eq!(send(&auth, client.good()).await.status(), 200);
    let mut both = client.good();
    both.headers_mut().insert("x-api-key", HeaderValue::from_static("nonsense"));
    assert_eq!(send(&auth, both).await.status(), 400);
    let mut two_lines = client.good();
    two_lines.headers_mut().append("authorization", HeaderValue::from_static("Bearer a"));
    assert_eq!(send(&layer, two_lines).await.status(), 400);
}

#[tokio::test]
async fn pop_02_a_nonce_is_asked_for_and_replaced_before_it_expires() {
    let clock = ManualClock::new();
    let nonces = dpop().with_nonces(&[7; 32], Duration::from_secs(100)).unwrap();
    let layer = JwtLayer::new(Signer::secret().keys(Algorithm::Hs256), policy())
        .with_clock(Clock::from(clock.clone()))
        .with_dpop(nonces);
    let client = Client::new(Algorithm::Es256);
    let sent = async |nonce: &Value, iat: u64| {
        let proof = client.proof(&json!({"nonce": nonce, "iat": iat}));
        send(&layer, client.with(&[&proof])).await
    };
    let asked = sent(&Value::Null, NOW).await;
    assert_refused(&asked, "use_dpop_nonce", "nonce_wanted");
    assert!(
        !asked.response.extensions().get::<Rejection>().unwrap().is_failed_credential(),
        "an honest beginning"
    );
    assert_refused(&sent(&json!("guess"), NOW).await, "use_dpop_nonce", "nonce_wanted");
    let first = json!(asked.header("dpop-nonce"));

    let seen = sent(&first, 1).await;
    assert_eq!(
        (seen.status(), seen.header("dpop-nonce")),
        (200, ""),
        "the nonce tells the time, not the client's clock"
    );
    clock.advance(Duration::from_secs(100));
    let seen = sent(&first, NOW).await;
    assert_eq!(seen.status(), 200);
    let second = json!(seen.header("dpop-nonce"));
    assert!(second != first && second != "");
    clock.advance(Duration::from_secs(100));
    assert_refused(&sent(&first, NOW).await, "use_dpop_nonce", "nonce_wanted");
    assert_eq!(sent(&second, NOW).await.status(), 200);
}

#[tokio::test]
async fn pop_01_a_memory_of_proofs_that_is_full_refuses_what_it_cannot_remember() {
    let layer = secret_layer().with_dpop(dpop().with_replay_capacity(1024).unwrap());
    let client = Client::new(Algorithm::EdDsa);
    let mut full = 0;
    for _ in 0..1500 {
        let seen = send(&layer, client.good()).await;
        if seen.status() != 200 {
            let rejection = seen.response.extensions().get::<Rejection>().unwrap();
            assert_eq!((seen.status(), rejection.cause()), (503, Some("proofs_full")));
            assert!(!seen.header("retry-after").is_empty() && !rejection.is_failed_credential());
            full += 1;
        }
    }
    assert!(full >= 1500 - 1024, "{full}");
}

#[tokio::test]
async fn pop_01_grpc_calls_carry_proofs_for_their_methods() {
    let client = Client::new(Algorithm::Es256);
    let changes = json!({"htm": "POST", "htu": "https://api.example/pkg.Orders/Create"});
    let token = format!("DPoP {}", client.token);
    let call = |proof: &str| grpc(&[("authorization", &token), ("dpop", proof)]);
    assert!(send(&layer(), call(&client.proof(&changes))).await.handled.is_some());
    let refused = send(&layer(), call(&client.proof(&json!({})))).await;
    assert_eq!((refused.status(), refused.header("grpc-status")), (200, "16"));
    assert_eq!(challenges(&refused).len(), 2);
}

#[test]
fn log_04_no_secret_of_nonces_is_in_any_text() {
    let secret = [b'S'; 32];
    let dpop = dpop().with_nonces(&secret, Duration::from_secs(60)).unwrap();
    let text = [format!("{dpop:?}"), format!("{:?}", secret_layer().with_dpop(dpop))].concat();
    assert!(text.contains("lifetime: 60") && !text.contains("SSS") && !text.contains("83, 83"), "{text}");
}

#[cfg(feature = "tracing")]
#[test]
fn log_04_no_proof_and_no_bound_token_is_in_any_text() {
    let seen = everything::Everything::default();
    let _guard = seen.0.listen(tracing::Level::TRACE);
    let (client, thief) = (Client::new(Algorithm::Es256), Client::new(Algorithm::Es256));
    let proofs = [
        client.proof(&json!({})),
        client.proof(&json!({"htm": "POST"})),
        client.proof(&json!({"iat": 1})),
        client.proof_with(&json!({"typ": "JWT"}), &json!({})),
        thief.proof(&json!({"ath": sha256(client.token.as_bytes())})),
    ];
    let work = async || {
        let (layer, kept) = (layer(), layer().with_credential_kept());
        for proof in &proofs {
            // The second time it is replayed.
            for layer in [&layer, &layer, &kept] {
                let mut request = client.with(&[proof]);
                let context = RequestContext::of(&mut request);
                context.event().enable();
                let answer = send(layer, request).await;
                let cause = answer.response.extensions().get::<Rejection>().and_then(Rejection::cause);
                seen.add(cause.unwrap_or_default());
                seen.debug(&answer);
                seen.debug(&context);
                seen.debug(context.event());
            }
        }
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work());
    seen.error(&dpop().with_nonces(b"SSSS", Duration::from_secs(60)).unwrap_err());
    let text = seen.0.text();
    assert!(
        text.contains("nonces.secret") && !text.contains("SSSS"),
        "a secret that is too short is one, too"
    );
    for part in
        ["replayed_proof", "invalid_proof", "stale_proof", "wrong_proof_key", "authn_success", "token-1"]
    {
        assert!(text.contains(part), "the search sees what was said: {part}");
    }
    for part in proofs.iter().chain([&client.token]).flat_map(|token| token.split('.').skip(1)) {
        assert!(!text.contains(&part[..12]) && !text.contains(&part[part.len() - 12..]), "{part}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let field = |result: Result<Dpop, bartizan_auth::ConfigError>| result.unwrap_err().field().to_owned();
    assert_eq!(field(Dpop::new("https://a", Algorithm::Hs256)), "algorithms");
    assert_eq!(field(Dpop::new("https://a", [Algorithm::Es256, Algorithm::Hs256])), "algorithms");
    assert_eq!(field(Dpop::new("https://a", [])), "algorithms");
    assert_eq!(field(Dpop::new("api.example", Algorithm::Es256)), "address");
    for seconds in [0, 301] {
        assert_eq!(field(dpop().with_window(Duration::from_secs(seconds))), "window");
    }
    for proofs in [0, 1023, usize::MAX] {
        assert_eq!(field(dpop().with_replay_capacity(proofs)), "replay_capacity");
    }
    assert_eq!(field(dpop().with_nonces(b"short", Duration::from_secs(60))), "nonces.secret");
}

/// The contract sends requests of its own, to addresses of its own: each gets a proof for it.
fn prove(request: &mut Request<()>, client: &Client) {
    let target = format!("https://api.example{}", request.uri().path());
    let proof = client.proof(&json!({"htm": request.method().as_str(), "htu": target}));
    let token = format!("DPoP {}", client.token);
    request.headers_mut().append("authorization", token.parse().unwrap());
    request.headers_mut().append("dpop", proof.parse().unwrap());
}

#[test]
fn a_jwt_layer_that_takes_dpop_keeps_the_contract() {
    contract(layer)
        .accept(|request: &mut Request<()>| prove(request, &Client::new(Algorithm::EdDsa)))
        .refuse(Reason::Unauthenticated, |_| {})
        .refuse(Reason::Unauthenticated, |request: &mut Request<()>| {
            prove(request, &Client::new(Algorithm::EdDsa));
            request.headers_mut().remove("dpop");
        })
        .check();
}
