//! What lines say, and when they are written.

mod support;

use std::{convert::Infallible, panic::AssertUnwindSafe, task::Poll, time::Duration};

use bartizan_access_log::{AccessLogLayer, ConfigError, FieldSet};
use bartizan_core::{
    ClientAddr, CorrelationId, MatchedRoute, NormalizeLayer, Principal, Reason, Rejection, RequestContext,
    RequestId, SpanId, TraceContext, TraceId,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use serde_json::{Value, json};
use support::{Frames, Last, Log, call, get, poll};
use tower::{Layer, ServiceExt, service_fn};

type Body = Full<bytes::Bytes>;

fn ok(text: &'static str) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Full::from(text)))
}

/// A request with everything that other layers may have found out.
fn rich_request() -> Request<()> {
    let mut request = Request::post("/v1/orders/7?token=s3cret").version(Version::HTTP_2).body(()).unwrap();
    request.extensions_mut().insert(MatchedRoute::template("/v1/orders/{id}"));
    let context = RequestContext::of(&mut request);
    context.set_request_id(RequestId::new("req-1").unwrap());
    context.set_correlation_id(CorrelationId::new("flow-1").unwrap());
    let trace = TraceContext::new(TraceId::new([0xab; 16]).unwrap(), SpanId::new([7; 8]).unwrap(), 1);
    context.set_trace(trace);
    context.set_client_addr(ClientAddr::new("192.0.2.70".parse().unwrap()));
    context.set_principal(Principal::service("billing").issuer("keys").credential_id("key-3").build());
    request
}

#[tokio::test]
async fn log_03_a_line_says_who_asked_for_what_and_what_became_of_it() {
    let log = Log::new();
    let clock = log.clock.clone();
    let mut service = log.service(move |request: Request<()>| {
        clock.advance(Duration::from_micros(1_234));
        RequestContext::get(request.extensions()).unwrap().event().record("rate_limit.remaining", 41_u64);
        async { ok("created") }
    });
    let response = call(&mut service, rich_request()).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(
        log.line(),
        json!({
            "timestamp": "2026-01-01T00:00:00.001234Z",
            "severity_text": "INFO",
            "body": "POST /v1/orders/{id} 200",
            "request_id": "req-1",
            "correlation_id": "flow-1",
            "trace_id": "abababababababababababababababab",
            "span_id": "0707070707070707",
            "trace_flags": "01",
            "http.request.method": "POST",
            "http.route": "/v1/orders/{id}",
            "network.protocol.version": "2",
            "http.response.status_code": 200,
            "duration_ms": 1.234,
            "outcome": "completed",
            "http.response.body.size": 7,
            "client.address": "192.0.2.70",
            "user.id": "billing",
            "principal.kind": "service",
            "principal.issuer": "keys",
            "principal.credential_id": "key-3",
            "rate_limit.remaining": 41,
        })
    );
}

#[tokio::test]
async fn log_02_the_ecs_names_are_those_of_ecs() {
    let log = Log::new().with(|layer| layer.with_fields(FieldSet::Ecs).with_path());
    let clock = log.clock.clone();
    let mut service = log.service(move |_| {
        clock.advance(Duration::from_micros(1_234));
        async { ok("created") }
    });
    drop(call(&mut service, rich_request()).await.unwrap().into_body().collect().await.unwrap());
    let line = log.line();
    for (name, expected) in [
        ("@timestamp", json!("2026-01-01T00:00:00.001234Z")),
        ("log.level", json!("info")),
        ("message", json!("POST /v1/orders/{id} 200")),
        ("ecs.version", json!("8.17.0")),
        ("http.request.id", json!("req-1")),
        ("trace.id", json!("abababababababababababababababab")),
        ("span.id", json!("0707070707070707")),
        ("http.request.method", json!("POST")),
        ("http.response.status_code", json!(200)),
        ("http.response.body.bytes", json!(7)),
        ("http.version", json!("2")),
        ("url.path", json!("/v1/orders/7")),
        ("event.duration", json!(1_234_000)),
        ("event.outcome", json!("success")),
        ("client.ip", json!("192.0.2.70")),
        ("user.id", json!("billing")),
    ] {
        assert_eq!(line[name], expected, "{name}");
    }
}

#[tokio::test]
async fn log_04_secrets_are_redacted_by_name_and_by_option_in_texts() {
    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
    for redacts in [false, true] {
        let log = Log::new().with(|layer| {
            let layer = layer.with_path();
            if redacts { layer.with_redacted_texts() } else { layer }
        });
        let mut service = log.service(move |request: Request<()>| {
            let event = RequestContext::get(request.extensions()).unwrap().event();
            event.record("session_token", String::from("s3cret"));
            event.record("reset.secret", "s3cret");
            event.record("pin.password", 4_711_u64);
            event.record("note", format!("by {JWT}"));
            event.record("auth.token_id", String::from("jti-1"));
            let cause = format!("no such card: 4111 1111 1111 1111, {}", if redacts { "" } else { "kept" });
            let rejection = Rejection::new(Reason::PermissionDenied).with_cause(cause);
            let answer: Response<bartizan_core::ResponseBody<Body>> = rejection.answer(&request);
            async move { Ok(answer) }
        });
        for _ in 0..2 {
            let request = Request::get(format!("/reset/{JWT}")).body(()).unwrap();
            let response = call(&mut service, request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
        for line in log.lines() {
            for (name, expected) in [
                ("session_token", "[redacted]"),
                ("reset.secret", "[redacted]"),
                ("pin.password", "[redacted]"),
                ("auth.token_id", "jti-1"),
            ] {
                assert_eq!(line[name], expected, "{name}");
            }
            let texts = [&line["url.path"], &line["note"], &line["rejection.cause"]];
            if redacts {
                assert_eq!(texts, ["/reset/[redacted]", "by [redacted]", "no such card: [redacted], "]);
            } else {
                assert_eq!(texts[..2], [&format!("/reset/{JWT}"), &format!("by {JWT}")]);
            }
        }
    }
}

#[tokio::test]
async fn log_02_the_ecs_outcome_is_unknown_when_the_client_left() {
    let log = Log::new().with(|layer| layer.with_fields(FieldSet::Ecs));
    let mut service = log.service(|request: Request<()>| async move {
        match request.uri().path() {
            "/slow" => std::future::pending().await,
            _ => Ok(Response::builder().status(404).body(Body::default()).unwrap()),
        }
    });
    let mut slow = Box::pin(call(&mut service, get("/slow")));
    assert!(poll(&mut slow).is_pending());
    drop(slow);
    drop(call(&mut service, get("/nowhere")).await.unwrap());
    let outcomes: Vec<_> = log.lines().iter().map(|line| line["event.outcome"].clone()).collect();
    assert_eq!(outcomes, ["unknown", "failure"]);
}

#[tokio::test]
async fn log_04_neither_path_nor_query_nor_headers_nor_bodies_are_written() {
    let secret = "s3cret";
    for layer in [|layer: AccessLogLayer| layer, AccessLogLayer::with_path] {
        let log = Log::new().with(layer);
        let service = log.layer.layer(service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(
                Response::builder().header("set-cookie", "s3cret").body(Body::from("s3cret")).unwrap(),
            )
        }));
        let request = Request::get("/orders?password=s3cret").header("authorization", "Bearer s3cret");
        let response = service.oneshot(request.body(secret.to_owned()).unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
        log.line();
        assert!(!log.memory.text().contains(secret), "{}", log.memory.text());
    }
}

#[tokio::test]
async fn log_03_the_principal_is_hashed_by_option() {
    let hashed = |key: &[u8]| Log::new().with(|layer| layer.with_hashed_principal(key).unwrap());
    let mut hashes = Vec::new();
    for key in [b"0123456789abcdef", b"0123456789abcdef", b"another key here"] {
        let log = hashed(key);
        drop(call(&mut log.service(async |_| ok("")), rich_request()).await.unwrap());
        let line = log.line();
        assert!(line.get("user.id").is_none() && !line.to_string().contains("billing"), "{line}");
        hashes.push(line["user.hash"].as_str().unwrap().to_owned());
    }
    assert!(hashes[0] == hashes[1] && hashes[0] != hashes[2] && hashes[0].len() == 32, "{hashes:?}");
}

#[test]
fn lay_06_settings_that_can_never_work_fail_when_made() {
    let layer = || AccessLogLayer::json(std::io::sink());
    let error = layer().with_hashed_principal("too short").unwrap_err();
    assert_eq!(error, ConfigError::HashKeyTooShort);
    assert!(error.to_string().contains("hashed_principal"), "{error}");
    let error = layer().with_buffer(AccessLogLayer::MIN_BUFFER - 1).unwrap_err();
    assert_eq!(error, ConfigError::BufferTooSmall);
    assert!(error.to_string().contains("buffer"), "{error}");
    assert!(layer().with_buffer(AccessLogLayer::MIN_BUFFER).is_ok());
    let shown = format!("{:?}", layer().with_hashed_principal("a key nobody sees").unwrap());
    assert!(!shown.contains("nobody"), "{shown}");
}

#[tokio::test]
async fn log_03_the_line_is_written_at_the_end_of_the_body() {
    let log = Log::new();
    let mut service = log.service(async |_| Ok(Response::new(Frames::new(&["one", "two"], None, Last::End))));
    let mut body = call(&mut service, get("/")).await.unwrap().into_body();
    for _ in 0..2 {
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(log.lines(), [] as [Value; 0], "the body is not over");
    }
    log.clock.advance(Duration::from_secs(2));
    assert!(body.frame().await.is_none());
    let line = log.line();
    assert_eq!((&line["http.response.body.size"], &line["duration_ms"]), (&json!(6), &json!(2000.0)));
    drop(body);
    assert_eq!(log.lines().len(), 1, "once");
}

#[tokio::test]
async fn log_03_a_client_that_leaves_before_the_response_is_logged_without_a_status() {
    let log = Log::new();
    let mut service = log.service(|_| std::future::pending::<Result<Response<Body>, Infallible>>());
    let mut future = call(&mut service, get("/"));
    assert!(poll(&mut future).is_pending());
    drop(future);
    drop(call(&mut service, get("/")));
    for line in log.lines() {
        assert_eq!((&line["outcome"], &line["severity_text"]), (&json!("client_aborted"), &json!("WARN")));
        assert_eq!(line.get("http.response.status_code"), None);
        assert_eq!(line["body"], "GET _OTHER client_aborted");
    }
    assert_eq!(log.lines().len(), 2);
}

#[tokio::test]
async fn log_03_a_client_that_leaves_during_the_body_is_logged_with_what_it_got() {
    let log = Log::new();
    let mut service = log.service(async |_| Ok(Response::new(Frames::new(&["one"], None, Last::Never))));
    let mut body = call(&mut service, get("/")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert!(poll(&mut body.frame()).is_pending());
    drop(body);
    let line = log.line();
    assert_eq!(
        (&line["outcome"], &line["http.response.status_code"]),
        (&json!("client_aborted"), &json!(200))
    );
    assert_eq!(line["http.response.body.size"], 3);
}

#[tokio::test]
async fn log_03_a_body_that_fails_is_logged_as_an_error() {
    let log = Log::new();
    let mut service = log.service(async |_| Ok(Response::new(Frames::new(&["one"], None, Last::Error))));
    assert!(call(&mut service, get("/")).await.unwrap().into_body().collect().await.is_err());
    let line = log.line();
    assert_eq!((&line["outcome"], &line["severity_text"]), (&json!("body_error"), &json!("ERROR")));
}

#[tokio::test]
async fn log_03_a_service_that_fails_is_logged_without_a_status() {
    let log = Log::new();
    let service = log.layer.layer(service_fn(async |_: Request<()>| Err::<Response<Body>, _>("no database")));
    assert_eq!(service.oneshot(get("/")).await.unwrap_err(), "no database");
    let line = log.line();
    assert_eq!((&line["outcome"], &line["severity_text"]), (&json!("service_error"), &json!("ERROR")));
    assert_eq!(line.get("http.response.status_code"), None);
}

#[tokio::test]
async fn panics_are_logged_wherever_they_happen() {
    let log = Log::new();
    let panics = |run: Box<dyn FnOnce()>| {
        assert!(std::panic::catch_unwind(AssertUnwindSafe(run)).is_err());
        let line = log.lines().pop().unwrap();
        assert_eq!((&line["outcome"], &line["severity_text"]), (&json!("panic"), &json!("ERROR")));
        line
    };
    let mut service = log.service(|request: Request<()>| {
        assert_ne!(request.uri().path(), "/call", "the service panics");
        async move {
            assert_ne!(request.uri().path(), "/future", "the future panics");
            Ok(Response::new(Frames::new(&[], None, Last::Panic)))
        }
    });
    let mut in_call = service.clone();
    let line = panics(Box::new(move || drop(call(&mut in_call, get("/call")))));
    assert_eq!(line.get("http.response.status_code"), None);
    let mut in_future = Box::pin(call(&mut service, get("/future")));
    let line = panics(Box::new(move || assert!(poll(&mut in_future).is_pending())));
    assert_eq!(line.get("http.response.status_code"), None);
    let mut body = call(&mut service, get("/body")).await.unwrap().into_body();
    let line = panics(Box::new(move || assert!(poll(&mut body.frame()).is_pending())));
    assert_eq!(line["http.response.status_code"], 200, "the head was sent");
    assert_eq!(log.lines().len(), 3);
}

#[tokio::test]
async fn a_panic_that_became_a_refusal_is_logged_with_both() {
    let log = Log::new();
    let handler = service_fn(|request: Request<()>| async move {
        assert_eq!(request.uri().path(), "/fine", "out of cheese");
        ok("")
    });
    let service = log.layer.layer(NormalizeLayer::new().layer(handler));
    let response = service.oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    response.into_body().collect().await.unwrap();
    let line = log.line();
    assert_eq!((&line["outcome"], &line["http.response.status_code"]), (&json!("panic"), &json!(500)));
    assert_eq!(line["rejection.code"], "internal");
    assert!(line["rejection.cause"].as_str().unwrap().contains("out of cheese"), "{line}");
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_code_its_layer_and_its_cause() {
    let log = Log::new();
    let mut service = log.service(|request: Request<()>| {
        let refusal =
            Rejection::new(Reason::RateLimited).with_layer("rate_limit").with_cause("bucket\r\nempty");
        let response: Response<bartizan_core::ResponseBody<Body>> = refusal.answer(&request);
        std::future::ready(Ok(response))
    });
    drop(call(&mut service, get("/")).await.unwrap().into_body().collect().await.unwrap());
    let line = log.line();
    assert_eq!((&line["http.response.status_code"], &line["severity_text"]), (&json!(429), &json!("WARN")));
    assert_eq!(
        (&line["rejection.code"], &line["rejection.layer"]),
        (&json!("rate_limited"), &json!("rate_limit"))
    );
    assert_eq!(line["rejection.cause"], "bucket\r\nempty");
}

#[tokio::test]
async fn log_03_a_timeout_is_called_one() {
    let log = Log::new();
    let mut service = log.service(|request: Request<()>| {
        let response: Response<bartizan_core::ResponseBody<Body>> =
            Rejection::new(Reason::DeadlineExceeded).answer(&request);
        std::future::ready(Ok(response))
    });
    drop(call(&mut service, get("/")).await.unwrap().into_body().collect().await.unwrap());
    assert_eq!(log.line()["outcome"], "timeout");
}

#[tokio::test]
async fn log_03_a_grpc_call_is_logged_with_the_status_of_its_trailers() {
    let log = Log::new();
    let mut service = log.service(async |_| {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("5"))]);
        let body = Frames::new(&["message"], Some(trailers), Last::End);
        Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
    });
    let request = Request::post("/shop.Orders/Get").version(Version::HTTP_2);
    let request = request.header("content-type", "application/grpc").body(()).unwrap();
    call(&mut service, request).await.unwrap().into_body().collect().await.unwrap();
    let line = log.line();
    for (name, expected) in [
        ("rpc.system.name", json!("grpc")),
        ("rpc.method", json!("shop.Orders/Get")),
        ("rpc.status_code", json!("NOT_FOUND")),
        ("http.response.status_code", json!(200)),
        ("severity_text", json!("WARN")),
        ("body", json!("POST shop.Orders/Get NOT_FOUND")),
    ] {
        assert_eq!(line[name], expected, "{name}");
    }
    assert_eq!(line.get("http.route"), None);
}

#[tokio::test]
async fn obs_01_an_unknown_method_and_a_missing_route_are_other() {
    let log = Log::new();
    let purge = Request::builder().method(Method::from_bytes(b"PURGE").unwrap()).uri("/secret/path");
    drop(call(&mut log.service(async |_| ok("")), purge.body(()).unwrap()).await.unwrap());
    let line = log.line();
    assert_eq!((&line["http.request.method"], &line["http.route"]), (&json!("_OTHER"), &json!("_OTHER")));
    assert!(!line.to_string().contains("secret"));
}

#[tokio::test]
async fn a_fact_never_takes_the_place_of_a_member() {
    let log = Log::new();
    let mut service = log.service(|request: Request<()>| {
        let event = RequestContext::get(request.extensions()).unwrap().event();
        event.record("outcome", "forged");
        event.record("http.response.status_code", 999_u64);
        event.record("fact.outcome", "forged twice");
        event.record("cache.hit", true);
        event.record("load.share", 0.25);
        async { ok("") }
    });
    drop(call(&mut service, get("/")).await.unwrap());
    let line = log.line();
    assert_eq!((&line["outcome"], &line["http.response.status_code"]), (&json!("completed"), &json!(200)));
    assert_eq!(
        (&line["fact.outcome"], &line["fact.fact.outcome"]),
        (&json!("forged"), &json!("forged twice"))
    );
    assert_eq!((&line["cache.hit"], &line["load.share"]), (&json!(true), &json!(0.25)));
}

#[tokio::test]
async fn a_head_request_is_over_with_its_head() {
    let log = Log::new();
    let mut service = log.service(async |_| ok("not sent"));
    drop(call(&mut service, Request::head("/").body(()).unwrap()).await.unwrap());
    assert_eq!(log.line()["outcome"], "completed");
}

#[test]
fn lay_07_durations_come_from_the_injected_clock() {
    let log = Log::new();
    let clock = log.clock.clone();
    let mut service = log.service(move |_| {
        clock.advance(Duration::from_secs(3600));
        std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new())))
    });
    let Poll::Ready(response) = poll(&mut call(&mut service, get("/"))) else { panic!("ready at once") };
    drop(response);
    let line = log.line();
    assert_eq!(
        (&line["duration_ms"], &line["timestamp"]),
        (&json!(3_600_000.0), &json!("2026-01-01T01:00:00.000000Z"))
    );
}

#[tokio::test]
async fn log_05_an_exempt_path_has_no_line_only_if_all_went_well() {
    let log = Log::new().with(|layer| layer.with_exempt_paths(["/healthz", "/static/*"]).unwrap());
    let mut service = log.service(|request: Request<()>| async move {
        let status = match request.headers().get("x-status") {
            Some(status) => StatusCode::from_bytes(status.as_bytes()).unwrap(),
            None if request.method() == Method::PUT => std::future::pending().await,
            None => StatusCode::OK,
        };
        Ok::<_, Infallible>(Response::builder().status(status).body(Body::from("done")).unwrap())
    });
    for path in ["/healthz", "/healthz?deep=1", "/static/app.js"] {
        drop(call(&mut service, get(path)).await.unwrap().into_body().collect().await.unwrap());
    }
    assert!(log.lines().is_empty(), "{:?}", log.lines());

    for status in ["404", "401", "503"] {
        let request = Request::get("/healthz").header("x-status", status).body(()).unwrap();
        drop(call(&mut service, request).await.unwrap().into_body().collect().await.unwrap());
    }
    let mut left = Box::pin(call(&mut service, Request::put("/healthz").body(()).unwrap()));
    assert!(poll(&mut left).is_pending());
    drop(left);
    for path in ["/healthz/", "/static/../orders"] {
        drop(call(&mut service, get(path)).await.unwrap().into_body().collect().await.unwrap());
    }
    let lines = log.lines();
    let statuses: Vec<_> = lines.iter().map(|line| line["http.response.status_code"].as_u64()).collect();
    assert_eq!(statuses, [Some(404), Some(401), Some(503), None, Some(200), Some(200)]);
    assert_eq!(lines[3]["outcome"], "client_aborted");
    assert!(lines.iter().all(|line| line.get("url.path").is_none()), "the path is looked at, not told");
}

#[tokio::test]
async fn log_02_a_member_that_is_the_same_for_all_is_on_every_line() {
    let record = |name: &'static str| {
        move |request: Request<()>| {
            RequestContext::get(request.extensions()).unwrap().event().record(name, "found");
            async { ok("done") }
        }
    };
    let named = Log::new().with(|layer| {
        layer.with_member("service.name", "say \"hi\"\n").unwrap().with_member("region", "eu-1").unwrap()
    });
    let plain = Log::new();
    // On one thread, which remembers how the names of facts are written.
    for _ in 0..2 {
        for log in [&plain, &named] {
            let mut service = log.service(record("service.name"));
            drop(call(&mut service, get("/")).await.unwrap().into_body().collect().await.unwrap());
        }
    }
    for line in named.lines() {
        assert_eq!(line["service.name"], "say \"hi\"\n");
        assert_eq!((&line["region"], &line["fact.service.name"]), (&json!("eu-1"), &json!("found")));
    }
    for line in plain.lines() {
        assert_eq!((&line["service.name"], line.get("fact.service.name")), (&json!("found"), None));
    }
    assert_eq!((named.lines().len(), plain.lines().len()), (2, 2));
    assert_eq!(named.memory.text().matches("\"service.name\"").count(), 2, "once in each line");
}

#[test]
fn lay_06_an_exempt_path_or_a_member_that_can_never_work_is_refused() {
    let layer = || AccessLogLayer::json(std::io::sink());
    assert_eq!(layer().with_exempt_paths(["healthz"]).unwrap_err(), ConfigError::ExemptPath);
    for (error, name, value) in [
        (ConfigError::MemberName, "service name", "orders"),
        (ConfigError::MemberTaken, "user.id", "orders"),
        (ConfigError::MembersTooLong, "service.name", &*"x".repeat(1025)),
    ] {
        assert_eq!(layer().with_member(name, value).unwrap_err(), error);
        assert!(error.to_string().starts_with("`member`"), "{error}");
    }
    assert!(ConfigError::ExemptPath.to_string().starts_with("`exempt_paths`"));
}
