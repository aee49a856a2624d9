//! Both faces of a refusal, and that it comes before the request body.

use std::task::Poll;

use bartizan_core::{Problem, Reason, Rejection};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body::Body;
use prost::Message as _;
use tower_service::Service;

use super::sharing::warm_up;
use crate::{
    BodySender, Probe, TestBody,
    drive::{collect, ready, settle, summary},
    handle::ok,
    prepare::Kind,
    rule::{ensure, fail},
    suite::{Refusal, Subject, Suite},
};

pub(crate) async fn faces(suite: &Suite) {
    for refusal in &suite.refusals {
        for kind in Kind::ALL {
            let which = format!("{:?}, {kind:?}", refusal.reason);
            let (subject, response, sender) = refused(&which, refusal, kind).await;
            let (parts, body) = response.into_parts();
            let ended = body.is_end_stream();
            let announced = body.size_hint();
            let response = Response::from_parts(parts, collect(&Probe::new(), body).await);
            face(&which, refusal.reason, kind, &response);
            let length = response.body().len();
            ensure!(
                ended || !kind.is_grpc(),
                TrailersOnly,
                "{which}: the body of the refusal does not know that it has ended: END_STREAM would come later"
            );
            ensure!(
                ended == (length == 0),
                Bodies,
                "{which}: a refusal of {length} bytes says `is_end_stream` {ended}"
            );
            ensure!(
                announced.exact() == Some(length as u64),
                Bodies,
                "{which}: a refusal of {length} bytes announces {announced:?}"
            );
            ensure!(sender.is_dropped(), Release, "{which}: the request is refused, and its body still kept");
            let held = subject.held().unwrap_or(0);
            ensure!(held == 0, Release, "{which}: the request is refused, and the layer still holds {held}");
        }
    }
}

/// Has a request refused: the layer, its answer, and what feeds the request's body.
async fn refused(which: &str, refusal: &Refusal, kind: Kind) -> (Subject, Response<TestBody>, BodySender) {
    let subject = (refusal.make)();
    let script = ok();
    let probe = Probe::new();
    let mut service = subject.service(script.service());
    warm_up(&probe, refusal, &mut service).await;

    let (sender, body) = TestBody::channel();
    let request = refusal.prepare.apply(kind.head().map(|()| body));
    ready(&probe, &mut service).await;
    let mut future = service.call(request);
    let response = match settle(&probe, &mut future).await {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => fail!(Errors, "{which}: the refusal is an error: {error}"),
        Poll::Pending if sender.polls() > 0 => {
            fail!(Early, "{which}: the layer waits for the request body before it refuses")
        }
        Poll::Pending => fail!(Refusal, "{which}: the request is neither refused nor answered"),
    };
    drop(future);
    Probe::run_others().await;
    let Some(rejection) = response.extensions().get::<Rejection>() else {
        fail!(Refusal, "{which}: the response carries no `Rejection`, but {}", summary(&response))
    };
    ensure!(
        rejection.reason() == refusal.reason,
        Refusal,
        "{which}: the request is refused with {:?}",
        rejection.reason()
    );
    ensure!(
        script.called() == refusal.after,
        Refusal,
        "{which}: the request is refused, and the inner service was called all the same"
    );
    ensure!(
        sender.polls() == 0,
        Early,
        "{which}: the request body was polled {} times before the request was refused",
        sender.polls()
    );
    (subject, response, sender)
}

/// What a refusal looks like to the client.
pub(crate) fn face(which: &str, reason: Reason, kind: Kind, response: &Response<Bytes>) {
    if kind.is_grpc() {
        status_face(which, reason, kind, response);
    } else {
        problem_face(which, reason, kind, response);
    }
}

fn problem_face(which: &str, reason: Reason, kind: Kind, response: &Response<Bytes>) {
    let headers = response.headers();
    ensure!(
        response.status() == reason.status(),
        Status,
        "{which}: the status is {}, and that of the reason {}",
        response.status(),
        reason.status()
    );
    expect_header(which, headers, &header::CONTENT_TYPE, "application/problem+json", |which, seen| {
        fail!(Problem, "{which}: {seen}")
    });
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::CACHE_CONTROL, "no-store")] {
        expect_header(which, headers, &name, value, |which, seen| fail!(Headers, "{which}: {seen}"));
    }
    goes_with_it(which, reason, headers);
    if kind == Kind::Head {
        ensure!(
            response.body().is_empty(),
            Head,
            "{which}: the answer has a body of {} bytes",
            response.body().len()
        );
        return;
    }
    let Ok(problem) = Problem::from_slice(response.body()) else {
        fail!(Problem, "{which}: the body is no JSON object: {:?}", response.body())
    };
    ensure!(
        problem.status.is_none_or(|status| status == response.status().as_u16()),
        Status,
        "{which}: the problem says {:?} and the response {}",
        problem.status,
        response.status()
    );
    let code = problem.extensions.get("code").and_then(|code| code.as_str());
    ensure!(
        code == Some(reason.code()),
        Members,
        "{which}: the problem's `code` is {code:?}, and that of the reason {:?}",
        reason.code()
    );
    ensure!(
        response.status() != StatusCode::PAYLOAD_TOO_LARGE
            || problem.extensions.keys().any(|name| name.starts_with("limit")),
        Refusal,
        "{which}: a 413 that does not tell the limit"
    );
}

fn expect_header(
    which: &str,
    headers: &HeaderMap,
    name: &HeaderName,
    expected: &str,
    otherwise: fn(&str, String) -> (),
) {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    if lines.len() != 1 || lines[0] != expected {
        otherwise(which, format!("{name} is {lines:?} instead of {expected:?}"));
    }
}

/// The fields without which a status means nothing.
fn goes_with_it(which: &str, reason: Reason, headers: &HeaderMap) {
    match reason.status() {
        StatusCode::UNAUTHORIZED => ensure!(
            headers.contains_key(header::WWW_AUTHENTICATE),
            Challenge,
            "{which}: a 401 without a challenge"
        ),
        StatusCode::METHOD_NOT_ALLOWED => {
            ensure!(headers.contains_key(header::ALLOW), Refusal, "{which}: a 405 without `Allow`");
        }
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => ensure!(
            headers.contains_key(header::RETRY_AFTER),
            Refusal,
            "{which}: a {} without `Retry-After`",
            status.as_u16()
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ensure!(
            // RFC 9110 section 15.5.16; RFC 5789 section 2.2 and W3C's LDP for the methods.
            ["accept", "accept-encoding", "accept-patch", "accept-post"]
                .iter()
                .any(|name| headers.contains_key(*name)),
            Refusal,
            "{which}: a 415 that does not tell what is accepted"
        ),
        _ => {}
    }
    let Some(delay) = headers.get(header::RETRY_AFTER) else { return };
    let seconds = delay.to_str().ok().and_then(|delay| delay.parse::<u64>().ok());
    ensure!(
        seconds.is_some_and(|seconds| seconds > 0),
        Refusal,
        "{which}: `Retry-After` is {delay:?} instead of a whole number of seconds, one or more"
    );
}

const GRPC_STATUS: &str = "grpc-status";

fn status_face(which: &str, reason: Reason, kind: Kind, response: &Response<Bytes>) {
    let headers = response.headers();
    ensure!(
        response.status() == StatusCode::OK,
        TrailersOnly,
        "{which}: a gRPC call is refused with HTTP {}",
        response.status()
    );
    ensure!(
        response.body().is_empty(),
        TrailersOnly,
        "{which}: a refused gRPC call has a body of {} bytes",
        response.body().len()
    );
    if kind == Kind::GrpcWeb {
        expect_header(which, headers, &header::CONTENT_TYPE, "application/grpc-web+proto", |which, seen| {
            fail!(GrpcWeb, "{which}: {seen}")
        });
    } else {
        expect_header(which, headers, &header::CONTENT_TYPE, "application/grpc", |which, seen| {
            fail!(TrailersOnly, "{which}: {seen}")
        });
    }
    let expected = reason.grpc_code().to_header();
    let lines: Vec<_> = headers.get_all(GRPC_STATUS).iter().collect();
    ensure!(lines == [&expected], TrailersOnly, "{which}: grpc-status is {lines:?} instead of {expected:?}");
    if let Some(details) = headers.get("grpc-status-details-bin") {
        ensure!(
            !details.as_bytes().contains(&b'='),
            Details,
            "{which}: grpc-status-details-bin is padded: {details:?}"
        );
        let status = tonic::Status::from_header_map(headers);
        let code = status.and_then(|status| code_in(status.details()));
        ensure!(code.is_some(), Details, "{which}: grpc-status-details-bin does not decode");
        let expected = reason.grpc_code() as i32;
        ensure!(code == Some(expected), Details, "{which}: the details say {code:?} instead of {expected}");
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    ensure!(size < 8 * 1024, MetadataSize, "{which}: the metadata take {size} bytes");
}

/// The code in a `google.rpc.Status`.
fn code_in(details: &[u8]) -> Option<i32> {
    #[derive(prost::Message)]
    struct RpcStatus {
        #[prost(int32, tag = "1")]
        code: i32,
    }
    if details.is_empty() {
        return None;
    }
    RpcStatus::decode(details).ok().map(|status| status.code)
}
