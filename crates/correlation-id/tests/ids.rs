//! What becomes of the ids of a request, by rule.

mod support;

use std::convert::Infallible;

use bartizan_core::{Fact, ManualClock, Reason, Rejection, RequestContext, RequestId};
use bartizan_correlation_id::{CORRELATION_ID, CorrelationIdLayer, REQUEST_ID, Trust, UuidV4};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use support::{fill, is_uuid, request, send};
use tower::{Layer, ServiceExt};

#[tokio::test]
async fn cid_01_a_request_without_ids_gets_one_that_is_both() {
    let (seen, response) = send(&CorrelationIdLayer::new(), request(&[])).await;
    let id = seen.request_id().to_owned();
    assert!(is_uuid(&id) && id.as_bytes()[14] == b'7', "{id}");
    assert_eq!(seen.correlation_id(), id);
    for name in ["x-request-id", "x-correlation-id"] {
        assert_eq!(seen.header(name), [id.as_bytes()]);
        assert_eq!(response[name], id.as_str());
    }
}

#[tokio::test]
async fn cid_01_both_ids_are_taken_and_stay_apart() {
    let (seen, response) =
        send(&CorrelationIdLayer::new(), request(&[("x-request-id", "r-1"), ("x-correlation-id", "w-1")]))
            .await;
    assert_eq!((seen.request_id(), seen.correlation_id()), ("r-1", "w-1"));
    assert_eq!(
        (&response[REQUEST_ID], &response[CORRELATION_ID]),
        (&"r-1".parse().unwrap(), &"w-1".parse().unwrap())
    );
}

#[tokio::test]
async fn cid_01_the_workflow_takes_the_id_of_a_request_that_names_none() {
    let (seen, response) = send(&CorrelationIdLayer::new(), request(&[("x-request-id", "r-1")])).await;
    assert_eq!((seen.request_id(), seen.correlation_id()), ("r-1", "r-1"));
    assert_eq!(seen.header("x-correlation-id"), [b"r-1"]);
    assert_eq!(response["x-correlation-id"], "r-1");

    let (seen, _) = send(&CorrelationIdLayer::new(), request(&[("x-correlation-id", "w-1")])).await;
    assert!(is_uuid(seen.request_id()));
    assert_eq!(seen.correlation_id(), "w-1");
}

#[tokio::test]
async fn cid_01_the_headers_have_other_names() {
    let layer = CorrelationIdLayer::new().with_headers("x-acme-id", Some("x-acme-flow")).unwrap();
    let sent =
        request(&[("x-acme-id", "r-1"), ("x-acme-flow", "w-1"), ("x-request-id", "of someone else's")]);
    let (seen, response) = send(&layer, sent).await;
    assert_eq!((seen.request_id(), seen.correlation_id()), ("r-1", "w-1"));
    assert_eq!(
        (&response["x-acme-id"], &response["x-acme-flow"]),
        (&"r-1".parse().unwrap(), &"w-1".parse().unwrap())
    );
    assert!(!response.contains_key("x-request-id"));
    assert_eq!(seen.header("x-request-id"), [b"of someone else's"], "not this layer's to judge");
}

#[tokio::test]
async fn cid_01_request_ids_may_travel_alone() {
    let layer = CorrelationIdLayer::new().with_headers(REQUEST_ID, None).unwrap();
    let (seen, response) =
        send(&layer, request(&[("x-request-id", "r-1"), ("x-correlation-id", "w-1")])).await;
    assert_eq!((seen.request_id(), seen.correlation_id()), ("r-1", "r-1"));
    assert_eq!(response["x-request-id"], "r-1");
    assert!(!response.contains_key("x-correlation-id"));
}

#[tokio::test]
async fn cid_01_ids_come_from_the_generator_of_choice() {
    let (seen, _) = send(&CorrelationIdLayer::new().with_generator(UuidV4), request(&[])).await;
    assert_eq!(seen.request_id().as_bytes()[14], b'4');
    let fixed = CorrelationIdLayer::new().with_generator(|_: &_| RequestId::new("fixed").unwrap());
    assert_eq!(send(&fixed, request(&[])).await.0.request_id(), "fixed");
}

#[tokio::test]
async fn cid_01_ids_hold_the_time_of_the_clock_of_choice() {
    let layer = CorrelationIdLayer::new().with_clock(ManualClock::new().into());
    let (seen, _) = send(&layer, request(&[])).await;
    let (secs, _) = uuid::Uuid::parse_str(seen.request_id()).unwrap().get_timestamp().unwrap().to_unix();
    assert_eq!(secs, 1_767_225_600, "where a manual clock starts");
}

#[tokio::test]
async fn cid_02_a_bad_id_is_replaced_and_the_request_served() {
    let long = "x".repeat(10_000);
    for (bad, why) in [
        (["".to_owned()].as_slice(), "empty"),
        (&[long], "too_long"),
        (&["a b".to_owned()], "bad_character"),
        (&["a,b".to_owned()], "list"),
        (&["a".to_owned(), "b".to_owned()], "list"),
    ] {
        for name in ["x-request-id", "x-correlation-id"] {
            let sent = bad.iter().map(|value| (name, value.as_str())).collect::<Vec<_>>();
            let (seen, response) = send(&CorrelationIdLayer::new(), request(&sent)).await;
            let id = response[name].to_str().unwrap();
            assert!(is_uuid(id), "{id}");
            assert_eq!(seen.header(name), [id.as_bytes()], "one line, the new one");
            let (own, fact) = match name {
                "x-request-id" => (seen.request_id(), "correlation_id.request_id_replaced"),
                _ => (seen.correlation_id(), "correlation_id.correlation_id_replaced"),
            };
            assert_eq!(own, id);
            assert_eq!(seen.fact(fact), Some(Fact::from(why)));
            assert_eq!(seen.context.event().read(<[_]>::len), 1, "the original is told nobody");
        }
    }
}

#[tokio::test]
async fn cid_02_a_bad_correlation_id_gives_way_to_a_fresh_one() {
    let (seen, _) =
        send(&CorrelationIdLayer::new(), request(&[("x-request-id", "r-1"), ("x-correlation-id", "a b")]))
            .await;
    assert_eq!(seen.request_id(), "r-1");
    assert!(is_uuid(seen.correlation_id()));
}

#[tokio::test]
async fn cid_03_the_edge_replaces_every_id_and_keeps_the_original_escaped() {
    let layer = CorrelationIdLayer::new().with_trust(Trust::Edge);
    let (seen, response) =
        send(&layer, request(&[("x-request-id", "r-1"), ("x-correlation-id", "say \"hi\"")])).await;
    assert!(is_uuid(seen.request_id()) && is_uuid(seen.correlation_id()));
    assert_eq!(response["x-request-id"], seen.request_id());
    assert_eq!(response["x-correlation-id"], seen.correlation_id());
    assert_eq!(seen.fact("correlation_id.original_request_id"), Some(Fact::from("r-1")));
    assert_eq!(seen.fact("correlation_id.original_correlation_id"), Some(Fact::from(r#"say \"hi\""#)));
    assert_eq!(seen.fact("correlation_id.request_id_replaced"), Some(Fact::from("untrusted")));

    let (seen, _) = send(&layer, request(&[])).await;
    assert_eq!(seen.context.event().read(<[_]>::len), 0, "nothing came, nothing was replaced");
}

#[tokio::test]
async fn cid_04_a_refusal_further_in_carries_the_id_in_head_and_body() {
    use http_body_util::BodyExt;

    let inner = tower::service_fn(async |request: Request<()>| {
        Ok::<Response<bartizan_core::ResponseBody<Full<Bytes>>>, Infallible>(
            Rejection::new(Reason::RouteNotFound).answer(&request),
        )
    });
    let response = CorrelationIdLayer::new().layer(inner).oneshot(request(&[])).await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = response.collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["request_id"], id);
}

#[tokio::test]
async fn cid_04_a_grpc_error_carries_the_ids_as_metadata() {
    let inner = tower::service_fn(async |request: Request<()>| {
        Ok::<Response<bartizan_core::ResponseBody<Full<Bytes>>>, Infallible>(
            Rejection::new(Reason::PermissionDenied).answer(&request),
        )
    });
    let mut call = request(&[("content-type", "application/grpc"), ("x-correlation-id", "w-1")]);
    *call.method_mut() = http::Method::POST;
    let response = CorrelationIdLayer::new().layer(inner).oneshot(call).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "7");
    assert!(is_uuid(response.headers()["x-request-id"].to_str().unwrap()));
    assert_eq!(response.headers()["x-correlation-id"], "w-1");
    assert!(response.body().is_end_stream(), "still Trailers-Only");
}

#[tokio::test]
async fn cid_04_what_a_handler_says_of_the_id_is_overwritten() {
    let inner = tower::service_fn(async |_: Request<()>| {
        let response = Response::builder().header("x-request-id", "stale").header("x-request-id", "staler");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    });
    let response =
        CorrelationIdLayer::new().layer(inner).oneshot(request(&[("x-request-id", "r-1")])).await.unwrap();
    assert_eq!(response.headers().get_all("x-request-id").iter().collect::<Vec<_>>(), ["r-1"]);
}

#[tokio::test]
async fn cid_04_one_request_has_one_id_however_many_layers_give_it() {
    let inner = tower::service_fn(async |request: Request<()>| {
        let context = RequestContext::get(request.extensions()).unwrap();
        assert_eq!(request.headers()["x-request-id"], context.request_id().unwrap().as_str());
        assert_eq!(request.headers()["x-correlation-id"], context.correlation_id().unwrap().as_str());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let edge = CorrelationIdLayer::new().with_trust(Trust::Edge);
    let service = CorrelationIdLayer::new().layer(edge.layer(inner));
    let sent = request(&[("x-request-id", "r-1"), ("x-correlation-id", "w-1")]);
    let response = service.oneshot(sent).await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "r-1");
    assert_eq!(response.headers()["x-correlation-id"], "w-1");
}

#[tokio::test]
async fn cid_06_two_requests_with_one_id_are_two_requests() {
    let layer = CorrelationIdLayer::new();
    let (first, _) = send(&layer, request(&[("x-request-id", "r-1")])).await;
    let (second, _) = send(&layer, request(&[("x-request-id", "r-1")])).await;
    first.context.set_principal(bartizan_core::Principal::service("first").build());
    assert!(second.context.principal().is_none(), "nothing is shared by the id");
}

#[tokio::test]
async fn a_sensitive_header_does_not_make_the_id_unloggable() {
    let mut value = HeaderValue::from_static("r-1");
    value.set_sensitive(true);
    let mut sent = request(&[]);
    sent.headers_mut().insert("x-request-id", value);
    let (_, response) = send(&CorrelationIdLayer::new(), sent).await;
    assert!(!response["x-request-id"].is_sensitive());
}

#[tokio::test]
async fn a_full_header_map_is_no_reason_to_refuse() {
    let mut sent = request(&[]);
    fill(&mut sent);
    let (seen, response) = send(&CorrelationIdLayer::new(), sent).await;
    assert_eq!(response["x-request-id"], seen.request_id());
}

#[tokio::test]
async fn cid_02_a_full_header_map_keeps_no_bad_id() {
    let mut sent = request(&[("x-request-id", "a b"), ("x-correlation-id", "a"), ("x-correlation-id", "b")]);
    fill(&mut sent);
    let (seen, _) = send(&CorrelationIdLayer::new(), sent).await;
    assert_eq!(seen.header("x-request-id"), [seen.request_id().as_bytes()]);
    assert_eq!(seen.header("x-correlation-id"), [seen.correlation_id().as_bytes()]);
}

#[tokio::test]
async fn the_error_of_the_inner_service_passes() {
    let inner = tower::service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>("gone"));
    assert_eq!(CorrelationIdLayer::new().layer(inner).oneshot(request(&[])).await.unwrap_err(), "gone");
}

#[cfg(feature = "tower-http")]
#[tokio::test]
async fn cid_04_code_that_knows_tower_http_finds_the_id_where_it_looks() {
    use tower_http::request_id::RequestId;

    let inner = tower::service_fn(async |request: Request<()>| {
        let id = request.extensions().get::<RequestId>().unwrap().header_value().clone();
        Ok::<_, Infallible>(Response::builder().header("x-seen", id).body(Full::<Bytes>::default()).unwrap())
    });
    let service = CorrelationIdLayer::new().layer(inner);
    let response = service.oneshot(request(&[("x-request-id", "r-1")])).await.unwrap();
    assert_eq!(response.headers()["x-seen"], "r-1");
    assert_eq!(response.extensions().get::<RequestId>().unwrap().header_value(), "r-1");
}
