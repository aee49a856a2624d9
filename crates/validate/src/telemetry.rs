//! Every metric, event and fact of the crate.

use bartizan_core::{Location, Reason, Rejection, RequestContext};
use http::Extensions;

/// The context of a request, or of the request for which this one is made.
#[cfg(feature = "schema")]
pub(crate) fn context(extensions: &Extensions) -> Option<RequestContext> {
    RequestContext::get(extensions).cloned().or_else(bartizan_core::served)
}

/// Told of every refusal, and of what would have been one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "metrics")]
    counters: std::sync::Arc<enabled::Counters>,
}

impl Telemetry {
    #[cfg(feature = "metrics")]
    pub(crate) fn pinned(recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Self { counters: std::sync::Arc::new(enabled::Counters::pinned(recorder)) }
    }

    pub(crate) fn failed(&self, rejection: &Rejection, extensions: &Extensions, report_only: bool) {
        if let Some(context) = RequestContext::get(extensions) {
            let event = context.event();
            event.record("validation.code", first(rejection).1);
            event.record("validation.failures", rejection.violations().len().max(1) as u64);
            event.record("validation.report_only", report_only);
        }
        #[cfg(feature = "metrics")]
        for (location, code) in failures(rejection) {
            self.counters.count(location, code);
        }
        #[cfg(feature = "tracing")]
        {
            let ((location, code), event) = (first(rejection), event(rejection.reason()));
            if report_only {
                tracing::info!(target: "bartizan::validate", event, location, code, "this request would be refused");
            } else {
                tracing::info!(target: "bartizan::validate", event, location, code, "refused");
            }
        }
    }

    /// A response broke its contract, or could not be checked. `told` is for the log.
    #[cfg(feature = "schema")]
    pub(crate) fn response_failed(
        &self,
        codes: &[&'static str],
        told: &str,
        context: Option<&RequestContext>,
        log_only: bool,
    ) {
        if let Some(context) = context {
            let event = context.event();
            event.record("validation.response", told.to_owned());
            event.record("validation.report_only", log_only);
        }
        #[cfg(feature = "metrics")]
        for code in codes {
            self.counters.count(RESPONSE, code);
        }
        #[cfg(feature = "tracing")]
        tracing::warn!(target: "bartizan::validate", log_only, "{told}");
        #[cfg(not(feature = "metrics"))]
        let _ = codes;
    }
}

/// The fixed name that OWASP's logging vocabulary has for what was refused (LOG-06).
#[cfg(feature = "tracing")]
fn event(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Unauthenticated | Reason::MalformedCredentials => Some("authn_fail"),
        Reason::PermissionDenied => Some("authz_fail"),
        _ if reason.status().is_client_error() => Some("input_validation_fail"),
        _ => None,
    }
}

/// The location of what is wrong with a response: where in it is for the log.
#[cfg(all(feature = "schema", feature = "metrics"))]
const RESPONSE: &str = "response";

/// Where the first failure is, and what it is: never anything of the caller's.
fn first(rejection: &Rejection) -> (&'static str, &'static str) {
    match rejection.violations().first() {
        Some(violation) => (violation.location().as_str(), violation.code()),
        None => (whole(rejection).as_str(), rejection.reason().code()),
    }
}

/// Where a refusal without violations has its ground.
fn whole(rejection: &Rejection) -> Location {
    match rejection.reason() {
        Reason::UnsupportedMediaType
        | Reason::UnsupportedContentEncoding
        | Reason::Unauthenticated
        | Reason::PermissionDenied => Location::Header,
        Reason::RouteNotFound | Reason::MethodNotAllowed => Location::Path,
        _ => Location::Body,
    }
}

#[cfg(feature = "metrics")]
fn failures(rejection: &Rejection) -> impl Iterator<Item = (&'static str, &'static str)> {
    let whole = rejection.violations().is_empty().then(|| first(rejection));
    rejection
        .violations()
        .iter()
        .map(|violation| (violation.location().as_str(), violation.code()))
        .chain(whole)
}

#[cfg(feature = "metrics")]
mod enabled {
    use std::sync::{Mutex, PoisonError};

    use bartizan_core::{PerRecorder, Series};
    use metrics::{Counter, Recorder};

    const FAILURES: &str = "bartizan_validation_failures_total";

    /// A counter for each location and code that was met. Both are texts of the program, so that there are few.
    #[derive(Debug, Default)]
    pub(crate) struct Counters(PerRecorder<Mutex<Vec<Known>>>);

    struct Known {
        location: &'static str,
        code: &'static str,
        counter: Counter,
    }

    impl Counters {
        pub(crate) fn pinned(recorder: impl Recorder + Send + Sync + 'static) -> Self {
            Self(PerRecorder::pinned(recorder))
        }

        pub(crate) fn count(&self, location: &'static str, code: &'static str) {
            self.0.with(describe, |known, recorder| {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(known) =
                    known.iter().find(|known| known.location == location && known.code == code)
                {
                    known.counter.increment(1);
                    return;
                }
                let counter = Series::new(recorder, module_path!())
                    .counter(FAILURES, &[("location", location), ("code", code)]);
                counter.increment(1);
                known.push(Known { location, code, counter });
            });
        }
    }

    #[cold]
    fn describe(recorder: &dyn Recorder) -> Mutex<Vec<Known>> {
        Series::new(recorder, module_path!())
            .describe_counter(FAILURES, "What was wrong with requests, by place and rule.");
        Mutex::default()
    }
}
