//! Every metric, event and fact of this crate, by name.

use bartizan_core::{RequestContext, RequestId};

use crate::inbound::Why;

/// How many ids were replaced, by reason.
#[cfg(feature = "metrics")]
const REPLACED: &str = "bartizan_request_ids_replaced_total";

/// Which of the two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Request,
    Correlation,
}

impl Which {
    /// The fact of the wide event that says why the id was replaced.
    pub(crate) fn replaced_fact(self) -> &'static str {
        match self {
            Self::Request => "correlation_id.request_id_replaced",
            Self::Correlation => "correlation_id.correlation_id_replaced",
        }
    }

    /// The fact of the wide event that keeps what the caller sent.
    pub(crate) fn original_fact(self) -> &'static str {
        match self {
            Self::Request => "correlation_id.original_request_id",
            Self::Correlation => "correlation_id.original_correlation_id",
        }
    }

    #[cfg(feature = "tracing")]
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request_id",
            Self::Correlation => "correlation_id",
        }
    }
}

/// Counts and tells what the layer did. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "metrics")]
    counters: std::sync::Arc<bartizan_core::PerRecorder<[metrics::Counter; Why::ALL.len()]>>,
}

impl Telemetry {
    /// An id gave way to `by`. What the caller sent is not told: it may hold anything.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
    pub(crate) fn replaced(&self, which: Which, why: Why, by: &RequestId) {
        #[cfg(feature = "metrics")]
        self.counters.with(resolve, |counters, _| counters[why as usize].increment(1));
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "bartizan::correlation_id",
            id = which.as_str(),
            reason = why.as_str(),
            by = by.as_str(),
            "replaced an id",
        );
    }
}

/// The request has its ids: the span that is open around it may carry them.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
#[inline]
pub(crate) fn identified(context: &RequestContext) {
    #[cfg(feature = "tracing")]
    {
        use tracing::{Span, level_filters::LevelFilter};

        if LevelFilter::current() == LevelFilter::OFF {
            return;
        }
        let span = Span::current();
        if let (Some(request), Some(correlation)) = (context.request_id(), context.correlation_id()) {
            span.record("request_id", request.as_str());
            span.record("correlation_id", correlation.as_str());
        }
    }
}

/// A counter for each reason.
#[cfg(feature = "metrics")]
fn resolve(recorder: &dyn metrics::Recorder) -> [metrics::Counter; Why::ALL.len()] {
    let series = bartizan_core::Series::new(recorder, module_path!());
    series.describe_counter(REPLACED, "Request and correlation ids that were replaced, by reason.");
    Why::ALL.map(|why| series.counter(REPLACED, &[("reason", why.as_str())]))
}
