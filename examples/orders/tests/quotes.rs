//! Prices from the supplier: one request in two services, and a supplier that does not do its part.

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    http::{Request, StatusCode},
    response::IntoResponse,
    routing::any,
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use orders::{READER_KEY, supplier};
use serde_json::{Value, json};
use support::{Reply, Service};
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    format!("http://{addr}")
}

/// The service with the real supplier, both writing to one log.
async fn start() -> Service {
    Service::start_calling(|log| serve(supplier(log).unwrap())).await
}

/// The service with a supplier that answers everything so.
async fn start_with_answer<R>(answer: R) -> (Service, String)
where
    R: IntoResponse + Clone + Send + Sync + 'static,
{
    let url = serve(Router::new().fallback(any(async move || answer.clone()))).await;
    (Service::start_calling(|_| async { url.clone() }).await, url)
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, code: &str, supplier: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.json()["code"], code);
    let host = supplier.strip_prefix("http://").unwrap();
    assert!(!reply.text().contains(host), "{}", reply.text());
    assert!(!reply.text().contains("supplier"), "{}", reply.text());
}

#[tokio::test]
async fn cid_04_and_trc_04_one_request_is_one_trace_in_both_logs() {
    let service = start().await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    for headers in
        [vec![("x-request-id", "r-1"), ("x-correlation-id", "w-1"), ("traceparent", parent.as_str())], vec![]]
    {
        let reply = service.send("GET", "/v1/quotes/sku-1", Some(READER_KEY), &headers, "").await;
        assert_eq!((reply.status, reply.json()), (200, json!({ "sku": "sku-1", "priceCents": 1299 })));
        let id = reply.header("x-request-id").unwrap();
        let of = |supplier: bool| {
            move |line: &Value| line["request_id"] == id && (line["service.name"] == "supplier") == supplier
        };
        let (ours, theirs) =
            (service.log_line_where(of(false)).await, service.log_line_where(of(true)).await);
        assert_eq!(ours["http.route"], "/v1/quotes/{sku}");
        assert_eq!(theirs["http.route"], "/quotes/{sku}");
        for member in ["request_id", "correlation_id", "trace_id", "trace_flags"] {
            assert!(!ours[member].is_null(), "{ours}");
            assert_eq!(ours[member], theirs[member], "{member}");
        }
        assert_ne!(ours["span_id"], theirs["span_id"]);
        if !headers.is_empty() {
            assert_eq!((&ours["correlation_id"], &ours["trace_id"]), (&json!("w-1"), &json!(TRACE)));
        }
    }
}

#[tokio::test]
async fn a_price_needs_a_key() {
    assert_eq!(start().await.get("/v1/quotes/sku-1", None).await.status, 401);
}

#[tokio::test]
async fn an_unknown_product_is_a_404_of_our_own() {
    let service = start().await;
    for path in ["/v1/quotes/sku-9", "/v1/quotes/..%2F..%2Fadmin", "/v1/quotes/%2E%2E", "/v1/quotes/a%3Fb"] {
        let reply = service.get(path, Some(READER_KEY)).await;
        assert_problem(&reply, 404, "not_found", "http://127.0.0.1");
        assert_eq!(reply.json()["detail"], "There is no such product.");
    }
}

#[tokio::test]
async fn what_cannot_be_a_product_is_not_asked_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = Router::new().fallback(any(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        StatusCode::NOT_FOUND
    }));
    let service = Service::start_calling(|_| serve(app)).await;
    for path in ["/v1/quotes/..%2Fadmin", "/v1/quotes/%2E%2E", "/v1/quotes/a%20b"] {
        assert_eq!(service.get(path, Some(READER_KEY)).await.status, 404);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(service.get("/v1/quotes/sku-9", Some(READER_KEY)).await.status, 404);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_supplier_that_answers_wrongly_is_a_502() {
    let large = format!(r#"{{"sku":"sku-1","priceCents":1,"x":"{}"}}"#, "x".repeat(5_000));
    for (status, body) in [
        (200, "<html>"),
        (200, ""),
        (200, "{}"),
        (200, r#"{"sku":"sku-2","priceCents":1}"#),
        (200, r#"{"sku":"sku-1","priceCents":-1}"#),
        (200, r#"{"sku":"sku-1","priceCents":"1"}"#),
        (200, &large),
        (204, ""),
        (302, ""),
        (403, ""),
        (500, "the shelf fell over"),
    ] {
        let (service, url) =
            start_with_answer((StatusCode::from_u16(status).unwrap(), body.to_owned())).await;
        let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
        assert_problem(&reply, 502, "bad_gateway", &url);
        assert!(!reply.text().contains("shelf"));
        let line = service.log_line(&reply).await;
        assert!(
            line["rejection.cause"].as_str().unwrap().contains("the supplier answered wrongly"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_supplier_that_is_away_is_a_503() {
    for (asked, told) in [("", "5"), ("soon", "5"), ("7", "7"), ("0", "5"), ("99999999999", "3600")] {
        let headers = [("retry-after", asked)];
        let (service, url) = start_with_answer((StatusCode::SERVICE_UNAVAILABLE, headers)).await;
        let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
        assert_problem(&reply, 503, "dependency_unavailable", &url);
        assert_eq!(reply.header("retry-after"), Some(told), "{asked:?}");
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let service = Service::start_calling(|_| async { url.clone() }).await;
    let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
    assert_problem(&reply, 503, "dependency_unavailable", &url);
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(service.log_line(&reply).await["rejection.cause"], "the supplier cannot be reached");
}

/// Time is not real here: it jumps to the next deadline once nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn a_supplier_that_is_too_slow_is_a_504() {
    let never = Router::new().fallback(any(async || std::future::pending::<()>().await));
    let url = serve(never).await;
    let service = Service::start_calling(|_| async { url.clone() }).await;
    let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
    assert_problem(&reply, 504, "deadline_exceeded", &url);
}

/// The supplier of this example behind the service, and the supplier's address.
async fn start_with_faults(faults: &str) -> (Service, String) {
    let mut url = String::new();
    let service = Service::start_calling(|log| {
        let url = &mut url;
        async move {
            *url = serve(supplier(log).unwrap()).await;
            url.clone()
        }
    })
    .await;
    set_faults(&url, faults).await;
    (service, url)
}

async fn set_faults(supplier: &str, faults: &str) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("{supplier}/faults")).header("content-type", "application/json");
    let reply = client.request(request.body(faults.to_owned()).unwrap()).await.unwrap();
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn rt_03_of_a_supplier_that_fails_every_second_time_callers_see_nothing() {
    let (service, _) = start_with_faults(r#"{"errorRate": 0.5}"#).await;
    for _ in 0..30 {
        let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
    assert_eq!(service.log_line_where(ours(&reply)).await["retry.attempts"], 2);
}

fn ours(reply: &Reply) -> impl Fn(&Value) -> bool {
    let id = reply.header("x-request-id").unwrap().to_owned();
    move |line| line["request_id"] == id && line["service.name"] != "supplier"
}

#[tokio::test]
async fn cb_04_a_supplier_that_is_down_is_left_alone_and_callers_are_told_when_to_come_again() {
    let (service, _) = start_with_faults(r#"{"down": true}"#).await;
    let mut refused = None;
    for _ in 0..20 {
        let reply = service.get("/v1/quotes/sku-1", Some(READER_KEY)).await;
        assert_eq!(reply.status, 503);
        if reply.json()["code"] == "circuit_open" {
            refused = Some(reply);
        }
    }
    let refused = refused.expect("the breaker has opened");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&wait), "{wait}");
    assert_eq!(refused.json()["request_id"], refused.header("x-request-id").unwrap());
    let line = service.log_line_where(ours(&refused)).await;
    assert_eq!(line["circuit_breaker.name"], "supplier");
    assert_eq!(line["circuit_breaker.refused"], true, "{line}");
    // Ten attempts are what the breaker needs to see, and those under way with the last of them.
    let asked = service.lines_where(|line| line["http.route"] == "/quotes/{sku}").await.len();
    assert!((10..=12).contains(&asked), "{asked}");
}
