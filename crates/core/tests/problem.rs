//! The HTTP face of a refusal (RFC 9457).

mod support;

use std::{convert::Infallible, time::Duration};

use bartizan_core::{
    ExtensionName, Face, Location, NormalizeLayer, Problem, ProblemLayer, Reason, Rejection, RequestContext,
    RequestId, ResponseBody, Violation, excerpt,
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use serde_json::json;
use support::{Connection, Steps, Wire, json, request, serve_one};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Layer, ServiceExt};

type Refused = Response<ResponseBody<Steps>>;

fn answer(rejection: Rejection) -> Refused {
    rejection.answer(&request("GET", "/orders"))
}

/// A request that the correlation layer has seen.
fn identified(method: &str) -> Request<String> {
    let mut request = request(method, "/orders");
    let context = RequestContext::of(&mut request);
    context.set_request_id(RequestId::new("req-1").unwrap());
    request
}

#[tokio::test]
async fn err_01_the_body_is_a_json_object_of_exactly_this_media_type() {
    for reason in Reason::ALL {
        let response = answer(reason.into());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{reason:?}");
        assert!(json(response).await.is_object(), "{reason:?}");
    }
}

#[tokio::test]
async fn err_02_status_is_the_real_status_also_when_an_outer_layer_changes_it() {
    for reason in Reason::ALL {
        let response = answer(reason.into());
        let status = response.status();
        assert_eq!(json(response).await["status"], status.as_u16(), "{reason:?}");
    }
    // Both layers that render again notice, whether or not the refusal was made for this request.
    for face in [Face::default(), Face::of(&request("GET", "/"))] {
        let changed = tower::service_fn(move |_: Request<String>| {
            let mut response: Refused = Rejection::new(Reason::RateLimited).into_response(&face);
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            async { Ok::<_, Infallible>(response) }
        });
        let restyled = ProblemLayer::new().layer(changed.clone()).oneshot(identified("GET")).await.unwrap();
        let normalized = NormalizeLayer::new().layer(changed).oneshot(identified("GET")).await.unwrap();
        for response in [restyled.map(BodyExt::boxed), normalized.map(BodyExt::boxed)] {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            let refusal = response.extensions().get::<Rejection>().unwrap();
            assert_eq!(refusal.reason(), Reason::Overloaded, "logs see it too");
            let problem = json(response).await;
            assert_eq!(problem["status"], 503);
            assert_eq!(problem["title"], "Service Unavailable");
            assert_eq!(problem["code"], "overloaded");
            assert_eq!(problem["request_id"], "req-1");
        }
    }
}

#[tokio::test]
async fn err_03_what_we_send_a_lenient_consumer_reads() {
    let rejection = Rejection::new(Reason::ContentTooLarge)
        .with_extension(const { ExtensionName::new("limit_bytes") }, 1024);
    let body = rejection.answer::<_, Steps>(&identified("POST")).collect().await.unwrap().to_bytes();
    let problem = Problem::from_slice(&body).unwrap();
    assert_eq!(problem.status, Some(413));
    assert_eq!(problem.code(), Some("content_too_large"));
    assert_eq!(problem.extensions["limit_bytes"], 1024);
}

#[tokio::test]
async fn err_04_without_a_type_the_title_is_the_phrase_of_the_status() {
    for reason in Reason::ALL {
        let problem = json(answer(reason.into())).await;
        assert_eq!(problem.get("type"), None, "{reason:?}");
        assert_eq!(problem["title"], reason.status().canonical_reason().unwrap(), "{reason:?}");
    }
    let typed = Rejection::new(Reason::RateLimited).with_type("https://iana.example/quota-exceeded");
    let problem = json(answer(typed)).await;
    assert_eq!(problem["type"], "https://iana.example/quota-exceeded");
    assert_eq!(problem["title"], "Rate limit exceeded");
}

#[tokio::test]
async fn err_05_no_body_holds_internals() {
    let secrets = ["/srv/app/src/main.rs:7", "SELECT * FROM keys", "db-7.internal", "s3cr3t", "trace: 0x7f"];
    let id = const { ExtensionName::new("upstream") };
    for secret in secrets {
        let refusals = [
            // Whatever a bug says of itself stays inside, whichever way it says it.
            Rejection::new(Reason::Internal)
                .with_detail(secret)
                .with_extension(id, secret)
                .with_violation(Violation::in_body(["a"], "bad", secret))
                .with_cause(secret),
            Rejection::new(Reason::DependencyUnavailable).with_cause(secret).with_layer("rate_limit"),
        ];
        for rejection in refusals {
            let http = rejection.clone().answer::<_, Steps>(&identified("GET"));
            assert!(!format!("{http:?}").contains(secret), "Debug");
            assert_eq!(http.extensions().get::<Rejection>().unwrap().cause(), Some(secret), "logs have it");
            let http = http.collect().await.unwrap().to_bytes();
            let text = String::from_utf8(http.to_vec()).unwrap();
            assert!(!text.contains(secret), "{text}");
            assert!(text.contains("req-1"), "{text}");
        }
    }
    for reason in Reason::ALL {
        let text = reason.default_detail();
        assert!(!text.contains(['/', '\\', '{']) && !text.contains("::"), "{text}");
    }
}

#[tokio::test]
async fn err_05_titles_do_not_vary_per_occurrence() {
    let layer = ProblemLayer::new().with_type_base("https://errors.example/").unwrap();
    for detail in ["one", "two"] {
        let service = layer.layer(tower::service_fn(move |request: Request<String>| async move {
            Ok::<_, Infallible>(
                Rejection::new(Reason::RateLimited).with_detail(detail).answer::<_, Steps>(&request),
            )
        }));
        let problem = json(service.oneshot(request("GET", "/")).await.unwrap()).await;
        assert_eq!(problem["title"], "Rate limit exceeded");
        assert_eq!(problem["detail"], detail);
        assert_eq!(problem["type"], "https://errors.example/rate_limited", "an absolute URI");
    }
}

#[tokio::test]
async fn err_06_code_and_request_id_are_always_sent() {
    for reason in Reason::ALL {
        let problem = json(Rejection::new(reason).answer::<_, Steps>(&identified("GET"))).await;
        assert_eq!(problem["code"], reason.code(), "{reason:?}");
        assert_eq!(problem["request_id"], "req-1", "{reason:?}");
    }
}

#[test]
fn err_06_extension_names_follow_the_rfc() {
    for name in ["limit_bytes", "abc", "aB3", "retry_policy"] {
        assert_eq!(ExtensionName::new(name).as_str(), name);
    }
    for name in ["", "ab", "1abc", "_abc", "a-b-c", "a.b", "naïve", "code", "errors", "request_id", "type"] {
        let made = std::panic::catch_unwind(|| ExtensionName::new(name));
        assert!(made.is_err(), "{name}");
    }
}

#[tokio::test]
async fn err_07_violations_take_the_form_of_the_rfc_and_stop_at_32() {
    let rejection = Rejection::new(Reason::SchemaViolation)
        .with_violation(Violation::in_body(["a", "b/c"], "required", "is required"))
        .with_violation(Violation::in_parameter(Location::Query, "limit", "maximum", "must be at most 100"));
    let problem = json(answer(rejection.clone())).await;
    assert_eq!(
        problem["errors"],
        json!([
            {"detail": "is required", "pointer": "#/a/b~1c", "code": "required"},
            {"detail": "must be at most 100", "parameter": "limit", "in": "query", "code": "maximum"},
        ])
    );
    assert_eq!(problem.get("truncated"), None);

    let more = |count| {
        (0..count).fold(Rejection::new(Reason::SchemaViolation), |rejection, index: usize| {
            rejection.with_violation(Violation::in_body([index.to_string()], "bad", "is bad"))
        })
    };
    for (count, kept, truncated) in [(32, 32, None), (33, 32, Some(true)), (500, 32, Some(true))] {
        let problem = json(answer(more(count))).await;
        assert_eq!(problem["errors"].as_array().unwrap().len(), kept);
        assert_eq!(problem.get("truncated").and_then(|truncated| truncated.as_bool()), truncated);
    }
}

#[tokio::test]
async fn err_08_json_whatever_accept_says_and_xml_only_where_it_is_preferred() {
    let refuse = tower::service_fn(|request: Request<String>| async move {
        Ok::<_, Infallible>(
            Rejection::new(Reason::MalformedRequest)
                .with_detail("a < b & \"c\" \u{1}\r\n")
                .with_violation(Violation::in_body(["x"], "bad", "is <bad>"))
                .with_extension(const { ExtensionName::new("limits") }, json!({"max": 5, "1x": null}))
                .answer::<_, Steps>(&request),
        )
    });
    let ask = async |layer: &ProblemLayer, accept: &'static str| {
        let mut request = identified("GET");
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(accept));
        let response = layer.layer(refuse).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "never a 406");
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        (content_type, response.collect().await.unwrap().to_bytes())
    };
    let xml = ProblemLayer::new().with_xml(true);
    for accept in
        ["text/html", "application/json", "*/*;q=0", "application/problem+json, application/problem+xml"]
    {
        assert_eq!(ask(&xml, accept).await.0, "application/problem+json", "{accept}");
    }
    let (content_type, _) = ask(&ProblemLayer::new(), "application/problem+xml").await;
    assert_eq!(content_type, "application/problem+json", "off by default");

    let (content_type, body) = ask(&xml, "application/problem+xml, application/problem+json;q=0.9").await;
    assert_eq!(content_type, "application/problem+xml");
    let expected = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?><problem xmlns="urn:ietf:rfc:7807">"#,
        "<code>malformed_request</code>",
        "<detail>a &lt; b &amp; \"c\" \u{fffd}&#13;\n</detail>",
        "<errors><i><code>bad</code><detail>is &lt;bad&gt;</detail><pointer>#/x</pointer></i></errors>",
        "<limits><member></member><max>5</max></limits>",
        "<request_id>req-1</request_id><status>400</status><title>Bad Request</title></problem>",
    );
    assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
}

#[test]
fn err_09_refusals_are_stored_by_no_cache_and_sniffed_by_no_browser() {
    for reason in Reason::ALL {
        let response = answer(reason.into());
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{reason:?}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{reason:?}");
    }
}

async fn refuse(request: Request<Incoming>) -> Result<Refused, Infallible> {
    let challenge = HeaderValue::from_static("ApiKey realm=\"x\"");
    Ok(Rejection::unauthenticated(challenge).answer(&request))
}

#[tokio::test]
async fn err_10_the_answer_to_head_has_the_head_of_get_and_no_body() {
    for wire in [Wire::Http1, Wire::Http2] {
        let mut connection = Connection::open(wire, service_fn(refuse)).await;
        let (get, body) = connection.fetch(request("GET", "/")).await;
        let (head, nothing) = connection.fetch(request("HEAD", "/")).await;
        assert!(!body.is_empty() && nothing.is_empty(), "{wire:?}");
        assert_eq!(head.status, StatusCode::UNAUTHORIZED, "{wire:?}");
        for name in
            [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CACHE_CONTROL, header::WWW_AUTHENTICATE]
        {
            assert_eq!(head.headers.get(&name), get.headers.get(&name), "{wire:?} {name}");
        }
        assert_eq!(head.headers[header::CONTENT_LENGTH], body.len().to_string(), "{wire:?}");
        connection.close().await;
    }
}

#[tokio::test]
async fn err_10_no_content_and_not_modified_pass_without_body_and_type() {
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        let inner = tower::service_fn(move |_: Request<String>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(Steps::default().known()).unwrap())
        });
        let layer = ProblemLayer::new().with_type_base("https://errors.example/").unwrap();
        let response =
            layer.layer(NormalizeLayer::new().layer(inner)).oneshot(identified("GET")).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.body().is_end_stream());
        assert_eq!(response.headers().get(header::CONTENT_TYPE), None);
    }
}

#[tokio::test]
async fn err_11_a_client_that_waits_for_100_continue_gets_the_final_status() {
    let (mut client, server) = serve_one(service_fn(refuse)).await;
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    // The body is withheld: the server ends the connection after an answer it did not wait for.
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
    assert!(answer.contains("\"code\":\"unauthenticated\""), "{answer}");
    drop(client);
    server.await.unwrap();
}

#[tokio::test]
async fn err_12_repeated_text_is_capped_and_escaped_by_a_serializer() {
    let hostile = format!("\"}}\r\n\u{2028}<script>{}", "x".repeat(10_000));
    let detail = format!("unknown field `{}`", excerpt(&hostile));
    let response = answer(Rejection::new(Reason::MalformedRequest).with_detail(detail.clone()));
    let body = response.collect().await.unwrap().to_bytes();
    assert!(body.len() < 500, "{}", body.len());
    assert!(!body.contains(&b'\n') && !body.contains(&b'\r'));
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["detail"], detail);
}

#[tokio::test]
async fn rl_01_retry_after_is_whole_seconds_rounded_up() {
    let response =
        answer(Rejection::new(Reason::RateLimited).with_retry_after(Duration::from_millis(59_001)));
    assert_eq!(response.headers()[header::RETRY_AFTER], "60");
    for reason in
        [Reason::RateLimited, Reason::Overloaded, Reason::CircuitOpen, Reason::DependencyUnavailable]
    {
        assert_eq!(answer(Rejection::new(reason)).headers()[header::RETRY_AFTER], "1", "{reason:?}");
    }
    assert!(!answer(Rejection::new(Reason::ContentTooLarge)).headers().contains_key(header::RETRY_AFTER));
    let response = answer(Rejection::new(Reason::RateLimited).with_retry_after(Duration::ZERO));
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
}

#[test]
fn a_body_read_too_slowly_closes_a_connection_of_http_1() {
    for (version, connection) in
        [(Version::HTTP_11, Some("close")), (Version::HTTP_10, Some("close")), (Version::HTTP_2, None)]
    {
        let mut request = request("POST", "/");
        *request.version_mut() = version;
        let response: Refused = Rejection::new(Reason::RequestTimeout).answer(&request);
        let sent = response.headers().get(header::CONNECTION).map(|value| value.to_str().unwrap());
        assert_eq!(sent, connection, "{version:?}");
    }
}

#[test]
fn every_challenge_is_a_line_of_its_own() {
    let response = answer(
        Rejection::unauthenticated(HeaderValue::from_static("ApiKey realm=\"x\""))
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"x\"")),
    );
    assert_eq!(response.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
}

#[tokio::test]
async fn a_hidden_resource_looks_like_one_that_is_not_there() {
    let faces = [Reason::Hidden, Reason::RouteNotFound].map(|reason| answer(reason.into()));
    let [hidden, unknown] = faces;
    assert_eq!(hidden.status(), unknown.status());
    assert_eq!(hidden.headers(), unknown.headers());
    assert_eq!(hidden.collect().await.unwrap().to_bytes(), unknown.collect().await.unwrap().to_bytes());
}
