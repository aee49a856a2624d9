//! A refusal as a tonic handler returns it.
#![cfg(feature = "tonic")]

use std::time::Duration;

use bartizan_core::{QuotaViolation, Reason, Rejection, Violation};
use http::{HeaderMap, HeaderValue, header};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What tonic's server sends of it.
fn sent(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    headers
}

#[test]
fn grpc_06_a_handler_s_refusal_keeps_its_details_and_its_metadata() {
    let limited = Rejection::new(Reason::RateLimited)
        .with_retry_after(Duration::from_millis(1500))
        .with_quota(QuotaViolation { subject: "per-principal".into(), description: "50 a second".into() });
    let status = Status::from(limited);
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMITED", "bartizan"));
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_millis(1500)));
    assert_eq!(status.get_details_quota_failure().unwrap().violations[0].subject, "per-principal");
    assert_eq!(sent(&status)["grpc-retry-pushback-ms"], "1500");

    let unknown = Rejection::unauthenticated(HeaderValue::from_static("Bearer realm=\"api\""));
    let headers = sent(&unknown.into());
    assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer realm=\"api\"");
    assert!(!headers.contains_key(header::CONTENT_TYPE), "tonic's own");
}

#[test]
fn grpc_07_a_handler_s_refusal_is_as_small_as_clients_take_it() {
    let text = "What came is no order, and that is a long story. ".repeat(10);
    let refusal = (0..1000).fold(Rejection::new(Reason::SchemaViolation), |refusal, at| {
        refusal.with_violation(Violation::in_body(
            ["items".to_owned(), at.to_string()],
            "required",
            text.clone(),
        ))
    });
    let status = Status::from(refusal);
    let size: usize = sent(&status).iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(size < 8 * 1024, "{size}");
    assert_eq!(status.get_details_error_info().unwrap().metadata["truncated"], "true");
}

#[cfg(feature = "scope")]
#[test]
fn grpc_06_a_handler_s_refusal_has_the_id_of_the_request_it_serves() {
    use bartizan_core::{RequestContext, RequestId};
    use http::Request;

    let context = RequestContext::of(&mut Request::new(()));
    context.set_request_id(RequestId::new("r-1").unwrap());
    let status: Status = context.enter(|| Rejection::new(Reason::Hidden).into());
    assert_eq!(status.get_details_request_info().unwrap().request_id, "r-1");
    assert_eq!(status.code(), Code::NotFound);
}
