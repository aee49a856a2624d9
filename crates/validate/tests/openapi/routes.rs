//! Which operation a request is of.

use bartizan_core::{MatchedRoute, RequestContext};
use bartizan_testkit::TestBody;
use bartizan_validate::{OpenApi, Unlisted};
use http::Request;

use crate::{get, layer, layer_with, send, statuses, support::send_to};

const PETS: &str = "
servers: [{ url: 'https://api.example.com/v1' }, { url: /beta }]
paths:
  /pets/{id}:
    get:
      operationId: readPet
      parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
    delete:
      servers: [{ url: /admin }]
      parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
  /pets/mine:
    get: { parameters: [{ name: n, in: query, required: true, schema: { type: integer } }] }
  /files/{name}.{type}:
    get:
      parameters:
        - { name: name, in: path, required: true, schema: { type: string, maxLength: 3 } }
        - { name: type, in: path, required: true, schema: { enum: [png, txt] } }
";

#[tokio::test]
async fn val_05_a_request_is_judged_by_its_operation() {
    let layer = layer(PETS);
    let found = statuses(
        &layer,
        [
            "/v1/pets/7",
            "/beta/pets/x",
            "/v1/pets/mine",
            "/v1/pets/mine?n=1",
            "/v1/%70ets/x",
            "/v1/files/abc.png",
            "/v1/files/abcd.png",
            "/v1/files/abc.gif",
            "/v1/files/a.b.png",
            // Not of the document.
            "/pets/x",
            "/v1/pets/x/",
            "/V1/pets/x",
            "/admin/pets/x",
            "/v1/unknown",
        ],
    )
    .await;
    assert_eq!(found, [200, 422, 422, 200, 422, 200, 422, 422, 422, 200, 200, 200, 200, 200]);
    let delete = Request::delete("/admin/pets/x").body(TestBody::empty()).unwrap();
    assert_eq!(send(&layer, delete).await.status(), 422);
}

#[tokio::test]
async fn val_01_what_the_document_does_not_know_is_refused_where_that_is_asked_for() {
    let layer = layer_with(PETS, OpenApi::options().with_unlisted(Unlisted::Refuse));
    let found = statuses(&layer, ["/v1/pets/7", "/v1/pets/7/", "/pets/7", "/v1/pets%2F7"]).await;
    assert_eq!(found, [200, 404, 404, 404]);
    for (method, status, allow) in [
        ("POST", 405, Some("GET, HEAD")),
        ("OPTIONS", 405, Some("GET, HEAD")),
        ("HEAD", 200, None),
        ("get", 405, Some("GET, HEAD")),
    ] {
        let request = Request::builder().method(method).uri("/v1/pets/7").body(TestBody::empty()).unwrap();
        let answer = send(&layer, request).await;
        assert_eq!(answer.status(), status, "{method}");
        let told = answer.response.headers().get("allow").map(|value| value.to_str().unwrap());
        assert_eq!(told, allow, "{method}");
    }
    let wrong = Request::head("/v1/pets/x").body(TestBody::empty()).unwrap();
    assert_eq!(send(&layer, wrong).await.status(), 422, "HEAD is judged as GET");
    // Report-only refuses nothing.
    assert_eq!(statuses(&layer.with_report_only(), ["/nowhere"]).await, [200]);
}

#[tokio::test]
async fn val_05_the_base_path_can_be_given() {
    let layer = layer_with(PETS, OpenApi::options().with_base_path("/"));
    assert_eq!(statuses(&layer, ["/pets/x", "/v1/pets/x"]).await, [422, 200]);
    let layer = layer_with(PETS, OpenApi::options().with_base_path("/api/"));
    assert_eq!(statuses(&layer, ["/api/pets/x", "/pets/x"]).await, [422, 200]);
}

#[tokio::test]
async fn obs_01_the_route_is_noted_where_no_router_told_one() {
    let layer = layer(PETS);
    let seen = std::sync::Arc::new(std::sync::Mutex::new((String::new(), String::new())));
    for (routed, with_context, expected) in [
        (false, true, "/v1/pets/{id}"),
        (true, true, "/routed"),
        (false, false, "/v1/pets/{id}"),
        (true, false, "/routed"),
    ] {
        let mut request = get("/v1/pets/7");
        if routed {
            request.extensions_mut().insert(MatchedRoute::template("/routed"));
        }
        if with_context {
            let context = RequestContext::of(&mut request);
            context.event().enable();
            // As a log layer further out does.
            context.route_of(&request);
        }
        let note = std::sync::Arc::clone(&seen);
        send_to(&layer, request, move |head| {
            let context = RequestContext::get(&head.extensions);
            let route = match context {
                Some(context) => context.route().cloned(),
                None => MatchedRoute::in_extensions(&head.extensions),
            };
            let facts = context.map(|context| format!("{:?}", context.event()));
            *note.lock().unwrap() = (route.unwrap().to_string(), facts.unwrap_or_default());
        })
        .await;
        let (route, facts) = seen.lock().unwrap().clone();
        assert_eq!(route, expected, "{routed} {with_context}");
        assert_eq!(facts.contains("readPet"), with_context, "{facts}");
    }
}

#[tokio::test]
async fn a_grpc_call_is_not_looked_at() {
    let layer = layer_with(PETS, OpenApi::options().with_unlisted(Unlisted::Refuse));
    let request = Request::post("/pkg.Pets/Read").header("content-type", "application/grpc");
    assert_eq!(send(&layer, request.body(TestBody::full("x")).unwrap()).await.seen.unwrap(), "x");
}

#[tokio::test]
async fn val_05_what_names_itself_grpc_is_let_through_only_where_it_is_a_method_of_no_listed_path() {
    let layer = layer_with(PETS, OpenApi::options().with_unlisted(Unlisted::Refuse));
    for (method, path) in [("GET", "/pkg.Pets/Read"), ("POST", "/admin"), ("POST", "/a/b/c"), ("POST", "/a/")]
    {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/grpc");
        let answer = send(&layer, request.body(TestBody::full("x")).unwrap()).await;
        assert!(answer.seen.is_none(), "{method} {path}");
        let in_grpc = answer.response.headers().get("grpc-status").map(|status| status.as_bytes());
        // Only a POST is a call at all.
        let expected = if method == "POST" { (200, Some(&b"12"[..])) } else { (404, None) };
        assert_eq!((answer.status(), in_grpc), expected, "{method} {path}");
    }
    // Nor is a method that a listed path does not have.
    let request = Request::delete("/v1/pets/7").header("content-type", "application/grpc");
    let answer = send(&layer, request.body(TestBody::empty()).unwrap()).await;
    assert_eq!((answer.status(), answer.seen), (405, None));
}
