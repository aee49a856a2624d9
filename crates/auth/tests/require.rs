//! What a caller with and without a right gets.

mod support;

use bartizan_auth::{ApiKey, ApiKeyLayer, AuthorizeLayer, ConfigError, Require, RequireLayer, StaticKeys};
use bartizan_core::{Principal, RequestContext, ServerLayer, fact, phase};
use http::{Method, Request};
use tower::layer::util::Stack;

use self::support::{Seen, get, grpc, send};

fn as_caller(principal: Principal, mut request: Request<String>) -> Request<String> {
    RequestContext::of(&mut request).set_principal(principal);
    request
}

async fn ask(layer: &RequireLayer, scopes: &[&str], roles: &[&str]) -> Seen {
    let caller =
        Principal::service("billing").scopes(scopes.iter().copied()).roles(roles.iter().copied()).build();
    send(layer, as_caller(caller, Request::default())).await
}

fn detail(seen: &Seen) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(problem["code"], "permission_denied");
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn azn_01_identity_without_right_is_403_and_names_the_scope() {
    let layer = RequireLayer::scope("orders:write");
    assert_eq!(ask(&layer, &["orders:write", "x"], &[]).await.status(), 200);
    for scopes in [&[][..], &["orders:read"], &["orders:writer"], &["orders"], &["ORDERS:WRITE"], &["*"]] {
        let seen = ask(&layer, scopes, &["orders:write"]).await;
        assert!(seen.status() == 403 && seen.handled.is_none(), "{scopes:?}");
        assert_eq!(detail(&seen), "This request needs the scope `orders:write`.");
        let challenge = "ApiKey error=\"insufficient_scope\", scope=\"orders:write\"";
        assert_eq!(seen.header("www-authenticate"), challenge);
    }
}

#[tokio::test]
async fn azn_01_no_identity_is_401_with_a_challenge() {
    let layer = RequireLayer::scope("orders:write");
    for request in [Request::default(), {
        let mut request = Request::default();
        RequestContext::of(&mut request);
        request
    }] {
        let seen = send(&layer, request).await;
        assert!(seen.status() == 401 && seen.handled.is_none());
        assert_eq!(seen.header("www-authenticate"), "ApiKey realm=\"api\"");
    }
    assert_eq!(send(&layer, grpc(&[])).await.header("grpc-status"), "16");
}

#[tokio::test]
async fn all_any_role_and_mere_identity() {
    let all = RequireLayer::all_scopes(["a", "b", "c"]);
    assert_eq!(ask(&all, &["c", "a", "b"], &[]).await.status(), 200);
    let seen = ask(&all, &["b"], &[]).await;
    assert_eq!(detail(&seen), "This request needs the scopes `a` and `c`.");
    assert!(seen.header("www-authenticate").ends_with("scope=\"a b c\""), "all that the route asks for");

    let any = RequireLayer::any_scope(["a", "b"]);
    assert_eq!(ask(&any, &["b"], &[]).await.status(), 200);
    let seen = ask(&any, &["c"], &[]).await;
    assert_eq!(detail(&seen), "This request needs the scope `a` or `b`.");
    assert_eq!(seen.header("www-authenticate"), "ApiKey error=\"insufficient_scope\"");

    let role = RequireLayer::role("admin");
    assert_eq!(ask(&role, &[], &["admin"]).await.status(), 200);
    let seen = ask(&role, &["admin"], &["administrator"]).await;
    assert_eq!((seen.status(), &*detail(&seen)), (403, "This request needs the role `admin`."));
    assert_eq!(seen.header("www-authenticate"), "", "no scope would help");

    let authenticated = RequireLayer::authenticated();
    assert_eq!(ask(&authenticated, &[], &[]).await.status(), 200);
    assert_eq!(send(&authenticated, Request::default()).await.status(), 401);
}

#[tokio::test]
async fn grpc_callers_see_the_codes_of_grpc() {
    let caller = Principal::service("billing").build();
    let seen = send(&RequireLayer::scope("orders:write"), as_caller(caller, grpc(&[]))).await;
    assert_eq!((seen.status(), seen.header("grpc-status")), (200, "7"));
    assert!(seen.header("grpc-message").contains("orders:write"));
}

#[tokio::test]
async fn aut_01_the_challenge_is_that_of_the_layer_that_let_the_request_pass() {
    let key = ApiKey::generate("orders").unwrap();
    let keys = || StaticKeys::new([key.record("billing").with_scopes(["orders:read"])]).unwrap();
    let optional = ApiKeyLayer::new(keys()).with_realm("orders").unwrap().optional();
    let open = ApiKeyLayer::new(keys()).with_realm("orders").unwrap().with_bypass("/").unwrap();
    let inner = RequireLayer::scope("orders:read");
    let request = |method| Request::builder().method(method).uri("/").body(String::new()).unwrap();
    let nobody = send(&Stack::new(inner.clone(), optional.clone()), request(Method::GET)).await;
    let bypassed = send(&Stack::new(inner.clone(), open), request(Method::GET)).await;
    for seen in [nobody, bypassed] {
        assert_eq!(seen.status(), 401, "an open path does not open what a route requires");
        let challenges: Vec<_> = seen.response.headers().get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["ApiKey realm=\"orders\""]);
    }
    let somebody = get("/").header("x-api-key", key.expose()).body(String::new()).unwrap();
    assert_eq!(send(&Stack::new(inner, optional), somebody).await.status(), 200);
}

#[test]
fn a_right_that_nobody_can_have_is_refused_by_name() {
    let field = |result: Result<Require, ConfigError>| result.unwrap_err().field().to_owned();
    for scope in ["", "a b", "a\"", "a\\", "ä", "\n", &"x".repeat(129)] {
        assert_eq!(field(Require::try_scope(scope)), "scopes[0]", "{scope:?}");
    }
    assert_eq!(field(Require::try_all_scopes([])), "scopes");
    assert_eq!(field(Require::try_any_scope(["a", ""])), "scopes[1]");
    assert_eq!(field(Require::try_role("")), "roles[0]");
    assert_eq!(field(Require::try_any_role([])), "roles");
    assert_eq!(field(Require::try_all_roles(["a", "\n"])), "roles[1]");
    assert_eq!(field(Require::try_any_tenant(["acme", ""])), "tenants[1]");
    for panics in [
        || RequireLayer::scope("a b"),
        || RequireLayer::role(""),
        || RequireLayer::require(Require::tenant("")),
    ] {
        assert!(std::panic::catch_unwind(panics).is_err());
    }
}

#[test]
fn a_checked_stack_is_told_what_is_needed() {
    fn needs<L: ServerLayer<Phase = phase::Authorization, Needs = N, Provides = ()>, N>(
        layer: &L,
        name: &str,
    ) {
        assert_eq!(layer.name(), name);
    }
    let table = || AuthorizeLayer::table().public("GET", "/health").build().unwrap();
    needs::<_, fact::Principal>(&RequireLayer::scope("a"), "require");
    needs::<_, fact::Principal>(&table(), "authorize");
    needs::<_, ()>(&table().optional(), "authorize");
}
