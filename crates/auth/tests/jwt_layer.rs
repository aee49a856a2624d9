//! What a caller with and without a token gets, and what the handler sees.
#![cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]

mod mint;
mod support;

use bartizan_auth::{
    Algorithm, ApiKeyLayer, AuthLayer, ConfigError, JwtLayer, KeySet, Require, RequireLayer, StaticKeys,
    TokenClaims, TokenPolicy,
};
use bartizan_core::{NormalizeLayer, Principal, PrincipalKind, Rejection, RequestContext};
use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceBuilder;

use self::{
    mint::{Signer, bearer, good, secret_layer, with},
    support::{Seen, get, grpc, send, send_to},
};

const REALM: &str = r#"Bearer realm="api""#;

#[tokio::test]
async fn aut_03_a_request_without_a_token_is_challenged_without_an_error() {
    let layer = secret_layer();
    for request in [Request::default(), with(&[("authorization", "Basic YTpi")]), with(&[("x-api-key", "k")])]
    {
        let seen = send(&layer, request).await;
        assert_eq!((seen.status(), seen.header("www-authenticate")), (401, REALM));
        assert!(seen.handled.is_none());
        let rejection = seen.response.extensions().get::<Rejection>().unwrap();
        assert!(!rejection.is_failed_credential());
    }
    let seen = send(&layer, get("/?access_token=a.b.c").body(String::new()).unwrap()).await;
    assert_eq!(
        (seen.status(), seen.header("www-authenticate")),
        (401, REALM),
        "AUT-06: the query is not read"
    );
    let seen = send(&layer, grpc(&[])).await;
    assert_eq!(
        (seen.status(), seen.header("grpc-status"), seen.header("www-authenticate")),
        (200, "16", REALM)
    );
}

#[tokio::test]
async fn aut_03_aut_07_every_token_that_is_not_accepted_gets_the_same_answer() {
    let layer = secret_layer();
    let mut faces = Vec::new();
    for token in [
        "abc".to_owned(),
        "a.b.c".to_owned(),
        "e30.e30.AAAA".to_owned(),
        Signer::Secret(vec![7; 64]).good(Algorithm::Hs256),
        Signer::secret().with(Algorithm::Hs256, &json!({"exp": 1})),
        Signer::secret().with(Algorithm::Hs256, &json!({"aud": "other"})),
        Signer::secret().with(Algorithm::Hs256, &json!({"iss": "other"})),
        Signer::secret().good(Algorithm::Hs512),
    ] {
        let seen = send(&layer, bearer(&token)).await;
        let challenge = seen.header("www-authenticate");
        let expected = format!(
            r#"{REALM}, error="invalid_token", error_description="The access token is not accepted""#
        );
        assert_eq!((seen.status(), challenge), (401, &*expected), "{token}");
        assert!(seen.response.extensions().get::<Rejection>().unwrap().is_failed_credential(), "KEY-05");
        assert!(!seen.face().contains(&token));
        faces.push(seen.face());
        let seen = send(&layer, grpc(&[("authorization", &format!("Bearer {token}"))])).await;
        assert_eq!((seen.header("grpc-status"), seen.header("www-authenticate")), ("16", &*expected));
    }
    faces.dedup();
    assert_eq!(faces.len(), 1);
}

#[tokio::test]
async fn aut_02_a_malformed_header_and_two_credentials_are_an_invalid_request() {
    let layer = secret_layer();
    let line = format!("Bearer {}", good());
    let twice = format!("{line}, {line}");
    let mut requests = vec![
        with(&[("authorization", &line), ("authorization", &line)]),
        with(&[("authorization", &line), ("authorization", "Basic YTpi")]),
        get(&format!("/?access_token={}", good()))
            .header("authorization", &line)
            .body(String::new())
            .unwrap(),
    ];
    for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer {}", "Bearer\ta.b.c", &twice] {
        requests.push(with(&[("authorization", value)]));
    }
    for request in requests {
        let text = format!("{request:?}");
        let seen = send(&layer, request).await;
        assert_eq!(seen.status(), 400, "{text}");
        assert!(
            seen.header("www-authenticate").starts_with(&format!(r#"{REALM}, error="invalid_request","#))
        );
        assert!(std::str::from_utf8(&seen.body).unwrap().contains("malformed_credentials"));
        assert!(seen.handled.is_none());
    }
    for value in [format!("bearer {}", good()), format!("BEARER   {}", good())] {
        assert_eq!(send(&layer, with(&[("authorization", &value)])).await.status(), 200);
    }
}

#[tokio::test]
async fn aut_04_aut_05_realm_and_resource_metadata_are_parameters_of_every_challenge() {
    let metadata = "https://api.example/.well-known/oauth-protected-resource";
    let layer =
        secret_layer().with_realm("the \"orders\"").unwrap().with_resource_metadata(metadata).unwrap();
    let expected = format!(r#"Bearer realm="the \"orders\"", resource_metadata="{metadata}""#);
    assert_eq!(send(&layer, Request::default()).await.header("www-authenticate"), expected);
    let invalid = send(&layer, bearer("a.b.c")).await;
    assert!(invalid.header("www-authenticate").starts_with(&format!("{expected}, error=\"invalid_token\"")));
}

#[tokio::test]
async fn aut_05_two_optional_layers_leave_two_challenges_for_the_one_that_requires() {
    let keys = StaticKeys::new([]).unwrap();
    let stack = ServiceBuilder::new()
        .layer(secret_layer().optional())
        .layer(ApiKeyLayer::new(keys).optional())
        .layer(RequireLayer::authenticated());
    let seen = send(&stack.into_inner(), Request::default()).await;
    let challenges: Vec<_> = seen.response.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, [REALM, r#"ApiKey realm="api""#]);
}

#[tokio::test]
async fn aut_03_a_good_token_without_the_scope_is_told_which_under_its_scheme() {
    let stack =
        |scope| ServiceBuilder::new().layer(secret_layer()).layer(RequireLayer::scope(scope)).into_inner();
    let seen = send(&stack("orders:admin"), bearer(&good())).await;
    assert_eq!(seen.status(), 403);
    let told = r#"error="insufficient_scope", scope="orders:admin""#;
    assert_eq!(seen.header("www-authenticate"), format!("{REALM}, {told}"));
    // AUT-05: where to learn how to get one with it.
    let address = "https://api.example/.well-known/oauth-protected-resource";
    let layer = secret_layer().with_realm("orders").unwrap().with_resource_metadata(address).unwrap();
    let keys = || ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let expected = format!("Bearer realm=\"orders\", resource_metadata=\"{address}\", {told}");
    let require = || RequireLayer::scope("orders:admin");
    let alone = ServiceBuilder::new().layer(layer.clone()).layer(require()).into_inner();
    let both = ServiceBuilder::new().layer(AuthLayer::new(keys(), layer)).layer(require()).into_inner();
    let seen = [send(&alone, bearer(&good())).await, send(&both, bearer(&good())).await];
    for seen in seen {
        assert_eq!((seen.status(), seen.header("www-authenticate")), (403, &*expected));
    }
    assert_eq!(send(&stack("orders:read"), bearer(&good())).await.status(), 200);
}

#[tokio::test]
async fn aut_01_a_401_from_further_in_has_the_challenges_of_the_layer() {
    let unauthorized = || Response::builder().status(401).body(Full::<Bytes>::default()).unwrap();
    let lines = |seen: &Seen| -> Vec<String> {
        let lines = seen.response.headers().get_all("www-authenticate");
        lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    };
    const KEY: &str = "ApiKey realm=\"api\"";
    let keys = || ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let normalize = || ServiceBuilder::new().layer(NormalizeLayer::new());

    let stack = normalize().layer(secret_layer()).into_inner();
    let seen = send_to(&stack, bearer(&good()), unauthorized()).await;
    assert_eq!((seen.status(), lines(&seen)), (401, vec![REALM.to_owned()]));
    assert_eq!(seen.header("content-type"), "application/problem+json");

    let stack = normalize().layer(keys().optional()).into_inner();
    let seen = send_to(&stack, Request::default(), unauthorized()).await;
    assert_eq!((seen.status(), lines(&seen)), (401, vec![KEY.to_owned()]));

    for request in [Request::default(), bearer(&good())] {
        let stack = normalize().layer(AuthLayer::new(keys(), secret_layer()).optional()).into_inner();
        let seen = send_to(&stack, request, unauthorized()).await;
        assert_eq!((seen.status(), lines(&seen)), (401, vec![REALM.to_owned(), KEY.to_owned()]));
    }

    // What the handler asks with is its own.
    let mut own = unauthorized();
    own.headers_mut().insert("www-authenticate", "Basic realm=\"legacy\"".parse().unwrap());
    let seen = send_to(&secret_layer(), bearer(&good()), own).await;
    assert_eq!(lines(&seen), ["Basic realm=\"legacy\""]);
    let seen = send_to(&secret_layer(), bearer(&good()), Response::new(Full::default())).await;
    assert_eq!((seen.status(), lines(&seen)), (200, vec![]));
}

#[tokio::test]
async fn aut_09_the_token_does_not_reach_the_handler_unless_it_is_kept() {
    let request = || with(&[("authorization", &format!("Bearer {}", good())), ("other", "stays")]);
    let seen = send(&secret_layer(), request()).await;
    let headers = &seen.handled.as_ref().unwrap().headers;
    assert!(headers.len() == 1 && headers["other"] == "stays");
    let seen = send(&secret_layer().with_credential_kept(), request()).await;
    let headers = &seen.handled.as_ref().unwrap().headers;
    assert!(headers["authorization"].is_sensitive() && headers.len() == 2);
    assert!(!format!("{headers:?}").contains(&good()));
}

#[tokio::test]
async fn aut_09_an_identity_header_says_what_the_token_says_and_nothing_else() {
    let layer = secret_layer()
        .with_identity_header(HeaderName::from_static("x-user-id"))
        .unwrap()
        .with_bypass("/open")
        .unwrap();
    let forged = |target: &str| get(target).header("x-user-id", "admin").header("x-user-id", "root");
    let authorization = format!("Bearer {}", good());
    for _ in 0..2 {
        let request = forged("/").header("authorization", &authorization).body(String::new()).unwrap();
        let seen = send(&layer, request).await;
        let values: Vec<_> = seen.handled.as_ref().unwrap().headers.get_all("x-user-id").iter().collect();
        assert_eq!(values, ["alice"]);
    }
    let open = forged("/open").header("authorization", &authorization).body(String::new()).unwrap();
    let open = send(&layer, open).await;
    assert!(open.principal().is_none() && open.handled.unwrap().headers.is_empty());
    let anonymous = send(&layer.optional(), forged("/").body(String::new()).unwrap()).await;
    assert!(anonymous.handled.unwrap().headers.is_empty());
}

#[tokio::test]
async fn jwt_13_a_service_says_what_its_issuer_calls_a_program() {
    #[derive(Clone, serde::Deserialize)]
    struct Claims {
        gty: Option<String>,
    }
    let layer = secret_layer().with_claims::<Claims>().with_principal(|claims, principal| {
        match claims.gty.as_deref() {
            Some("client-credentials") => principal.kind(PrincipalKind::Service),
            _ => principal,
        }
    });
    let people = RequireLayer::require(Require::kind(PrincipalKind::User));
    let person = json!({"azp": "abc"});
    let program = json!({"sub": "abc@clients", "azp": "abc", "gty": "client-credentials"});
    let token = |changes: &Value| Signer::secret().with(Algorithm::Hs256, changes);
    let stack = ServiceBuilder::new().layer(layer).layer(people).into_inner();
    for _ in 0..2 {
        let seen = send(&stack, bearer(&token(&person))).await;
        assert_eq!((seen.status(), seen.handled.is_some()), (200, true));
        let seen = send(&stack, bearer(&token(&program))).await;
        assert_eq!((seen.status(), seen.handled.is_none()), (403, true), "also when it was seen before");
    }
}

#[test]
fn jwt_13_an_identity_header_tells_subjects_of_one_issuer_alone() {
    let name = || HeaderName::from_static("x-user-id");
    let other = || {
        let key = Signer::secret().key(Algorithm::Hs256);
        (KeySet::from(key), TokenPolicy::new("https://other.example", ["api"]).unwrap())
    };
    let (keys, policy) = other();
    let error = secret_layer().with_identity_header(name()).unwrap().with_issuer(keys, policy).unwrap_err();
    assert_eq!(error.field(), "identity_header");
    let (keys, policy) = other();
    let error = secret_layer().with_issuer(keys, policy).unwrap().with_identity_header(name()).unwrap_err();
    assert_eq!(error.field(), "identity_header");
}

#[tokio::test]
async fn grpc_15_an_open_path_needs_no_token_and_no_other_spelling_is_open() {
    let layer = secret_layer().with_bypass("/grpc.health.v1.Health/Check").unwrap();
    let status = async |target: &str| send(&layer, get(target).body(String::new()).unwrap()).await.status();
    assert_eq!(status("/grpc.health.v1.Health/Check").await, 200);
    for target in
        ["/grpc.health.v1.Health/check", "/grpc.health.v1.Health/Check/", "/%67rpc.health.v1.Health/Check"]
    {
        assert_eq!(status(target).await, 401, "{target}");
    }
}

#[tokio::test]
async fn optional_lets_nobody_pass_as_somebody() {
    let layer = secret_layer().optional();
    for request in [Request::default(), with(&[("authorization", "Basic YTpi")])] {
        let had = request.headers().clone();
        let seen = send(&layer, request).await;
        assert!(seen.status() == 200 && seen.principal().is_none());
        assert_eq!(seen.handled.unwrap().headers, had, "for a layer further in");
    }
    assert_eq!(send(&layer, bearer(&good())).await.principal().unwrap().subject(), "alice");
    assert_eq!(send(&layer, bearer("a.b.c")).await.status(), 401, "a bad token is not no token");
}

#[tokio::test]
async fn a_token_beside_another_caller_is_refused() {
    let request = |subject: &str| {
        let mut request = bearer(&good());
        RequestContext::of(&mut request).set_principal(Principal::user(subject).build());
        request
    };
    assert_eq!(send(&secret_layer(), request("bob")).await.status(), 400);
    let layer = secret_layer();
    let principal = send(&layer, bearer(&good())).await.principal().unwrap();
    let mut same = bearer(&good());
    RequestContext::of(&mut same).set_principal(principal);
    assert_eq!(send(&layer, same).await.status(), 200, "the same caller twice is one");
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Claims {
    team: Team,
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Team {
    name: String,
    roles: Vec<String>,
}

#[tokio::test]
async fn jwt_15_claims_of_the_service_s_own_are_read_too_and_may_complete_the_principal() {
    let layer = secret_layer()
        .with_tenant_claim("tid")
        .unwrap()
        .with_tier_claim("plan")
        .unwrap()
        .with_roles_claim("groups")
        .unwrap()
        .with_claims::<Claims>();
    let enriched = layer
        .clone()
        .with_principal(|claims, principal| principal.roles(claims.team.roles.iter().map(String::as_str)));
    let changes =
        json!({"team": {"name": "red", "roles": ["lead"]}, "tid": "acme", "plan": "gold", "groups": "staff"});
    let token = Signer::secret().with(Algorithm::Hs256, &changes);
    for _ in 0..2 {
        let seen = send(&layer, bearer(&token)).await;
        let principal = seen.principal().unwrap();
        assert_eq!((principal.tenant(), principal.tier()), (Some("acme"), Some("gold")));
        assert!(principal.roles().eq(["staff"]));
        let claims = seen.handled.unwrap().extensions.get::<TokenClaims<Claims>>().cloned().unwrap();
        assert_eq!(claims.team.name, "red");
        assert!(send(&enriched, bearer(&token)).await.principal().unwrap().roles().eq(["lead"]));
    }
    assert_eq!(send(&layer, bearer(&good())).await.status(), 401, "claims of another shape");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let field = |result: Result<JwtLayer<KeySet>, ConfigError>| result.unwrap_err().field().to_owned();
    for name in ["", "sub", "scope", "at_hash", "typ"] {
        assert_eq!(field(secret_layer().with_roles_claim(name)), "roles_claim");
        assert_eq!(field(secret_layer().with_tenant_claim(name)), "tenant_claim");
        assert_eq!(field(secret_layer().with_tier_claim(name)), "tier_claim");
    }
    assert_eq!(field(secret_layer().with_cache(0, 1)), "cache.tokens");
    assert_eq!(field(secret_layer().with_cache(usize::MAX, 1)), "cache.tokens");
    assert_eq!(field(secret_layer().with_cache(1, 0)), "cache.bytes");
    assert_eq!(field(secret_layer().with_realm("")), "realm");
    assert_eq!(field(secret_layer().with_identity_header(http::header::AUTHORIZATION)), "identity_header");
    assert_eq!(field(secret_layer().with_bypass("//")), "bypass");
}

#[tokio::test]
async fn jwt_17_a_layer_that_is_set_up_anew_forgets_what_the_other_accepted() {
    let first = secret_layer();
    let token = Signer::secret().with(Algorithm::Hs256, &json!({"tid": "acme"}));
    assert_eq!(send(&first, bearer(&token)).await.principal().unwrap().tenant(), None);
    let second = first.clone().with_tenant_claim("tid").unwrap();
    assert_eq!(send(&second, bearer(&token)).await.principal().unwrap().tenant(), Some("acme"));
    assert_eq!(send(&first, bearer(&token)).await.principal().unwrap().tenant(), None);
    let small = secret_layer().with_cache(8, 4096).unwrap();
    for number in 0..100 {
        let token = Signer::secret().with(Algorithm::Hs256, &json!({"jti": number.to_string()}));
        assert_eq!(send(&small, bearer(&token)).await.status(), 200);
    }
}
