//! The gRPC face of a refusal, read as a real client reads it.

mod support;

use std::{convert::Infallible, time::Duration};

use bartizan_core::{
    ExtensionName, GrpcCode, NormalizeLayer, Protocol, QuotaViolation, Reason, Rejection, RequestContext,
    RequestId, ResponseBody, Violation,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use proptest::prelude::*;
use support::{Connection, Steps, Wire, request};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, ServiceExt};

type Refused = Response<ResponseBody<Steps>>;

fn call(content_type: &'static str) -> Request<String> {
    let mut request = request("POST", "/pkg.Orders/Create");
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    RequestContext::of(&mut request).set_request_id(RequestId::new("req-1").unwrap());
    request
}

fn answer(rejection: Rejection) -> Refused {
    rejection.answer(&call("application/grpc"))
}

/// The status as tonic's client reads it.
fn status(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).expect("Trailers-Only")
}

/// What HTTP/2 and gRPC count as the size of metadata.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Section 1 of the rules: every reason, with its two faces.
const TABLE: [(Reason, u16, Code); 32] = [
    (Reason::Unauthenticated, 401, Code::Unauthenticated),
    (Reason::MalformedCredentials, 400, Code::Unauthenticated),
    (Reason::PermissionDenied, 403, Code::PermissionDenied),
    (Reason::Hidden, 404, Code::NotFound),
    (Reason::MalformedRequest, 400, Code::InvalidArgument),
    (Reason::SchemaViolation, 422, Code::InvalidArgument),
    (Reason::UnsupportedMediaType, 415, Code::Unimplemented),
    (Reason::UnsupportedContentEncoding, 415, Code::Unimplemented),
    (Reason::NotAcceptable, 406, Code::InvalidArgument),
    (Reason::RouteNotFound, 404, Code::Unimplemented),
    (Reason::UriTooLong, 414, Code::ResourceExhausted),
    (Reason::MethodNotAllowed, 405, Code::Unimplemented),
    (Reason::ContentTooLarge, 413, Code::ResourceExhausted),
    (Reason::HeadersTooLarge, 431, Code::ResourceExhausted),
    (Reason::RateLimited, 429, Code::ResourceExhausted),
    (Reason::Overloaded, 503, Code::Unavailable),
    (Reason::CircuitOpen, 503, Code::Unavailable),
    (Reason::NotImplemented, 501, Code::Unimplemented),
    (Reason::BadGateway, 502, Code::Unavailable),
    (Reason::DeadlineExceeded, 504, Code::DeadlineExceeded),
    (Reason::RequestTimeout, 408, Code::DeadlineExceeded),
    (Reason::IdempotencyKeyInvalid, 400, Code::InvalidArgument),
    (Reason::IdempotencyKeyInUse, 409, Code::Aborted),
    (Reason::IdempotencyKeyReused, 422, Code::FailedPrecondition),
    (Reason::PreconditionFailed, 412, Code::FailedPrecondition),
    (Reason::PreconditionRequired, 428, Code::FailedPrecondition),
    (Reason::VersionUnknown, 400, Code::Unimplemented),
    (Reason::VersionNotAcceptable, 406, Code::Unimplemented),
    (Reason::VersionUnsupported, 415, Code::Unimplemented),
    (Reason::VersionRemoved, 410, Code::Unimplemented),
    (Reason::DependencyUnavailable, 503, Code::Unavailable),
    (Reason::Internal, 500, Code::Internal),
];

#[test]
fn every_reason_has_the_two_faces_of_the_table() {
    for (index, (reason, http, code)) in TABLE.into_iter().enumerate() {
        assert_eq!(Reason::ALL[index], reason, "the table is complete");
        let plain: Refused = Rejection::new(reason).answer(&request("POST", "/"));
        assert_eq!(plain.status(), http, "{reason:?}");
        let grpc = answer(reason.into());
        assert_eq!(grpc.status(), StatusCode::OK, "{reason:?}");
        let status = status(grpc.headers());
        assert_eq!(status.code(), code, "{reason:?}");
        assert_eq!(status.message(), reason.default_detail(), "{reason:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, reason.code().to_ascii_uppercase(), "{reason:?}");
    }
}

#[test]
fn grpc_01_only_grpc_sees_the_grpc_face() {
    for (content_type, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("APPLICATION/GRPC; charset=utf-8", true),
        ("application/grpcfoo", false),
        ("application/json", false),
    ] {
        let response: Refused = Rejection::new(Reason::UnsupportedMediaType).answer(&call(content_type));
        // Content that is not gRPC gets the 415 of plain HTTP.
        let expected = if grpc { StatusCode::OK } else { StatusCode::UNSUPPORTED_MEDIA_TYPE };
        assert_eq!(response.status(), expected, "{content_type}");
        assert_eq!(response.headers().contains_key("grpc-status"), grpc, "{content_type}");
    }
}

#[tokio::test]
async fn grpc_02_a_refusal_is_one_headers_frame_that_ends_the_stream() {
    let service = service_fn(async |request: Request<Incoming>| {
        let response: Refused = Rejection::new(Reason::PermissionDenied).answer(&request);
        assert!(response.body().is_end_stream());
        Ok::<_, Infallible>(response)
    });
    let mut connection = Connection::open(Wire::Http2, service).await;
    let response = connection.send(call("application/grpc")).await.unwrap();
    assert!(response.body().is_end_stream(), "END_STREAM is on the HEADERS frame");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
    assert_eq!(status(response.headers()).code(), Code::PermissionDenied);
    drop(response);
    connection.close().await;
}

#[test]
fn grpc_03_the_status_is_decimal_without_leading_zeros() {
    for reason in Reason::ALL {
        let response = answer(reason.into());
        let value = response.headers()["grpc-status"].to_str().unwrap().to_owned();
        assert_eq!(value, reason.grpc_code().number().to_string(), "{reason:?}");
        assert_eq!(GrpcCode::from_headers(response.headers()), Some(reason.grpc_code()));
    }
}

#[test]
fn grpc_04_the_message_of_the_interop_case_arrives_as_it_was_sent() {
    let special = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n 100%";
    let response = answer(Rejection::new(Reason::MalformedRequest).with_detail(special));
    assert_eq!(
        response.headers()["grpc-message"],
        "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A 100%25"
    );
    assert_eq!(status(response.headers()).message(), special);
}

#[test]
fn grpc_05_details_are_unpadded_and_say_the_same_code() {
    use prost::Message;

    // Every remainder of the length by three, so that padding would show.
    for length in 0..6 {
        let detail = "x".repeat(length);
        let response = answer(Rejection::new(Reason::CircuitOpen).with_detail(detail.clone()));
        let encoded = &response.headers()["grpc-status-details-bin"];
        assert!(!encoded.as_bytes().contains(&b'='));
        let status = status(response.headers());
        let decoded = tonic_types::pb::Status::decode(status.details()).unwrap();
        assert_eq!(decoded.code, 14);
        assert_eq!(decoded.message, detail);
    }
}

#[test]
fn grpc_06_a_rate_limited_caller_learns_why_and_for_how_long() {
    let delay = Duration::new(3, 250_000_001);
    let rejection = Rejection::new(Reason::RateLimited)
        .with_retry_after(delay)
        .with_quota(QuotaViolation { subject: "burst".into(), description: "50 requests in 1 s".into() })
        .with_extension(const { ExtensionName::new("policy") }, "burst")
        .with_extension(const { ExtensionName::new("limit") }, 50);
    let response = answer(rejection);
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "3251", "rounded up");
    let status = status(response.headers());
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMITED", "bartizan"));
    assert_eq!((info.metadata["policy"].as_str(), info.metadata["limit"].as_str()), ("burst", "50"));
    assert_eq!(details.request_info().unwrap().request_id, "req-1");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(delay));
    let quota = &details.quota_failure().unwrap().violations[0];
    assert_eq!((quota.subject.as_str(), quota.description.as_str()), ("burst", "50 requests in 1 s"));
}

#[test]
fn grpc_06_only_a_limit_pushes_back_and_absurd_delays_stay_in_range() {
    let delay = Duration::from_secs(2);
    for reason in [Reason::CircuitOpen, Reason::Overloaded] {
        let response = answer(Rejection::new(reason).with_retry_after(delay));
        assert!(!response.headers().contains_key("grpc-retry-pushback-ms"));
        let status = status(response.headers());
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(delay));
    }
    let response = answer(Rejection::new(Reason::RateLimited).with_retry_after(Duration::MAX));
    let retry = status(response.headers()).get_details_retry_info().unwrap();
    assert!(retry.retry_delay.unwrap() >= Duration::from_secs(315_576_000_000), "the most the message holds");
}

#[test]
fn grpc_06_violations_name_their_dotted_field() {
    let rejection = Rejection::new(Reason::SchemaViolation).with_violation(Violation::in_body(
        ["order", "items", "0"],
        "required",
        "is required",
    ));
    let status = status(answer(rejection).headers());
    let violation = &status.get_details_bad_request().unwrap().field_violations[0];
    assert_eq!(violation.field, "order.items.0");
    assert_eq!(violation.description, "is required");
}

fn wordy(violations: usize, length: usize, detail: usize) -> Rejection {
    let rejection = Rejection::new(Reason::SchemaViolation).with_detail("é".repeat(detail));
    (0..violations).fold(rejection, |rejection, index| {
        let path = [format!("field{index}"), "x".repeat(length)];
        rejection.with_violation(Violation::in_body(path, "bad", "y".repeat(length)))
    })
}

const LIMIT: usize = 8 * 1024;

#[test]
fn grpc_07_long_violations_go_before_the_other_details() {
    let response = answer(wordy(32, 400, 10));
    assert!(size(response.headers()) < LIMIT);
    let status = status(response.headers());
    let details = status.get_error_details();
    let kept = details.bad_request().unwrap().field_violations.len();
    assert!((1..32).contains(&kept), "{kept}");
    assert_eq!(details.error_info().unwrap().reason, "SCHEMA_VIOLATION");
    assert_eq!(details.request_info().unwrap().request_id, "req-1");
    assert_eq!(status.message(), "é".repeat(10));

    let response = answer(wordy(32, 10_000, 10));
    let status = Status::from_header_map(response.headers()).unwrap();
    assert!(status.get_details_bad_request().is_none(), "not one fits");
    assert!(status.get_details_error_info().is_some());
}

#[test]
fn grpc_07_violations_left_out_are_owned_up_to() {
    for (rejection, truncated) in [
        (wordy(0, 0, 10), None),
        (wordy(32, 10, 10), None),
        (wordy(33, 10, 10), Some("true")),
        (wordy(32, 400, 10), Some("true")),
        (wordy(32, 10_000, 10), Some("true")),
    ] {
        let details = status(answer(rejection).headers()).get_error_details();
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata.get("truncated").map(String::as_str), truncated);
    }
}

#[test]
fn grpc_07_details_go_from_the_last_and_then_the_message_is_cut() {
    let quota = QuotaViolation { subject: "burst".into(), description: "z".repeat(9_000).into() };
    let response = answer(Rejection::new(Reason::RateLimited).with_quota(quota));
    let details = status(response.headers()).get_error_details();
    assert!(details.quota_failure().is_none() && details.error_info().is_some());

    let response = answer(wordy(0, 0, 5_000));
    assert!(size(response.headers()) < LIMIT);
    let status = status(response.headers());
    assert!(status.details().is_empty());
    assert!(status.message().len() > 1_000 && status.message().chars().all(|char| char == 'é'));
}

#[test]
fn grpc_07_headers_of_the_refusal_count_too() {
    let many = (0..60).fold(wordy(32, 100, 500), |rejection, index| {
        let name = HeaderName::try_from(format!("x-note-{index}")).unwrap();
        rejection.with_header(name, HeaderValue::try_from("v".repeat(64)).unwrap())
    });
    let response = answer(many);
    assert!(size(response.headers()) < LIMIT);
    assert_eq!(status(response.headers()).code(), Code::InvalidArgument);
    assert_eq!(response.headers()["x-note-59"], "v".repeat(64));
}

proptest! {
    #[test]
    fn grpc_07_no_refusal_outgrows_what_clients_accept(
        violations in 0_usize..40,
        length in 0_usize..2_000,
        detail in 0_usize..9_000,
        extension in 0_usize..9_000,
        headers in 0_usize..40,
    ) {
        let name = const { ExtensionName::new("extension") };
        let rejection = wordy(violations, length, detail).with_extension(name, "e".repeat(extension));
        let rejection = (0..headers).fold(rejection, |rejection, index| {
            let name = HeaderName::try_from(format!("x-note-{index}")).unwrap();
            rejection.with_header(name, HeaderValue::from_static("v"))
        });
        let response = answer(rejection);
        prop_assert!(size(response.headers()) <= LIMIT - 1024, "{}", size(response.headers()));
        let status = Status::from_header_map(response.headers()).unwrap();
        prop_assert_eq!(status.code(), Code::InvalidArgument);
        prop_assert!(status.check_error_details().is_ok());
    }
}

#[tokio::test]
async fn grpc_13_a_head_of_200_proves_nothing() {
    let refused = answer(Reason::Overloaded.into());
    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(GrpcCode::from_headers(refused.headers()), Some(GrpcCode::Unavailable));
    assert!(GrpcCode::from_headers(refused.headers()).unwrap().is_server_error());
}

#[test]
fn grpc_14_web_gets_the_status_in_the_head_under_its_own_content_type() {
    for (sent, answered) in [
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web+proto"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc-web-text+proto; charset=utf-8", "application/grpc-web-text+proto"),
    ] {
        let response: Refused = Rejection::new(Reason::RateLimited).answer(&call(sent));
        assert_eq!(response.status(), StatusCode::OK, "{sent}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], answered);
        assert_eq!(status(response.headers()).code(), Code::ResourceExhausted);
        assert!(response.body().is_end_stream());
    }
}

#[tokio::test]
async fn grpc_02_a_problem_made_without_its_request_is_told_in_grpc() {
    let inner = tower::service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(
            Rejection::new(Reason::PermissionDenied).into_response::<Steps>(&Default::default()),
        )
    });
    let response = NormalizeLayer::new().layer(inner).oneshot(call("application/grpc")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(Protocol::from_headers(response.headers()), Protocol::Grpc);
    let details = status(response.headers()).get_error_details();
    assert_eq!(details.request_info().unwrap().request_id, "req-1");
    assert!(!response.headers().contains_key(header::CACHE_CONTROL), "nothing of the HTTP face is left");
}
