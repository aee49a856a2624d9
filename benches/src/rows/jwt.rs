//! Tokens: one that was seen before, and one that was not.

use std::{
    future::Ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use bartizan::auth::{Algorithm, JwtLayer, KeyQuery, KeySet, KeySource, Lookup, TokenPolicy, VerifyingKey};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderValue, Request, StatusCode, header};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "https://api.example.com";
const KID: &str = "2026-01";

const SEEN_BEFORE: &str = "JWT, token seen before";
const FIRST_SIGHT: &str = "JWT RS256, first sight";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(SEEN_BEFORE, Some(Budget::new(2500, 3)), seen_before),
        Scenario::peer(SEEN_BEFORE, "jwt-authorizer, RS256", jwt_authorizer),
        Scenario::peer(SEEN_BEFORE, "tower-oauth2-resource-server, RS256", resource_server),
        Scenario::ours(FIRST_SIGHT, Some(Budget::new(306_000, 6)), first_sight),
        Scenario::peer(FIRST_SIGHT, "jwt-authorizer", jwt_authorizer),
        Scenario::peer(FIRST_SIGHT, "tower-oauth2-resource-server", resource_server),
    ]
}

fn seen_before(arm: Arm) -> Prepared {
    let issuer = Issuer::new();
    let request = issuer.request();
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| layer(issuer.keys()).layer(bare))
}

fn first_sight(arm: Arm) -> Prepared {
    let issuer = Issuer::new();
    let request = issuer.request();
    let keys = Restless { keys: issuer.keys(), generation: Arc::default() };
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| layer(keys).layer(bare))
}

fn jwt_authorizer(arm: Arm) -> Prepared {
    use jwt_authorizer::{Authorizer, IntoLayer as _, JwtAuthorizer, Validation};
    let issuer = Issuer::new();
    let request = issuer.request();
    arm.prepare(request, StatusCode::OK, |bare: Bare<axum07::body::Body>| {
        let validation = Validation::new().iss(&[ISSUER]).aud(&[AUDIENCE]);
        let authorizer =
            JwtAuthorizer::<serde_json::Value>::from_rsa_pem_text(&issuer.pem()).validation(validation);
        let authorizer: Authorizer<serde_json::Value> =
            block_on(authorizer.build()).expect("the key is good");
        authorizer.into_layer().layer(bare)
    })
}

fn resource_server(arm: Arm) -> Prepared {
    use tower_oauth2_resource_server::{
        server::OAuth2ResourceServer, tenant::TenantConfiguration, validation::ClaimsValidationSpec,
    };
    let issuer = Issuer::new();
    let request = issuer.request();
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| {
        let claims = ClaimsValidationSpec::new().exp(true).iss(ISSUER).aud(&vec![AUDIENCE.to_owned()]);
        let tenant = TenantConfiguration::static_builder(issuer.jwks()).claims_validation(claims).build();
        let server = <OAuth2ResourceServer>::builder().add_tenant(tenant.expect("the key is good"));
        block_on(server.build()).expect("there is a tenant").into_layer().layer(bare)
    })
}

/// Both peers are built by code that may wait for an issuer, which here it does not.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// What the layer of the table is.
pub(crate) fn layer<K: KeySource>(keys: K) -> JwtLayer<K> {
    let policy = TokenPolicy::new(ISSUER, [AUDIENCE]).expect("names are short");
    JwtLayer::new(keys, policy)
}

/// Keys that are others each time, so that no token was ever seen under them: it is looked up in vain, verified, and
/// kept in place of the one before.
struct Restless {
    keys: KeySet,
    generation: Arc<AtomicU64>,
}

impl KeySource for Restless {
    type Refresh = Ready<()>;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        self.keys.lookup(query)
    }

    fn generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::Relaxed)
    }

    fn refresh(&self, _: &KeyQuery<'_>) -> Option<Self::Refresh> {
        None
    }
}

/// An RSA key, with which an issuer signs its tokens.
pub(crate) struct Issuer(RsaKeyPair);

impl Issuer {
    pub(crate) fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("the system has entropy"))
    }

    fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.0.public_key());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", lines.join("\n"))
    }

    fn jwks(&self) -> String {
        let key = self.0.public_key();
        let [n, e] = [key.modulus(), key.exponent()]
            .map(|number| BASE64_URL_SAFE_NO_PAD.encode(number.big_endian_without_leading_zero()));
        format!(r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS256","kid":"{KID}","n":"{n}","e":"{e}"}}]}}"#)
    }

    pub(crate) fn keys(&self) -> KeySet {
        let key = VerifyingKey::from_pem(Algorithm::Rs256, self.pem().as_bytes()).expect("it is an RSA key");
        KeySet::from(key.with_kid(KID).expect("a short name"))
    }

    pub(crate) fn authorization(&self) -> HeaderValue {
        authorization("RS256", |signed| {
            let mut signature = vec![0; self.0.public_modulus_len()];
            self.0
                .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature)
                .expect("the buffer has the length of a signature");
            signature
        })
    }

    pub(crate) fn request(&self) -> impl Fn() -> Request<Body> + 'static + use<> {
        let authorization = self.authorization();
        move || {
            let mut request = request::with_context();
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
            request
        }
    }
}

/// A secret that the service shares with who issues its tokens.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn new() -> Self {
        Self(*b"32 bytes that two services share")
    }

    pub(crate) fn keys(&self) -> KeySet {
        let key = VerifyingKey::from_secret(Algorithm::Hs256, &self.0).expect("it is long enough");
        KeySet::from(key.with_kid(KID).expect("a short name"))
    }

    pub(crate) fn authorization(&self) -> HeaderValue {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        authorization("HS256", |signed| hmac::sign(&key, signed).as_ref().to_vec())
    }
}

/// The header that carries a token such as issuers write.
fn authorization(algorithm: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> HeaderValue {
    let header = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{KID}"}}"#);
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"auth0|5f7c8ec7c33c6c004bbafe82","aud":"{AUDIENCE}","iat":1767225600,"exp":4102444800,"jti":"ce4fd9b1-a8ab-4b68-a2a4-2e6aafdb7b6d","client_id":"web","scope":"orders:read orders:write"}}"#
    );
    let signed =
        format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    HeaderValue::try_from(format!("Bearer {signed}.{signature}")).expect("a token is visible ASCII")
}
