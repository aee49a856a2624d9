//! Who may call an operation.

use bartizan_core::{Challenges, Principal, PrincipalKind, RequestContext};
use bartizan_validate::{OpenApi, OpenApiLayer, SchemeRule};

use crate::{get, layer, layer_with, send, support::Answer};

const PATHS: &str = "
security: [{ token: [read] }, { key: [reader] }]
paths:
  /read: { get: {} }
  /write: { get: { security: [{ token: [read, write] }] } }
  /both: { get: { security: [{ token: [], key: [] }] } }
  /open: { get: { security: [] } }
  /optional: { get: { security: [{ token: [read] }, {}] } }
  /tls: { get: { security: [{ tls: [] }] } }
  /basic: { get: { security: [{ basic: [] }] } }
  /twice: { get: { security: [{ token: [] }, { jwt: [] }] } }
  /named: { get: { security: [{ key: [shop keeper] }] } }
components:
  securitySchemes:
    token: { type: oauth2, flows: {} }
    key: { type: apiKey, in: header, name: x-api-key }
    tls: { type: mutualTLS }
    basic: { type: http, scheme: Basic }
    jwt: { type: http, scheme: bearer }
";

async fn ask(layer: &OpenApiLayer, path: &str, principal: Option<Principal>) -> Answer {
    let mut request = get(path);
    if let Some(principal) = principal {
        RequestContext::of(&mut request).set_principal(principal);
    }
    send(layer, request).await
}

fn challenges(answer: &Answer) -> Vec<&str> {
    let lines = answer.response.headers().get_all("www-authenticate");
    lines.iter().map(|line| line.to_str().unwrap()).collect()
}

#[tokio::test]
async fn azn_01_no_identity_is_a_401_and_one_without_the_right_a_403() {
    let layer = layer(PATHS);
    let token = |scopes: &[&str]| Some(Principal::user("ada").auth_scheme("Bearer").scopes(scopes).build());
    let key = |roles: &[&str]| Some(Principal::service("shop").auth_scheme("ApiKey").roles(roles).build());
    for (path, principal, status) in [
        ("/read", None, 401),
        ("/read", token(&["read"]), 200),
        ("/read", token(&["reader"]), 403),
        ("/read", key(&["reader"]), 200),
        ("/read", key(&["read"]), 403),
        ("/write", token(&["read", "write"]), 200),
        ("/write", token(&["read"]), 403),
        // A role is no scope.
        ("/write", Some(Principal::user("ada").auth_scheme("Bearer").roles(["read", "write"]).build()), 403),
        ("/write", key(&["read", "write"]), 403),
        ("/both", token(&[]), 403),
        // One that does not say how it proved itself.
        ("/both", Some(Principal::user("ada").build()), 200),
        ("/open", None, 200),
        ("/optional", None, 200),
        ("/tls", None, 403),
        ("/basic", None, 401),
        ("/unlisted", None, 200),
    ] {
        let shown = format!("{path} {principal:?}");
        let answer = ask(&layer, path, principal).await;
        assert_eq!(answer.status(), status, "{shown}");
        assert_eq!(answer.seen.is_some(), status == 200);
    }
}

#[tokio::test]
async fn aut_01_and_aut_03_who_shows_nothing_is_told_the_realm_and_of_no_error() {
    let layer = layer(PATHS);
    for (path, lines) in [
        ("/read", vec!["Bearer realm=\"api\"", "ApiKey realm=\"api\""]),
        ("/basic", vec!["Basic realm=\"api\""]),
        // Two schemes of the document, one of HTTP.
        ("/twice", vec!["Bearer realm=\"api\""]),
    ] {
        let answer = ask(&layer, path, None).await;
        assert_eq!((answer.status(), challenges(&answer)), (401, lines), "{path}");
    }
}

#[tokio::test]
async fn aut_05_an_authentication_layer_that_let_the_request_pass_says_how_it_asks() {
    let left = [
        "ApiKey realm=\"shop\"",
        "bearer realm=\"shop\", resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\"",
        "DPoP realm=\"shop\", algs=\"ES256\"",
    ];
    let [key, bearer, dpop] = left;
    for (path, lines) in [
        ("/read", vec![bearer, dpop, key]),
        ("/twice", vec![bearer, dpop]),
        ("/basic", vec!["Basic realm=\"api\""]),
    ] {
        let mut request = get(path);
        for line in left.iter().chain(&left) {
            Challenges::leave(request.extensions_mut(), &line.parse().unwrap());
        }
        assert_eq!(challenges(&send(&layer(PATHS), request).await), lines, "{path}");
    }
}

#[tokio::test]
async fn aut_03_and_aut_04_who_lacks_scopes_is_told_those_that_would_help() {
    let layer = layer(PATHS);
    let token = Principal::user("ada").auth_scheme("Bearer").scopes(["read"]).build();
    let key = Principal::service("shop").auth_scheme("ApiKey").build();
    let unsaid = Principal::user("ada").build();
    for (path, principal, line) in [
        ("/write", &token, Some("Bearer error=\"insufficient_scope\", scope=\"read write\"")),
        ("/write", &unsaid, Some("Bearer error=\"insufficient_scope\", scope=\"read write\"")),
        ("/read", &key, Some("ApiKey error=\"insufficient_scope\", scope=\"reader\"")),
        // One of several, which `scope` cannot say.
        ("/read", &unsaid, Some("Bearer error=\"insufficient_scope\"")),
        // A name that is no scope by its form: part of the list would not help, and none of it is no list.
        ("/named", &key, Some("ApiKey error=\"insufficient_scope\"")),
        // No scope makes a key a token.
        ("/write", &key, None),
    ] {
        let answer = ask(&layer, path, Some(principal.clone())).await;
        assert_eq!(answer.status(), 403, "{path} {principal:?}");
        assert_eq!(challenges(&answer), Vec::from_iter(line), "{path} {principal:?}");
    }
}

#[tokio::test]
async fn azn_01_no_content_type_is_a_way_around_security() {
    for media in ["application/grpc", "application/grpc-web+proto", "image/png"] {
        let mut request = get("/read");
        request.headers_mut().insert("content-type", media.parse().unwrap());
        let answer = send(&layer(PATHS), request).await;
        assert!(answer.seen.is_none(), "{media}");
        assert_eq!(answer.status(), 401, "{media}");
    }
}

#[tokio::test]
async fn azn_01_who_is_of_a_scheme_can_be_said() {
    let rule =
        SchemeRule::any().with_kind(PrincipalKind::Service).with_issuer("keys").with_auth_scheme("apikey");
    let layer = layer_with(
        PATHS,
        OpenApi::options()
            .with_scheme_rule("key", rule)
            .with_scheme_rule("token", SchemeRule::any().with_kind(PrincipalKind::User)),
    );
    let shop = || Principal::service("shop").auth_scheme("ApiKey").roles(["reader"]);
    assert_eq!(ask(&layer, "/read", Some(shop().issuer("keys").build())).await.status(), 200);
    assert_eq!(ask(&layer, "/read", Some(shop().issuer("other").build())).await.status(), 403);
    assert_eq!(
        ask(&layer, "/read", Some(Principal::user("shop").issuer("keys").build())).await.status(),
        403
    );

    let error = OpenApi::options()
        .with_scheme_rule("no such", SchemeRule::any())
        .build(&crate::document(PATHS))
        .unwrap_err();
    assert_eq!(error.place(), "scheme_rule");
}

#[tokio::test]
async fn security_can_be_left_to_other_layers() {
    let layer = layer_with(PATHS, OpenApi::options().without_security());
    assert_eq!(ask(&layer, "/write", None).await.status(), 200);
}
