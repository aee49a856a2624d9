//! What a caller is told of a message that breaks its rules.

use std::sync::LazyLock;

use bartizan_core::{Face, Rejection, ResponseBody};
use bytes::Bytes;
use http::{Extensions, HeaderValue, Method, Request, Response, header};
use http_body_util::Empty;
use tonic::Status;

use super::{ValidateMessage, message::findings};
use crate::{refusal, telemetry::Telemetry};

/// A codec has no value of its own in the stack, so all messages count here, in the recorder in force.
static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(Telemetry::default);

/// Whether the rules of `message` hold: for a service whose codec is not [`ValidatingCodec`](crate::ValidatingCodec).
///
/// # Errors
///
/// `INVALID_ARGUMENT` with a `google.rpc.BadRequest` that names each field.
pub fn check_message(message: &impl ValidateMessage) -> Result<(), Status> {
    judge(message, false)
}

/// The same, and counts; `Ok` too where it only reports.
pub(super) fn judge(message: &impl ValidateMessage, report_only: bool) -> Result<(), Status> {
    let violations = findings(message);
    if violations.is_empty() {
        return Ok(());
    }
    let rejection = refusal::violates(violations);
    let mut call = Extensions::new();
    if let Some(context) = bartizan_core::served() {
        call.insert(context);
    }
    TELEMETRY.failed(&rejection, &call, report_only);
    if report_only { Ok(()) } else { Err(status(rejection, call)) }
}

/// The status that a layer's refusal would be, for tonic to send.
#[cold]
fn status(rejection: Rejection, extensions: Extensions) -> Status {
    let mut call = Request::new(());
    *call.extensions_mut() = extensions;
    *call.method_mut() = Method::POST;
    call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let code = tonic::Code::from_i32(rejection.grpc_code().number());
    let message = rejection.detail().to_owned();
    let rendered: Response<ResponseBody<Empty<Bytes>>> = rejection.into_response(&Face::of_call(&call));
    let details = Status::from_header_map(rendered.headers()).map(|status| status.details().to_vec());
    Status::with_details(code, message, details.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use bartizan_core::RequestContext;

    use super::*;

    struct Empty;

    impl ValidateMessage for Empty {
        fn validate(&self, found: &mut crate::MessageFindings<'_>) {
            found.add("sku", "required", "must be there");
        }
    }

    #[test]
    fn val_07_a_message_checked_while_an_http_request_is_served_keeps_its_details() {
        let outside = check_message(&Empty).unwrap_err();
        assert!(!outside.details().is_empty());
        let context = RequestContext::of(&mut Request::new(()));
        let inside = context.enter(|| check_message(&Empty)).unwrap_err();
        assert_eq!((inside.code(), inside.details()), (outside.code(), outside.details()));
    }
}
