//! The service over real sockets: what callers get, and what the log says of it.

mod support;

use axum::{Router, http::StatusCode, routing::get};
use bartizan::Clock;
use orders::{READER_KEY, WRITER_KEY};
use serde_json::{Value, json};
use support::{Reply, Service};

const GOOD: &str = r#"{"email": "ada@example.com", "quantity": 2, "productId": "sku-1"}"#;

/// What every refusal must have, and its log line must repeat.
#[track_caller]
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem = reply.json();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)));
    assert_eq!(problem["request_id"].as_str(), reply.header("x-request-id"));
}

#[tokio::test]
async fn key_04_a_missing_and_a_wrong_key_get_the_same_401() {
    let service = Service::start().await;
    let missing = service.get("/v1/orders", None).await;
    let replies = [
        service.get("/v1/orders", Some("no key at all")).await,
        service.get("/v1/orders", Some(&WRITER_KEY.replace("Writes", "writes"))).await,
        service.get("/v1/unknown", None).await,
    ];
    for reply in [&missing].into_iter().chain(&replies) {
        assert_problem(reply, 401, "unauthenticated");
        let mut challenges = reply.challenges();
        challenges.sort_unstable();
        assert_eq!(challenges, [r#"ApiKey realm="orders""#, r#"Bearer realm="orders""#]);
        assert_eq!(reply.json_without_id(), missing.json_without_id());
        let line = service.log_line(reply).await;
        assert_eq!(line["http.response.status_code"], 401);
        assert_eq!(line["rejection.code"], "unauthenticated");
    }
    assert_eq!(service.log_line(&missing).await["http.route"], "/v1/orders");
}

#[tokio::test]
async fn orders_are_created_and_read_by_those_who_may() {
    let service = Service::start().await;
    let created = service.post("/v1/orders", Some(WRITER_KEY), GOOD).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), Some("/v1/orders/1"));
    let order = json!({ "id": 1, "email": "ada@example.com", "quantity": 2, "productId": "sku-1" });
    assert_eq!(created.json(), order);
    assert_eq!(service.get("/v1/orders/1", Some(WRITER_KEY)).await.json(), order);
    assert_eq!(service.get("/v1/orders", Some(WRITER_KEY)).await.json(), json!([order]));

    let refused = service.post("/v1/orders", Some(READER_KEY), GOOD).await;
    assert_problem(&refused, 403, "permission_denied");
    let line = service.log_line(&refused).await;
    assert_eq!((&line["http.route"], &line["user.id"]), (&json!("/v1/orders"), &json!("reader")));
    assert!(line["duration_ms"].as_f64().is_some_and(|millis| millis >= 0.0));
}

/// API1 of the OWASP list, broken object level authorization.
#[tokio::test]
async fn azn_03_an_order_of_another_caller_is_not_there() {
    let service = Service::start().await;
    assert_eq!(service.post("/v1/orders", Some(WRITER_KEY), GOOD).await.status, 201);
    let missing = service.get("/v1/orders/7", Some(READER_KEY)).await;
    let another_s = service.get("/v1/orders/1", Some(READER_KEY)).await;
    for reply in [&missing, &another_s] {
        assert_problem(reply, 404, "not_found");
    }
    assert_eq!(another_s.json_without_id(), missing.json_without_id());
    assert_eq!(service.get("/v1/orders", Some(READER_KEY)).await.json(), json!([]));
}

/// API4 of the OWASP list, unrestricted resource consumption.
#[tokio::test]
async fn val_05_the_list_is_read_page_by_page_and_a_page_has_an_end() {
    let service = Service::start().await;
    for _ in 0..55 {
        assert_eq!(service.post("/v1/orders", Some(WRITER_KEY), GOOD).await.status, 201);
    }
    let ids = |reply: &Reply| -> Vec<u64> {
        reply.json().as_array().unwrap().iter().map(|order| order["id"].as_u64().unwrap()).collect()
    };
    for (first, pages) in [
        ("/v1/orders", vec![1..=50, 51..=55]),
        ("/v1/orders?limit=55", vec![1..=55]),
        ("/v1/orders?limit=200", vec![1..=55]),
        ("/v1/orders?limit=25", vec![1..=25, 26..=50, 51..=55]),
    ] {
        let mut next = Some(first.to_owned());
        for page in pages {
            let reply = service.get(&next.expect("there is more"), Some(WRITER_KEY)).await;
            assert_eq!((reply.status, ids(&reply)), (200, page.collect()), "{first}");
            let link = |link: &str| link.split(['<', '>']).nth(1).unwrap().to_owned();
            next = reply.header("link").map(link);
        }
        assert_eq!(next, None, "{first}");
    }
    for (query, status, parameter) in [
        ("limit=201", 422, "limit"),
        ("limit=0", 422, "limit"),
        ("limit=many", 422, "limit"),
        ("cursor=-1", 422, "cursor"),
    ] {
        let reply = service.get(&format!("/v1/orders?{query}"), Some(WRITER_KEY)).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text());
        let error = &reply.json()["errors"][0];
        assert_eq!((&error["parameter"], &error["in"]), (&json!(parameter), &json!("query")), "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem_and_one_line_in_the_log() {
    let service = Service::start().await;
    let key = Some(WRITER_KEY);
    let not_json = service.send("POST", "/v1/orders", key, &[("content-type", "text/plain")], GOOD).await;
    let too_large =
        service.post("/v1/orders", key, &format!(r#"{{"email": "{}"}}"#, "x".repeat(3 << 20))).await;
    let wrong_method = service.send("DELETE", "/v1/orders", key, &[], "").await;
    assert!(
        wrong_method.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("POST"))
    );
    assert_eq!(not_json.header("accept"), Some("application/json"));
    for (reply, status, code, route) in [
        (service.get("/v1/unknown", key).await, 404, "not_found", "_OTHER"),
        (service.get("/v1/orders/7", key).await, 404, "not_found", "/v1/orders/{id}"),
        (service.get("/v1/orders/x", key).await, 404, "not_found", "/v1/orders/{id}"),
        (wrong_method, 405, "method_not_allowed", "/v1/orders"),
        (not_json, 415, "unsupported_media_type", "/v1/orders"),
        (too_large, 413, "content_too_large", "/v1/orders"),
        (service.post("/v1/orders", key, "{oops").await, 400, "malformed_request", "/v1/orders"),
        (service.post("/v1/orders", key, r#"{"quantity": 1}"#).await, 422, "schema_violation", "/v1/orders"),
    ] {
        assert_problem(&reply, status, code);
        let line = service.log_line(&reply).await;
        assert_eq!(line["http.response.status_code"], status);
        assert_eq!(line["http.route"], route);
        assert_eq!(line["outcome"], "completed");
    }
}

#[tokio::test]
async fn rl_01_a_flood_from_one_caller_is_refused_with_a_time_to_wait() {
    let service = Service::start().await;
    let clock = Clock::system();
    let before = clock.now();
    let replies: Vec<Reply> = service.many(200, "/v1/orders", READER_KEY).await;
    let refilled = 50.0 * (clock.now() - before).as_secs_f64();
    let (refused, allowed): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 429);
    assert!(allowed.len() >= 100, "the burst is allowed");
    assert!(allowed.len() as f64 <= 101.0 + refilled, "and then 50/s: {} after {refilled}", allowed.len());
    assert!(!refused.is_empty());
    for reply in refused {
        assert_problem(reply, 429, "rate_limited");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(wait >= 1);
    }
    let other = service.get("/v1/orders", Some(WRITER_KEY)).await;
    assert_eq!(other.status, 200, "another caller is not limited");
}

#[tokio::test]
async fn a_panic_is_a_500_that_is_logged_and_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();
    let service = Service::start_with(Router::new().route("/v1/panic", get(panics))).await;
    let reply = service.get("/v1/panic", Some(READER_KEY)).await;
    assert_problem(&reply, 500, "internal");
    assert!(!reply.text().contains("shelf"), "the caller learns nothing of the cause");
    let line = service.log_line(&reply).await;
    assert_eq!((&line["outcome"], &line["http.response.status_code"]), (&json!("panic"), &json!(500)));
    assert!(line["rejection.cause"].as_str().unwrap().contains("the shelf fell over"));
    let text = recorder.render();
    assert!(
        text.lines().any(|line| line.starts_with("http_server_request_duration_seconds_count")
            && line.contains(r#"http_route="/v1/panic""#)
            && line.contains(r#"http_response_status_code="500""#)),
        "{text}"
    );
    assert!(text.contains(r#"code="internal""#), "{text}");
}

async fn panics() -> StatusCode {
    panic!("the shelf fell over")
}

#[tokio::test]
async fn log_03_a_client_that_leaves_is_logged_as_such() {
    let never = get(async || std::future::pending::<StatusCode>().await);
    let service = Service::start_with(Router::new().route("/v1/never", never)).await;
    service.send_and_leave("/v1/never", WRITER_KEY).await;
    let line = service.log_line_where(|line| line["http.route"] == "/v1/never").await;
    assert_eq!(line["outcome"], "client_aborted");
    assert_eq!(line.get("http.response.status_code"), None, "no status is made up");
}

#[tokio::test]
async fn health_needs_no_key_and_ids_are_taken_over() {
    let service = Service::start().await;
    let reply = service.send("GET", "/health", None, &[("x-request-id", "from-outside")], "").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok\n"));
    assert_eq!(reply.header("x-request-id"), Some("from-outside"));
    assert_eq!(service.log_line(&reply).await["request_id"], "from-outside");
}

#[tokio::test]
async fn no_log_line_holds_a_key() {
    let service = Service::start().await;
    let reply = service.get("/v1/orders", Some(WRITER_KEY)).await;
    let line: Value = service.log_line(&reply).await;
    let secret = WRITER_KEY.rsplit('_').next().unwrap();
    assert!(!line.to_string().contains(secret));
    assert_eq!(line["principal.credential_id"], "orders_dev_writer");
}
