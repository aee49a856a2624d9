//! How a limit refuses.

use std::time::Duration;

use bartizan_core::{ExtensionName, Protocol, Reason, Rejection};

use crate::{policy::LAYER, store::Ask, telemetry};

/// The problem type that IANA registers for an exhausted quota.
pub(crate) const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The one for a service that has less to give than usual.
pub(crate) const REDUCED_CAPACITY: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// The most that one request may cost.
const LIMIT: ExtensionName = ExtensionName::new("limit");

/// Some of `asks` refuse. The caller may come again when all of those would let it pass.
#[cold]
pub(crate) fn limited(asks: &[Ask<'_>], protocol: Protocol) -> Rejection {
    let refusing = || asks.iter().filter(|ask| ask.refuses());
    if let Some(first) = refusing().next() {
        telemetry::refused(first.limit.name());
    }
    let mut longest = Duration::ZERO;
    for ask in refusing() {
        match ask.decision().retry_after() {
            Some(delay) => longest = longest.max(delay),
            None => return never(ask.decision().rate().capacity(), protocol),
        }
    }
    let detail = refusing().next().map_or("", |ask| ask.limit.refusal);
    let rejection = Rejection::new(Reason::RateLimited)
        .with_layer(LAYER)
        .with_type(QUOTA_EXCEEDED)
        .with_detail(detail)
        .with_retry_after(longest);
    refusing().fold(rejection, |rejection, ask| rejection.with_quota(ask.limit.violation.clone()))
}

/// The request costs more than the quota ever holds: waiting does not help (RL-01).
fn never(most: u32, protocol: Protocol) -> Rejection {
    let reason = if protocol.is_grpc() { Reason::MalformedRequest } else { Reason::ContentTooLarge };
    Rejection::new(reason)
        .with_layer(LAYER)
        .with_detail("The request costs more than the quota ever allows. Ask for less at once.")
        .with_extension(LIMIT, most)
}

/// The request has no key, and such requests are not let in.
#[cold]
pub(crate) fn keyless(layer: &'static str) -> Rejection {
    Rejection::new(Reason::PermissionDenied)
        .with_layer(layer)
        .with_detail("The request does not tell what its limit counts by, and is not let in without.")
}
