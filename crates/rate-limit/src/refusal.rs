//! How a limit refuses.

use std::time::Duration;

use bartizan_core::{QuotaViolation, Reason, Rejection};

/// The problem type that IANA registers for an exhausted quota.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

const LAYER: &str = "rate_limit";

/// The caller is over the quota, and may come again after `retry_after`.
#[cold]
pub(crate) fn limited(quota: QuotaViolation, retry_after: Option<Duration>) -> Rejection {
    let rejection =
        Rejection::new(Reason::RateLimited).with_layer(LAYER).with_type(QUOTA_EXCEEDED).with_quota(quota);
    match retry_after {
        Some(delay) => rejection.with_retry_after(delay),
        None => rejection,
    }
}

/// The request has no key, and such requests are not let in.
#[cold]
pub(crate) fn keyless() -> Rejection {
    Rejection::new(Reason::PermissionDenied)
        .with_layer(LAYER)
        .with_detail("The request does not tell what its rate limit counts by, and is not let in without.")
}
