//! What a caller is told of a message that breaks its rules.

use std::sync::LazyLock;

use http::Extensions;
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
    if report_only { Ok(()) } else { Err(rejection.into()) }
}

#[cfg(test)]
mod tests {
    use bartizan_core::RequestContext;
    use http::Request;

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
