//! A table on an axum router, which says what it matched.

use std::collections::HashMap;
#[cfg(feature = "axum")]
use std::{convert::Infallible, time::Duration};

use axum::{Router, extract::Path, routing::get};
#[cfg(feature = "axum")]
use bartizan_auth::{AccessPolicy, AsyncPolicy, PolicyDecision, PolicyQuery};
use bartizan_auth::{ApiKey, ApiKeyLayer, AuthorizeLayer, Require, RequireLayer, StaticKeys};
use bartizan_core::{MatchedRoute, NormalizeLayer, Principal, ProblemLayer, Rejection, RequestContext};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt, util::MapRequestLayer};

fn key() -> ApiKey {
    ApiKey::generate("orders").unwrap()
}

async fn send(app: &Router, method: &str, target: &str, key: Option<&ApiKey>) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(key) = key {
        request = request.header("x-api-key", key.expose());
    }
    let request = request.body(axum::body::Body::new(Empty::new())).unwrap();
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn ask(app: &Router, method: &str, target: &str, key: Option<&ApiKey>) -> u16 {
    send(app, method, target, key).await.status().as_u16()
}

/// Own tenants alone, by the router's template.
fn own() -> Require {
    Require::when("own_tenant", |access| {
        access.param("tenant").is_some_and(|tenant| access.principal().tenant() == Some(&*tenant))
    })
}

#[tokio::test]
async fn azn_02_the_routers_template_decides_which_rule_it_is() {
    let key = key();
    let keys = StaticKeys::new([key.record("billing").with_tenant("acme").with_scopes(["read"])]).unwrap();
    let table = AuthorizeLayer::table()
        .public("GET", "/health")
        .route("GET", "/v1/{tenant}/orders", own())
        .route("GET", "/v1/{tenant}/orders/{order}", own().and(Require::scope("read")))
        .route("DELETE", "/v1/{tenant}/orders/{order}", Require::role("admin"))
        .route("GET", "/files/{*path}", Require::scope("read"))
        .build()
        .unwrap();
    let orders = Router::new().route("/", get(async || "list")).route(
        "/{id}",
        get(async |context: axum::Extension<RequestContext>| {
            context.route().map_or(String::new(), |route| route.as_str().to_owned())
        })
        .delete(async || "gone"),
    );
    let app = Router::new()
        .route("/health", get(async || "ok"))
        .nest("/v1/{tenant}/orders", orders)
        .route("/files/{*rest}", get(async || "file"))
        .route("/forgotten", get(async || "secret"))
        .fallback(async || "fallback")
        .layer(table)
        .layer(ApiKeyLayer::new(keys).optional());
    let key = Some(&key);
    for (method, target, caller, status) in [
        ("GET", "/health", None, 200),
        ("HEAD", "/health", None, 200),
        ("POST", "/health", None, 403),
        ("GET", "/v1/acme/orders", key, 200),
        ("GET", "/v1/acme/orders", None, 401),
        ("GET", "/v1/other/orders", key, 403),
        ("GET", "/v1/acme/orders/7", key, 200),
        ("HEAD", "/v1/acme/orders/7", key, 200),
        ("GET", "/v1/%61cme/orders/7", key, 200),
        ("GET", "/v1/acme/orders/7%2f8", key, 200),
        ("GET", "/v1/other/orders/7", key, 403),
        ("DELETE", "/v1/acme/orders/7", key, 403),
        ("GET", "/files/a/b", key, 200),
        ("GET", "/files/../v1/other/orders", key, 200),
        ("GET", "/forgotten", key, 403),
        ("GET", "/nothing", key, 403),
        ("GET", "//v1/acme/orders", key, 403),
    ] {
        assert_eq!(ask(&app, method, target, caller).await, status, "{method} {target}");
    }
    let seen = send(&app, "GET", "/v1/acme/orders/7", key).await;
    assert_eq!(seen.body(), "/v1/{tenant}/orders/{id}", "the template is axum's");
    let seen = send(&app, "GET", "/files/../v1/other/orders", key).await;
    assert_eq!(seen.body(), "file", "and what the router matched is what runs");
}

#[tokio::test]
async fn azn_01_a_hidden_route_is_answered_as_the_service_answers_what_it_has_not() {
    let key = key();
    let keys = StaticKeys::new([key.record("billing")]).unwrap();
    let app = Router::new()
        .route("/admin", get(async || "secret").layer(RequireLayer::require(Require::role("admin").hidden())))
        .layer(NormalizeLayer::new())
        .layer(ProblemLayer::new())
        .layer(ApiKeyLayer::new(keys));
    let mut hidden = send(&app, "GET", "/admin", Some(&key)).await;
    // A route of axum's says the length already, which hyper says for both on the wire.
    hidden.headers_mut().remove("content-length");
    let absent = send(&app, "GET", "/nothing", Some(&key)).await;
    assert_eq!(hidden.status(), 404);
    assert_eq!((hidden.headers(), hidden.body()), (absent.headers(), absent.body()));
}

#[tokio::test]
async fn key_05_the_mark_of_a_failed_attempt_outlasts_the_layers_around_it() {
    let keys = StaticKeys::new([]).unwrap();
    let app = Router::new()
        .route("/", get(async || "ok"))
        .layer(ApiKeyLayer::new(keys))
        .layer(NormalizeLayer::new())
        .layer(ProblemLayer::new());
    for (key, is_marked) in [(Some(&key()), true), (None, false)] {
        let seen = send(&app, "GET", "/", key).await;
        assert_eq!(seen.status(), 401);
        assert_eq!(seen.extensions().get::<Rejection>().unwrap().is_failed_credential(), is_marked);
    }
}

#[tokio::test]
async fn a_template_noted_too_early_is_looked_for_again() {
    let table = AuthorizeLayer::table().public("GET", "/v1/{id}").build().unwrap();
    let app = Router::new().route("/v1/{id}", get(async || "ok")).layer(table);
    let mut request = Request::get("/v1/7").body(axum::body::Body::empty()).unwrap();
    let context = RequestContext::of(&mut request);
    assert_eq!(context.route_of(&request).as_str(), MatchedRoute::OTHER);
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
}

/// The tenant that the handler runs with, and what a condition reads.
async fn tenants_of(app: Router, target: &str) -> (u16, String) {
    let mut request = Request::get(target).body(axum::body::Body::empty()).unwrap();
    RequestContext::of(&mut request).set_principal(Principal::user("alice").tenant("acme").build());
    let response = app.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
}

#[tokio::test]
async fn azn_02_a_condition_reads_the_tenant_that_the_handler_runs_with_also_in_a_nested_router() {
    let tenant = async |Path(params): Path<HashMap<String, String>>| params["tenant"].clone();
    let read = || get(tenant).layer(RequireLayer::require(own()));
    let nested =
        |prefix: &str, template: &str| Router::new().nest(prefix, Router::new().route(template, read()));
    let apps = || {
        [
            nested("/{tenant}", "/{*path}"),
            nested("/t/{tenant}/files", "/{*path}"),
            nested("/t", "/{tenant}/files/{*path}"),
            Router::new().nest("/t", nested("/{tenant}", "/files/{*path}")),
            Router::new().nest_service("/t", nested("/{tenant}", "/files/{*path}")),
            Router::new().fallback_service(nested("/{tenant}", "/{*path}")),
            nested("/{tenant}", "/"),
            nested("/{tenant}/x", "/{id}"),
        ]
    };
    for target in [
        "/victim/acme/x",
        "/victim/x/acme",
        "/victim/victim/acme",
        "/victim",
        "/t/victim/files/acme/x",
        "/t/victim/files/t/acme/files/x",
        "/t/victim/files/acme/files/x",
        "/t/victim/files/files/x",
        "/acme/x",
        "/acme/x/y",
        "/acme/victim/y",
        "/acme",
        "/t/acme/files/x",
        "/t/acme/files/t/victim/files/x",
        "/%61cme/x/y",
    ] {
        for (index, app) in apps().into_iter().enumerate() {
            let (status, seen) = tenants_of(app, target).await;
            assert!(status != 200 || seen == "acme", "app {index}: {target} runs with {seen}");
            #[cfg(feature = "axum")]
            assert!(status != 403 || !target.starts_with("/acme"), "app {index}: {target} is its own");
        }
    }
}

#[tokio::test]
async fn azn_02_a_path_that_was_rewritten_between_two_routers_is_not_taken_for_the_matched_one() {
    let tenant = async |Path(params): Path<HashMap<String, String>>| params["tenant"].clone();
    let inner = Router::new()
        .route("/{tenant}/{*path}", get(tenant).layer(RequireLayer::require(own())))
        .route("/{tenant}", get(tenant).layer(RequireLayer::require(own())));
    let strip = MapRequestLayer::new(|mut request: Request<axum::body::Body>| {
        let path = request.uri().path();
        let left = path[1..].find('/').map_or("/", |next| &path[next + 1..]);
        *request.uri_mut() = left.parse().unwrap();
        request
    });
    let app = Router::new().fallback_service(strip.layer(inner));
    for (target, expected) in [
        ("/acme/victim/x", (403, "")),
        ("/acme/victim", (403, "")),
        ("/acme/victim/acme/x", (403, "")),
        ("/victim/acme", (200, "acme")),
    ] {
        let (status, seen) = tenants_of(app.clone(), target).await;
        assert_eq!(status, expected.0, "{target}");
        assert!(status != 200 || seen == expected.1, "{target}");
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn azn_03_decisions_in_a_nested_router_are_keyed_on_what_the_router_took_from_the_path() {
    struct OwnTenant;

    impl AsyncPolicy for OwnTenant {
        type Error = Infallible;

        async fn decide(&self, query: &PolicyQuery) -> Result<PolicyDecision, Infallible> {
            let tenant = query.param("tenant");
            assert!(query.path().starts_with(&format!("/{}/", tenant.unwrap())), "{}", query.path());
            let is_own = tenant.is_some_and(|tenant| query.principal().tenant() == Some(tenant));
            Ok(if is_own { PolicyDecision::Allow } else { PolicyDecision::Hide })
        }
    }

    let policy = AccessPolicy::new(OwnTenant).with_cache(100, Duration::from_secs(60)).unwrap();
    let layer = RequireLayer::authenticated().with_policy(policy);
    let inner = Router::new()
        .route("/orders/{id}", get(async || "order"))
        .route("/files/{*path}", get(async || "file"))
        .layer(layer);
    let app = Router::new().nest("/{tenant}", inner);
    for rest in ["orders/7", "files/7/8", "orders/7", "files/7/8"] {
        assert_eq!(tenants_of(app.clone(), &format!("/acme/{rest}")).await.0, 200, "{rest}");
        assert_eq!(tenants_of(app.clone(), &format!("/victim/{rest}")).await.0, 404, "{rest}");
    }
}

#[tokio::test]
async fn azn_02_a_table_knows_better_than_a_router_that_passes_everything_on() {
    let key = key();
    let keys = StaticKeys::new([key.record("billing").with_tenant("acme").with_scopes(["read"])]).unwrap();
    let table = |prefix: &str| {
        AuthorizeLayer::table()
            .public("GET", &format!("{prefix}/health"))
            .route("*", &format!("{prefix}/{{*rest}}"), Require::authenticated())
            .route("*", &format!("{prefix}/admin/{{*rest}}"), Require::role("admin"))
            .route("GET", &format!("{prefix}/t/{{tenant}}/{{*rest}}"), own())
            .build()
            .unwrap()
    };
    let proxy = || Router::new().route("/{*path}", get(async || "passed on"));
    let apps = [
        Router::new().route("/api/{*path}", get(async || "passed on")).layer(table("/api")),
        Router::new().nest("/api", proxy()).layer(table("/api")),
        #[cfg(feature = "axum")]
        Router::new().nest("/api", proxy().layer(table("/api"))),
        #[cfg(feature = "axum")]
        Router::new().nest_service("/api", proxy().layer(table("/api"))),
        #[cfg(feature = "axum")]
        Router::new().nest_service("/api", Router::new().nest("/v1", proxy().layer(table("/api/v1")))),
    ];
    for (index, app) in apps.into_iter().enumerate() {
        let prefix = if index == 4 { "/api/v1" } else { "/api" };
        let app = app.layer(ApiKeyLayer::new(keys.clone()).optional());
        let key = Some(&key);
        for (target, caller, status) in [
            ("/orders", key, 200),
            ("/orders", None, 401),
            ("/admin/users", key, 403),
            ("/admin/users", None, 401),
            ("/health", None, if cfg!(feature = "axum") { 200 } else { 401 }),
            ("/t/other/x", key, 403),
            ("/t/other/t/acme/x", key, 403),
            ("/t/acme/x", key, if cfg!(feature = "axum") { 200 } else { 403 }),
            ("/x/../admin/users", key, 403),
            ("//admin/users", key, 403),
            ("/%61dmin/users", key, 403),
        ] {
            let target = format!("{prefix}{target}");
            assert_eq!(ask(&app, "GET", &target, caller).await, status, "app {index}: {target}");
        }
        let hidden = ask(&app, "GET", &target_with_two_slashes(prefix), key).await;
        assert!(matches!(hidden, 403 | 404), "app {index}: {hidden}");
    }
}

/// Of which a nested router leaves `/admin/users`.
fn target_with_two_slashes(prefix: &str) -> String {
    format!("{}/admin/users", prefix.replace("/api", "/api/"))
}
