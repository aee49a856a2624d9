//! What is said of a setting that can never work.
#![cfg(all(feature = "dpop", feature = "mtls", any(feature = "aws-lc-rs", feature = "rust-crypto")))]

use std::{io, time::Duration};

use bartizan_auth::{
    AccessPolicy, Algorithm, ApiKey, ApiKeyLayer, AsyncKeyStore, AsyncPolicy, AuthLayer, AuthorizeLayer,
    BearerLayer, CachedKeys, ClientCredentials, ConfigError, Dpop, FileKeys, JwtLayer, KeyRecord, KeySet,
    MutualTls, PolicyDecision, PolicyQuery, RemoteKeys, Require, StaticKeys, TokenPolicy,
};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;

struct Nothing;

impl AsyncKeyStore for Nothing {
    type Error = io::Error;

    async fn fetch(&self, _: &str) -> io::Result<Option<KeyRecord>> {
        Ok(None)
    }
}

impl AsyncPolicy for Nothing {
    type Error = io::Error;

    async fn decide(&self, _: &PolicyQuery) -> io::Result<PolicyDecision> {
        Ok(PolicyDecision::Deny)
    }
}

#[test]
fn an_error_says_whose_setting_it_is_and_which() {
    let client = || {
        tower::service_fn(async |_: Request<Full<Bytes>>| Ok::<_, io::Error>(Response::new(String::new())))
    };
    let api_key = || ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let policy = || TokenPolicy::new("https://id.example", ["https://api.example"]).unwrap();
    let jwt = || JwtLayer::new(KeySet::new([]), policy());
    let token_url = "https://id.example/token";
    let credentials = || ClientCredentials::new(token_url, "billing", "s3cret");
    let tokens = credentials().build_with(client()).unwrap();
    let file = std::env::temp_dir().join(format!("bartizan-settings-{}", std::process::id()));
    std::fs::write(&file, "[]").unwrap();
    let (_keys, watch) = FileKeys::open(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let bare = ApiKey::generate("orders").unwrap().record("");
    let remote = |url: &str| RemoteKeys::jwks(url, Algorithm::Es256);

    #[rustfmt::skip]
    let errors = [
        ("api key: `realm` ", error(api_key().with_realm(""))),
        ("api key: `bypass` ", error(api_key().with_bypass("health"))),
        ("api key: `keys[0].owner` ", error(StaticKeys::new([bare]))),
        ("api key: `prefix` ", error(ApiKey::generate("").map_err(|error| source(&error)))),
        ("key file: `interval` ", error(watch.with_interval(Duration::ZERO))),
        ("cached keys: `ttl` ", error(CachedKeys::new(Nothing).with_ttl(Duration::ZERO))),
        ("jwt: `realm` ", error(jwt().with_realm(""))),
        ("jwt: `bypass` ", error(jwt().with_bypass("health"))),
        ("jwt: `identity_header` ", error(jwt().with_identity_header(header::HOST))),
        ("jwt: `issuers[1]` ", error(jwt().with_issuer(KeySet::new([]), policy()))),
        ("auth: `bypass` ", error(AuthLayer::new(api_key(), jwt()).with_bypass("health"))),
        ("token policy: `audiences` ", error(TokenPolicy::new("a", [""; 0]))),
        ("remote keys: `jwks_url` ", error(remote("http://id.example").build_with(client()))),
        ("remote keys: `wait` ", error(remote("https://id.example").with_wait(Duration::ZERO))),
        ("dpop: `window` ", error(dpop().with_window(Duration::ZERO))),
        ("mutual tls: `trusted_proxies` ", error(MutualTls::new().with_trusted_proxies([""; 0]))),
        ("bearer: `origins[0]` ", error(BearerLayer::new(tokens, ["http://api.example"]))),
        ("client credentials: `timeout` ", error(credentials().with_timeout(Duration::ZERO))),
        ("client credentials: `token_url` ", error(ClientCredentials::new("a", "b", "c").build_with(client()))),
        ("require: `scopes` ", error(Require::try_all_scopes([]))),
        ("authorize: `rules` ", error(AuthorizeLayer::table().build())),
        ("authorize: `rules[0].template` ", error(AuthorizeLayer::table().public("GET", "a").build())),
        ("access policy: `timeout` ", error(AccessPolicy::new(Nothing).with_timeout(Duration::ZERO))),
    ];
    for (expected, error) in errors {
        let text = error.to_string();
        assert!(text.starts_with(expected), "{expected}: {text}");
        assert!(text.contains(&format!("`{}` ", error.field())), "{text}");
    }
}

fn dpop() -> Dpop {
    Dpop::new("https://api.example", Algorithm::Es256).unwrap()
}

fn error<T>(result: Result<T, ConfigError>) -> ConfigError {
    result.err().expect("it can never work")
}

fn source(error: &dyn std::error::Error) -> ConfigError {
    error.source().and_then(|source| source.downcast_ref::<ConfigError>()).unwrap().clone()
}
