//! What the extractors share.

use std::{future::poll_fn, sync::LazyLock};

use axum::body::Body;
use bartizan_core::Rejection;
use bytes::Bytes;
use http::{Extensions, request::Parts};

use crate::{
    check::{Announced, Plan},
    coding::Coding,
    collect::{Collect, End},
    read::failed,
    refusal,
    settings::Settings,
    telemetry::Telemetry,
};

/// In a request's extensions: the extractors only report broken rules, and hand the value on.
///
/// Put it there with `axum::Extension(ReportOnly)` as a layer, to try rules on real traffic first. What is not of the
/// type is refused all the same, for there is no value to hand on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportOnly;

/// Extractors have no value of their own in the stack, so all of them count here, in the recorder in force.
static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(Telemetry::default);

/// The value, unless the verdict is a refusal that counts. `value` may be there although it breaks rules.
pub(super) fn settle<V>(
    value: Option<V>,
    verdict: Result<(), Rejection>,
    extensions: &Extensions,
) -> Result<V, Rejection> {
    let Err(rejection) = verdict else { return value.ok_or_else(refusal::body_missing) };
    let reported = value.filter(|_| extensions.get::<ReportOnly>().is_some());
    TELEMETRY.failed(&rejection, extensions, reported.is_some());
    reported.ok_or(rejection)
}

/// The body as it was sent, and its coding; `None` where there is no body, and none is needed.
pub(super) async fn read(
    settings: &Settings,
    head: &Parts,
    body: Body,
) -> Result<Option<(Bytes, Coding)>, Rejection> {
    let coding = match settings.plan(head, Announced::of(&body))? {
        Plan::Read(coding) => coding,
        Plan::Pass => return Ok(None),
    };
    let most = settings.limits.max_body();
    let mut collect = Collect::new(body, most);
    match poll_fn(|cx| collect.poll(cx)).await {
        End::Whole => Ok(Some((collect.finish().bytes, coding))),
        End::TooLarge => Err(refusal::too_large(most)),
        End::Failed(error) => Err(failed(&error, most)),
    }
}
