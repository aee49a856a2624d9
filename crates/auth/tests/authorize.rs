//! Requirements put together, and tables of rules.

mod support;

use bartizan_auth::{ApiKey, ApiKeyLayer, AuthorizeLayer, Require, RequireLayer, StaticKeys};
use bartizan_core::{
    MatchedRoute, Principal, PrincipalBuilder, PrincipalKind, Reason, Rejection, RequestContext,
};
use http::{Method, Request};
use tower::layer::util::Stack;

use self::support::{Seen, send};

fn clerk() -> PrincipalBuilder {
    Principal::user("alice").scopes(["orders:read"]).roles(["clerk"]).tenant("acme")
}

fn request(method: &str, target: &str) -> Request<String> {
    Request::builder().method(method).uri(target).body(String::new()).unwrap()
}

fn call(path: &str) -> Request<String> {
    Request::post(path).header("content-type", "application/grpc").body(String::new()).unwrap()
}

fn by(principal: PrincipalBuilder, mut request: Request<String>) -> Request<String> {
    RequestContext::of(&mut request).set_principal(principal.build());
    request
}

fn routed(template: &str, mut request: Request<String>) -> Request<String> {
    request.extensions_mut().insert(MatchedRoute::template(template));
    request
}

fn reason(seen: &Seen) -> Option<Reason> {
    seen.response.extensions().get::<Rejection>().map(Rejection::reason)
}

fn cause(seen: &Seen) -> &str {
    seen.response.extensions().get::<Rejection>().and_then(Rejection::cause).unwrap_or_default()
}

fn detail(seen: &Seen) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

async fn ask(require: Require, principal: PrincipalBuilder) -> Seen {
    let target = routed("/t/{tenant}", request("GET", "/t/acme"));
    send(&AuthorizeLayer::require(require), by(principal, target)).await
}

fn own_tenant() -> Require {
    Require::when("own_tenant", |access| {
        access.param("tenant").is_some_and(|tenant| access.principal().tenant() == Some(&*tenant))
    })
}

#[tokio::test]
async fn azn_01_requirements_are_put_together_with_and_or_not() {
    let read = || Require::scope("orders:read");
    let write = || Require::scope("orders:write");
    let admin = || Require::role("admin");
    for (name, require, passes) in [
        ("scope", read(), true),
        ("other scope", write(), false),
        ("and", read().and(Require::role("clerk")), true),
        ("and, one missing", read().and(admin()), false),
        ("or", write().or(Require::role("clerk")), true),
        ("or, none", write().or(admin()), false),
        ("not", !admin(), true),
        ("not, held", !read(), false),
        ("not not", !!read(), true),
        ("nested", (write().or(read())).and(!(admin().and(read()))), true),
        ("roles", Require::all_roles(["clerk", "admin"]), false),
        ("any role", Require::any_role(["admin", "clerk"]), true),
        ("tenant", Require::tenant("acme"), true),
        ("other tenant", Require::tenant("ACME"), false),
        ("kind", Require::kind(PrincipalKind::User), true),
        ("other kind", Require::kind(PrincipalKind::Service), false),
        ("condition", own_tenant(), true),
        ("not condition", !own_tenant(), false),
        ("claim that is not there", Require::claim("never", |_: &u64| true), false),
    ] {
        let seen = ask(require, clerk()).await;
        assert_eq!(seen.status(), if passes { 200 } else { 403 }, "{name}");
        assert_eq!(seen.handled.is_some(), passes, "{name}");
    }
    assert_eq!(ask(own_tenant(), clerk().tenant("other")).await.status(), 403);
}

#[tokio::test]
async fn azn_01_no_requirement_holds_without_a_caller() {
    for require in [Require::authenticated(), !Require::role("admin"), Require::when("any", |_| true)] {
        let seen = send(&AuthorizeLayer::require(require), request("GET", "/")).await;
        assert_eq!((seen.status(), cause(&seen)), (401, "no_principal"));
        assert!(seen.handled.is_none() && !seen.header("www-authenticate").is_empty());
    }
}

#[tokio::test]
async fn azn_01_claims_of_a_token_are_asked_where_its_layer_left_them() {
    #[derive(Clone)]
    struct Claims {
        verified: bool,
    }
    let layer = AuthorizeLayer::require(Require::claim("verified", |claims: &Claims| claims.verified));
    for (verified, status) in [(true, 200), (false, 403)] {
        let mut request = by(clerk(), request("GET", "/"));
        request.extensions_mut().insert(Claims { verified });
        assert_eq!(send(&layer, request).await.status(), status);
    }
}

#[tokio::test]
async fn aut_03_a_refusal_names_what_is_missing_and_challenges_where_a_scope_would_help() {
    let scopes = |names: &[&'static str]| Require::all_scopes(names.iter().copied());
    let helps = |scope: &str| format!("ApiKey error=\"insufficient_scope\"{scope}");
    for (require, expected, challenge, reason) in [
        (
            scopes(&["orders:read", "a"]).and(scopes(&["b", "a"])),
            "This request needs the scope `a`.",
            helps(", scope=\"a b orders:read\""),
            "insufficient_scope",
        ),
        (
            Require::scope("a").or(Require::role("admin")),
            "This request needs the scope `a`, or the role `admin`.",
            helps(""),
            "insufficient_scope",
        ),
        (
            Require::scope("a").and(Require::role("admin")),
            "This request needs the scope `a`.",
            String::new(),
            "insufficient_scope",
        ),
        (
            Require::any_role(["x", "y"]),
            "This request needs the role `x` or `y`.",
            String::new(),
            "insufficient_role",
        ),
        (Require::kind(PrincipalKind::Service), "This request needs a program.", String::new(), "wrong_kind"),
        (Require::tenant("secret-customer"), "", String::new(), "wrong_tenant"),
        (!Require::role("clerk"), "", String::new(), "condition"),
    ] {
        let seen = ask(require, clerk()).await;
        let expected = if expected.is_empty() { Reason::PermissionDenied.default_detail() } else { expected };
        assert_eq!((seen.status(), &*detail(&seen), cause(&seen)), (403, expected, reason));
        assert_eq!(seen.header("www-authenticate"), challenge);
    }
    let token = ask(Require::scope("a"), clerk().auth_scheme("Bearer")).await;
    assert_eq!(token.header("www-authenticate"), "Bearer error=\"insufficient_scope\", scope=\"a\"");
}

/// Orders for readers and writers, an administrator's page, health for all, and a gRPC service.
fn table() -> AuthorizeLayer {
    AuthorizeLayer::table()
        .public("GET", "/health")
        .route("GET", "/v1/orders", Require::scope("orders:read"))
        .route("GET", "/v1/orders/{id}", Require::scope("orders:read"))
        .route("*", "/v1/orders/{id}", Require::scope("orders:write"))
        .route("GET", "/v1/orders/export", Require::role("admin"))
        .route("GET", "/files/{*path}", Require::authenticated())
        .route("GET", "/files/private/{*path}", Require::role("admin"))
        .grpc("/shop.Orders/Create", Require::scope("orders:write"))
        .grpc("/shop.Orders/*", Require::scope("orders:read"))
        .public_grpc("/grpc.health.v1.Health/Check")
        .build()
        .unwrap()
}

#[tokio::test]
async fn azn_01_what_no_rule_covers_is_refused_whoever_asks() {
    let layer = table();
    for request in [
        request("GET", "/"),
        request("GET", "/v1"),
        request("POST", "/v1/orders"),
        request("GET", "/v1/stats"),
        request("GET", "/v1/orders/7/lines"),
        request("PURGE", "/health"),
        routed("/v1/stats", request("GET", "/v1/stats")),
        routed("/v1/stats", request("GET", "/health")),
        call("/other.Svc/Do"),
        call("/shop.Orders"),
        call("/v1/orders"),
        call("/health"),
        request("POST", "/grpc.health.v1.Health/Check"),
    ] {
        let is_grpc = request.headers().contains_key("content-type");
        let uri = request.uri().clone();
        let seen = send(&layer, by(clerk().roles(["admin"]), request)).await;
        assert!(seen.handled.is_none(), "{uri}");
        assert_eq!(cause(&seen), "uncovered", "{uri}");
        let expected = if is_grpc { (200, "7") } else { (403, "") };
        assert_eq!((seen.status(), seen.header("grpc-status")), expected, "{uri}");
    }
}

#[tokio::test]
async fn azn_01_a_rule_is_found_by_template_or_path_and_method() {
    let layer = table();
    for (request, status) in [
        (request("GET", "/v1/orders"), 200),
        (request("GET", "/v1/orders?limit=2"), 200),
        (request("GET", "http://elsewhere.example/v1/orders/7"), 200),
        (request("GET", "/v1/orders/a%20b"), 200),
        (request("DELETE", "/v1/orders/7"), 403),
        (request("GET", "/v1/orders/export"), 403),
        (request("GET", "/files/a/b"), 200),
        (request("GET", "/files/private/b"), 403),
        (routed("/v1/orders/{order_id}", request("GET", "/nested/7")), 200),
        (routed("/files/{kind}/{name}", request("GET", "/files/a/b")), 200),
        (routed("/files/private/{name}", request("GET", "/files/private/b")), 403),
        (routed("/v1/orders/{order_id}", request("PUT", "/v1/orders/7")), 403),
        (call("/shop.Orders/List"), 200),
        (request("GET", "/health"), 200),
        (call("/grpc.health.v1.Health/Check"), 200),
    ] {
        let shown = format!("{} {}", request.method(), request.uri());
        let seen = send(&layer, by(clerk(), request)).await;
        assert_eq!(seen.status(), status, "{shown}");
        assert_eq!(seen.handled.is_some(), status == 200, "{shown}");
    }
    let create = send(&layer, by(clerk(), call("/shop.Orders/Create"))).await;
    assert_eq!(create.header("grpc-status"), "7", "the method's own rule, not its service's");
    for (request, status) in [
        (request("GET", "/health"), 200),
        (request("GET", "/v1/orders"), 401),
        (request("GET", "/files/a"), 401),
    ] {
        assert_eq!(send(&layer, request).await.status(), status, "nobody");
    }
}

#[tokio::test]
async fn azn_02_no_other_spelling_of_a_path_slips_past_a_rule() {
    let layer = table();
    for target in [
        "/v1//orders/export",
        "//v1/orders/export",
        "/v1/orders/./export",
        "/v1/x/../orders/export",
        "/v1/orders/%2e/export",
        "/files/x/%2e%2e/private/b",
        "/files/../v1/orders/export",
        "/files/%2E%2e/v1/orders/export",
        "/files/..%2fv1%2forders%2fexport",
        "/files/%252e%252e/private/b",
        "/files/private%2fb",
        "/files/x;/private/b",
        "/v1/orders/export;x=1",
        "/v1/orders/export/",
        "/health/",
        "/health;x",
        "/health%3b",
        "/health%00",
        "/files/a%5c..%5cprivate",
        "/v1/orders/EXPORT",
        "/files/PRIVATE/b",
        "/files/Private/b",
        "/v1/orders/%65xport",
        "/v1/%6frders/7",
        "/files/%70rivate/b",
        "/%68ealth",
    ] {
        let seen = send(&layer, by(clerk(), request("GET", target))).await;
        assert!(seen.handled.is_none(), "{target}");
        assert_eq!((seen.status(), cause(&seen)), (403, "ambiguous_path"), "{target}");
    }
    for target in ["/V1/orders", "/Health", "/v1/Orders/7"] {
        let seen = send(&layer, by(clerk(), request("GET", target))).await;
        assert_eq!((seen.status(), cause(&seen)), (403, "uncovered"), "{target}");
    }
    let capital = send(&layer, by(clerk(), request("GET", "/v1/orders/ABC"))).await;
    assert_eq!(capital.status(), 200, "an id may have capitals");
}

#[tokio::test]
async fn azn_02_methods_are_what_the_request_line_says() {
    let layer = AuthorizeLayer::table()
        .route("GET", "/v1/orders/{id}", Require::role("admin"))
        .route("*", "/v1/orders/{id}", Require::authenticated())
        .public("POST", "/v1/search")
        .build()
        .unwrap();
    for (method, status) in [("GET", 403), ("HEAD", 403), ("get", 200), ("DELETE", 200)] {
        let seen = send(&layer, by(clerk(), request(method, "/v1/orders/7"))).await;
        assert_eq!(seen.status(), status, "{method}");
    }
    let mut forged = request("POST", "/v1/search");
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        forged.headers_mut().insert(name, "DELETE".parse().unwrap());
    }
    let seen = send(&layer, forged).await;
    let handled = seen.handled.unwrap();
    assert!(handled.headers.is_empty(), "nobody further in may read another method");
    assert_eq!(handled.method, Method::POST);
}

#[tokio::test]
async fn azn_02_grpc_methods_are_matched_whole_and_in_their_case() {
    let layer = table();
    for path in ["/shop.Orders/create", "/shop.Orders/Create/", "/Shop.Orders/Create", "/shop.Orders//Create"]
    {
        let seen = send(&layer, by(clerk().scopes(["orders:write"]), call(path))).await;
        assert_eq!(seen.header("grpc-status"), "7", "{path}");
    }
    for content_type in ["application/grpc-web+proto", "application/json", "application/grpcfoo"] {
        let mut request = call("/shop.Orders/Create");
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        let seen = send(&layer, by(clerk(), request)).await;
        assert!(seen.handled.is_none(), "the method's rule whatever the content type: {content_type}");
        assert_eq!(cause(&seen), "insufficient_scope");
    }
}

#[tokio::test]
async fn azn_02_all_of_a_service_are_its_methods_and_nothing_that_only_begins_so() {
    let layer = AuthorizeLayer::table()
        .grpc("/shop.Orders/*", Require::scope("orders:read"))
        .public_grpc("/grpc.health.v1.Health/*")
        .route("GET", "/files/{*path}", Require::authenticated())
        .build()
        .unwrap();
    for path in ["/shop.Orders/List", "/shop.Orders/list_2"] {
        assert_eq!(send(&layer, by(clerk(), call(path))).await.status(), 200, "{path}");
    }
    assert!(send(&layer, call("/grpc.health.v1.Health/Watch")).await.handled.is_some());
    for path in [
        "/shop.Orders/..%2fshop.Admin%2fWipe",
        "/shop.Orders/%2e%2e",
        "/shop.Orders/..",
        "/shop.Orders/List%20",
        "/shop.Orders/List;x",
        "/shop.Orders/List.x",
        "/shop.Orders/L%C3%B6sch",
        "/shop.Orders/*",
        "/shop.Orders/",
        "/grpc.health.v1.Health/..%2f..%2fshop.Admin%2fWipe",
    ] {
        let seen = send(&layer, by(clerk(), call(path))).await;
        assert!(seen.handled.is_none(), "{path}");
        assert_eq!(cause(&seen), "uncovered", "{path}");
        let seen = send(&layer, by(clerk(), request("POST", path))).await;
        assert!(seen.handled.is_none(), "{path} as plain HTTP");
    }
    let listed = AuthorizeLayer::table()
        .grpc("/shop.Orders/*", Require::authenticated())
        .covering_grpc(["/shop.Orders/List", "/shop.Orders/.."])
        .build()
        .unwrap();
    assert_eq!(listed.uncovered(), ["/shop.Orders/.."]);
}

#[tokio::test]
async fn azn_02_a_stricter_rule_holds_also_where_the_router_knows_but_a_coarser_template() {
    let layer = AuthorizeLayer::table()
        .public("GET", "/health")
        .route("*", "/{*rest}", Require::authenticated())
        .route("*", "/admin/{*rest}", Require::role("admin"))
        .route("GET", "/v1/orders/{id}", Require::scope("orders:read"))
        .route("GET", "/v1/orders/export", Require::role("admin"))
        .route("*", "/t/{tenant}/{*rest}", Require::role("admin"))
        .route("GET", "/w/{id}", Require::scope("orders:read"))
        .build()
        .unwrap();
    for (template, target, status) in [
        ("/{*path}", "/admin/users", 403),
        ("/{*path}", "/other/users", 200),
        ("/{*path}", "/v1/orders/export", 403),
        ("/{*path}", "/v1/orders/7", 200),
        ("/{*path}", "/t/acme/x", 403),
        ("/{section}/{*path}", "/admin/users", 403),
        ("/{section}/{*path}", "/shop/users", 200),
        ("/{section}/users", "/admin/users", 403),
        ("/t/acme/{id}", "/t/acme/x", 403),
        ("/t/acme/x", "/t/acme/x", 403),
        ("/v1/orders/{id}", "/v1/orders/export", 403),
        ("/v1/orders/{id}", "/v1/orders/7", 200),
        ("/v1/orders/export", "/v1/orders/export", 403),
    ] {
        let seen = send(&layer, by(clerk(), routed(template, request("GET", target)))).await;
        assert_eq!((seen.status(), seen.handled.is_some()), (status, status == 200), "{template} {target}");
        let admin = clerk().roles(["admin"]);
        let seen = send(&layer, by(admin, routed(template, request("GET", target)))).await;
        assert_eq!(seen.status(), 200, "{template} {target}");
    }
    for (template, target) in [
        ("/{*path}", "/admin%2fusers"),
        ("/{*path}", "/x/../admin/users"),
        ("/{*path}", "/x/%2e%2e/admin/users"),
        ("/{*path}", "//admin/users"),
        ("/{*path}", "/%61dmin/users"),
        ("/{*path}", "/ADMIN/users"),
        ("/{*path}", "/admin/users/"),
        ("/v1/orders/{id}", "/v1/orders/%65xport"),
        ("/v1/orders/{id}", "/v1/orders/Export"),
        ("/v1/orders/{id}", "/v1/orders/export;x"),
    ] {
        let seen = send(&layer, by(clerk(), routed(template, request("GET", target)))).await;
        assert_eq!((seen.status(), cause(&seen)), (403, "ambiguous_path"), "{template} {target}");
    }
    // Routes that all end with a slash are told apart like others.
    let slashes = AuthorizeLayer::table()
        .route("GET", "/v1/orders/{id}/", Require::scope("orders:read"))
        .route("GET", "/v1/orders/export/", Require::role("admin"))
        .build()
        .unwrap();
    for (target, status, reason) in [
        ("/v1/orders/7/", 200, ""),
        ("/v1/orders/a%20b/", 200, ""),
        ("/v1/orders/export/", 403, "insufficient_role"),
        ("/v1/orders/%65xport/", 403, "ambiguous_path"),
        ("/v1/orders/EXPORT/", 403, "ambiguous_path"),
        ("/v1/orders/../export/", 403, "ambiguous_path"),
    ] {
        let seen = send(&slashes, by(clerk(), routed("/v1/orders/{id}/", request("GET", target)))).await;
        assert_eq!((seen.status(), cause(&seen)), (status, reason), "{target}");
    }
    let seen = send(&layer, by(clerk(), routed("/w/{id}", request("GET", "/w/a%2fb")))).await;
    assert_eq!(seen.status(), 200, "where no rule is stricter the router alone reads the path");
}

#[tokio::test]
async fn azn_02_paths_of_any_bytes_pass_by_a_rule_or_not_at_all() {
    let layer = table();
    let runtime = std::panic::AssertUnwindSafe(tokio::runtime::Handle::current());
    let layer = std::panic::AssertUnwindSafe(layer);
    tokio::task::spawn_blocking(move || {
        let (runtime, layer) = (runtime, layer);
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let path: String = bytes
                .iter()
                .map(|byte| char::from(b"/./%2eEfF;vV1orders\\"[usize::from(*byte) % 20]))
                .collect();
            let Ok(request) = Request::get(format!("/v1/orders/{path}")).body(String::new()) else { return };
            let seen = (*runtime).block_on(send(&*layer, by(clerk(), request)));
            if seen.handled.is_some() {
                let rest = path.strip_prefix('/').unwrap_or(&path);
                assert!(!rest.contains(['/', ';', '\\']) && rest != "..", "{path}");
            }
        });
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn azn_01_a_hidden_route_looks_like_one_that_is_not_there() {
    let table = AuthorizeLayer::table()
        .route("GET", "/admin", Require::role("admin").hidden())
        .route("GET", "/orders", Require::scope("x"))
        .grpc("/shop.Admin/Wipe", Require::role("admin").hidden())
        .build()
        .unwrap();
    let real: http::Response<bartizan_core::ResponseBody<String>> =
        Rejection::new(Reason::RouteNotFound).answer(&request("GET", "/admin"));
    let hidden = send(&table, by(clerk(), request("GET", "/admin"))).await;
    let absent = send(&table, by(clerk(), request("GET", "/nothing"))).await;
    let nobody = send(&table, request("GET", "/admin")).await;
    assert_eq!(reason(&hidden), Some(Reason::Hidden));
    assert_eq!((hidden.response.status(), hidden.response.headers()), (real.status(), real.headers()));
    let body = http_body_util::BodyExt::collect(real.into_body()).await.unwrap().to_bytes();
    assert_eq!(hidden.body, body, "as a real 404 looks");
    for other in [absent, nobody] {
        assert_eq!(hidden.face(), other.face());
    }
    assert_eq!(send(&table, by(clerk(), request("GET", "/orders"))).await.status(), 403);
    let hidden = send(&table, by(clerk(), call("/shop.Admin/Wipe"))).await;
    assert_eq!((hidden.status(), hidden.header("grpc-status")), (200, "5"));
    assert_eq!(hidden.face(), send(&table, by(clerk(), call("/shop.Admin/Other"))).await.face());
    assert_eq!(send(&table, by(clerk().roles(["admin"]), request("GET", "/admin"))).await.status(), 200);
}

#[tokio::test]
async fn a_dry_run_lets_everything_pass() {
    let layer = table().with_dry_run();
    for request in [request("GET", "/v1/stats"), request("GET", "/v1/orders"), request("GET", "/a//b")] {
        assert_eq!(send(&layer, request).await.status(), 200);
    }
    let one = RequireLayer::scope("x").with_dry_run();
    assert_eq!(send(&one, request("GET", "/")).await.status(), 200);
}

#[test]
fn azn_01_listed_routes_without_a_rule_are_known_at_start() {
    let layer = AuthorizeLayer::table()
        .route("GET", "/v1/orders/{id}", Require::scope("a"))
        .route("*", "/v1/all", Require::scope("a"))
        .grpc("/shop.Orders/*", Require::scope("a"))
        .covering([
            ("GET", "/v1/orders/{order}"),
            ("HEAD", "/v1/orders/{order}"),
            ("DELETE", "/v1/orders/{order}"),
            ("PATCH", "/v1/all"),
            ("GET", "/v1/stats"),
        ])
        .covering_grpc(["/shop.Orders/Create", "/shop.Stock/Create"])
        .build()
        .unwrap();
    assert_eq!(layer.uncovered(), ["DELETE /v1/orders/{order}", "GET /v1/stats", "/shop.Stock/Create"]);
    assert!(table().uncovered().is_empty());
}

#[test]
fn a_table_that_can_never_work_is_refused_by_name() {
    let a = || Require::scope("a");
    let field =
        |result: Result<AuthorizeLayer, bartizan_auth::ConfigError>| result.unwrap_err().field().to_owned();
    assert_eq!(field(AuthorizeLayer::table().build()), "rules");
    let table = || AuthorizeLayer::table().public("GET", "/health");
    for template in [
        "",
        "v1",
        "/v1//a",
        "/v1/{}",
        "/v1/{id",
        "/v1/id}",
        "/v1/a{id}",
        "/{*rest}/a",
        "/v1/:id",
        "/v1/*",
        "/../a",
        "/a b",
        "/%61",
        "/a;b",
        "_OTHER",
        "/ä",
        "/v1?x",
    ] {
        assert_eq!(field(table().route("GET", template, a()).build()), "rules[1].template", "{template}");
    }
    for method in ["", "get", "G T", "**"] {
        assert_eq!(field(table().route(method, "/a", a()).build()), "rules[1].method", "{method}");
    }
    for method in
        ["", "shop.Orders/Create", "/shop.Orders", "/shop.Orders/", "/shop..Orders/A", "/a/b/c", "/*/A"]
    {
        assert_eq!(field(table().grpc(method, a()).build()), "rules[1].method", "{method}");
    }
    for twice in [
        table().route("GET", "/health", a()),
        table().route("*", "/a/{b}", a()).route("*", "/a/{c}", a()),
        table().grpc("/a.B/C", a()).public_grpc("/a.B/C"),
        table().grpc("/a.B/*", a()).grpc("/a.B/*", a()),
    ] {
        assert!(field(twice.build()).starts_with("rules["));
    }
    let ends_with_a_slash = table().route("GET", "/v1/orders/", a()).route("GET", "/v1/orders", a()).build();
    assert!(ends_with_a_slash.is_ok());
}

#[tokio::test]
async fn aut_01_a_table_inside_optional_authentication_serves_nobody_where_it_is_public() {
    let key = ApiKey::generate("orders").unwrap();
    let keys = StaticKeys::new([key.record("billing").with_scopes(["orders:read"])]).unwrap();
    let stack = Stack::new(table().optional(), ApiKeyLayer::new(keys).with_realm("shop").unwrap().optional());
    assert_eq!(send(&stack, request("GET", "/health")).await.status(), 200);
    let nobody = send(&stack, request("GET", "/v1/orders")).await;
    assert_eq!((nobody.status(), nobody.header("www-authenticate")), (401, "ApiKey realm=\"shop\""));
    let mut known = request("GET", "/v1/orders");
    known.headers_mut().insert("x-api-key", key.expose().parse().unwrap());
    assert_eq!(send(&stack, known).await.status(), 200);
}

#[test]
fn any_text_becomes_a_rule_or_an_error() {
    bolero::check!().with_type::<Vec<(Vec<u8>, bool)>>().for_each(|rules| {
        let mut table = AuthorizeLayer::table().public("GET", "/health");
        for (bytes, is_text) in rules {
            let template = if *is_text {
                String::from_utf8_lossy(bytes).into_owned()
            } else {
                bytes.iter().map(|byte| char::from(b"/{}*ab.:%;-_"[usize::from(*byte) % 12])).collect()
            };
            table = table.route("GET", &template, Require::authenticated()).covering([("GET", &*template)]);
        }
        if let Ok(layer) = table.build() {
            assert!(layer.uncovered().is_empty(), "{rules:?}");
        }
    });
}
