//! Trailers-Only responses that fit what clients accept.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use prost::Message;

use super::{
    details::{
        Any, BadRequest, ErrorInfo, FieldViolation, QuotaFailure, QuotaViolation, RequestInfo, RetryInfo,
        Status,
    },
    message,
};
use crate::{Protocol, Reason, Rejection};

/// `ErrorInfo.domain` until the service names its own.
pub(crate) const DEFAULT_DOMAIN: &str = "bartizan";

/// What the protocol suggests clients accept as the size of all response metadata.
const METADATA_LIMIT: usize = 8 * 1024;

/// Left free for the headers that layers further out and the server add: ids, `date`, cookies of a proxy.
const HEADROOM: usize = 1024;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What [`render`] sets, and another rendering replaces.
pub(crate) const RENDERED_HEADERS: [HeaderName; 4] = [GRPC_STATUS, GRPC_MESSAGE, GRPC_DETAILS, GRPC_PUSHBACK];

/// Fills `response` with the status of `rejection`. `response` may hold headers already; they count.
pub(crate) fn render(rejection: &Rejection, protocol: Protocol, domain: &str, response: &mut Response<()>) {
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    if let Some(content_type) = protocol.grpc_content_type() {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    let code = rejection.reason().grpc_code();
    headers.insert(GRPC_STATUS, code.to_header());
    let delay = rejection.told_delay(headers);
    if rejection.reason() == Reason::RateLimited
        && let Some(delay) = delay
    {
        // Rounded up: a client that waits exactly this long must not be too early.
        let millis = delay.as_nanos().div_ceil(1_000_000);
        headers.insert(GRPC_PUSHBACK, HeaderValue::from(u64::try_from(millis).unwrap_or(u64::MAX)));
    }
    let room = (METADATA_LIMIT - HEADROOM).saturating_sub(size_of(headers));
    let (message, details) = fit(rejection, domain, delay, room);
    headers.insert(GRPC_MESSAGE, message);
    if let Some(details) = details {
        headers.insert(GRPC_DETAILS, details);
    }
}

/// The message and details of `rejection` within `room` bytes: violations go first, then the other details from
/// the last to the first, then the end of the message.
fn fit(
    rejection: &Rejection,
    domain: &str,
    delay: Option<Duration>,
    room: usize,
) -> (HeaderValue, Option<HeaderValue>) {
    let message = rejection.detail();
    let encoded_message = message::encode(message);
    let message_size = field_size(&GRPC_MESSAGE, encoded_message.len());
    let mut status = Status {
        code: rejection.reason().grpc_code().number(),
        message: message.to_owned(),
        details: other_details(rejection, domain, delay, rejection.is_truncated()),
    };
    let violations = bad_request(rejection);
    let all = violations.field_violations.len();
    let mut keep = all;
    loop {
        let details = with_violations(&status, &violations, keep);
        if message_size + field_size(&GRPC_DETAILS, details.len()) <= room {
            return (encoded_message, header_value(details));
        }
        // `ErrorInfo` stands first, and so stays longest.
        if keep > 0 {
            if keep == all {
                status.details = other_details(rejection, domain, delay, true);
            }
            keep /= 2;
        } else if status.details.pop().is_none() {
            break;
        }
    }
    if message_size <= room {
        return (encoded_message, None);
    }
    let max = room.saturating_sub(field_size(&GRPC_MESSAGE, 0));
    (message::encode(message::truncate(message, max)), None)
}

fn header_value(details: String) -> Option<HeaderValue> {
    HeaderValue::try_from(details).ok()
}

/// The encoded status with the first `keep` violations.
fn with_violations(status: &Status, violations: &BadRequest, keep: usize) -> String {
    if keep == 0 {
        return STANDARD_NO_PAD.encode(status.encode_to_vec());
    }
    let mut status = status.clone();
    let kept = BadRequest { field_violations: violations.field_violations[..keep].to_vec() };
    status.details.push(Any::pack("BadRequest", &kept));
    STANDARD_NO_PAD.encode(status.encode_to_vec())
}

fn bad_request(rejection: &Rejection) -> BadRequest {
    let field_violations = rejection
        .violations()
        .iter()
        .map(|violation| FieldViolation {
            field: violation.field(),
            description: violation.detail().to_owned(),
            reason: violation.code().to_ascii_uppercase(),
        })
        .collect();
    BadRequest { field_violations }
}

/// All details but the violations. `truncated` says, as the problem's member does, that some of those are left out.
fn other_details(rejection: &Rejection, domain: &str, delay: Option<Duration>, truncated: bool) -> Vec<Any> {
    let metadata = rejection
        .extensions()
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str().to_owned(), text)
        })
        .chain(truncated.then(|| ("truncated".to_owned(), "true".to_owned())))
        .collect();
    let reason = rejection.reason().code().to_ascii_uppercase();
    let mut details =
        vec![Any::pack("ErrorInfo", &ErrorInfo { reason, domain: domain.to_owned(), metadata })];
    if let Some(id) = rejection.request_id() {
        details.push(Any::pack("RequestInfo", &RequestInfo { request_id: id.as_str().to_owned() }));
    }
    if let Some(delay) = delay {
        details.push(Any::pack("RetryInfo", &RetryInfo { retry_delay: Some(delay.into()) }));
    }
    if !rejection.quotas().is_empty() {
        let violations = rejection
            .quotas()
            .iter()
            .map(|quota| QuotaViolation {
                subject: quota.subject.to_string(),
                description: quota.description.to_string(),
            })
            .collect();
        details.push(Any::pack("QuotaFailure", &QuotaFailure { violations }));
    }
    details
}

/// The size that HTTP/2 counts for one field (RFC 9113 section 6.5.2).
fn field_size(name: &HeaderName, value: usize) -> usize {
    name.as_str().len() + value + 32
}

fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| field_size(name, value.len())).sum()
}
