use std::{fmt, sync::Arc};

use bartizan_core::{Ending, GrpcCode, MatchedRoute, MethodName, Observer, Outcome, Place, RequestContext};
use http::Request;
use metrics::{Histogram, Recorder};

use crate::{
    handles::Handles,
    layer::Shared,
    series::{HttpSeries, RpcSeries},
    telemetry::OTHER,
};

const NANOS_PER_SECOND: f64 = 1e9;

/// One request that is being measured.
///
/// Follows the request from the call to the end of the response body; named only because
/// [`ResponseFuture`](crate::ResponseFuture) and [`ResponseBody`](crate::ResponseBody) hold one.
pub struct Call {
    shared: Arc<Shared>,
    /// Where the gauge is that counts the request, if one does: it goes down where it went up.
    active: Option<Place>,
    context: RequestContext,
    method: MethodName,
    /// By the clock's nanoseconds.
    started: u64,
    settled: bool,
}

impl Call {
    // As part of its one caller it is made where it stays.
    #[inline(always)]
    pub(crate) fn begin<B>(shared: Arc<Shared>, context: RequestContext, request: &Request<B>) -> Self {
        context.route_of(request);
        Self {
            method: MethodName::of(request.method()),
            started: context.arrived(&shared.clock),
            active: if shared.counts_active { shared.enter() } else { None },
            shared,
            context,
            settled: false,
        }
    }

    /// Never observed: the inner service panicked before it gave a future.
    #[cold]
    #[inline(never)]
    fn abandon(&mut self) {
        self.settle(&Outcome::without_response(Ending::Panic));
    }

    #[inline]
    fn settle(&mut self, outcome: &Outcome) {
        self.settled = true;
        let finished = self.context.finished(&self.shared.clock);
        let seconds = finished.saturating_sub(self.started) as f64 / NANOS_PER_SECOND;
        if let Some(active) = self.active {
            self.shared.leave(active);
        }
        let handles = self.shared.place().and_then(|place| self.shared.handles.at(place));
        let known = handles.and_then(|handles| self.known_series(handles, outcome));
        if let Some(histogram) = known {
            histogram.record(seconds);
        }
        // Almost every request is of a series that the recorder knows, and no refusal.
        if known.is_none() || outcome.rejection.is_some() {
            self.record_rest(outcome, known.is_none().then_some(seconds));
        }
    }

    /// The histogram of the series, if there is one already.
    #[inline]
    fn known_series<'h>(&self, handles: &'h Handles, outcome: &Outcome) -> Option<&'h Histogram> {
        let name = self.context.route_name();
        let (histograms, variant) = if self.context.protocol().is_grpc() {
            (&handles.rpc, Self::rpc_series(outcome).variant())
        } else {
            (&handles.http, self.http_series(outcome).variant())
        };
        histograms.find(name, variant)
    }

    fn http_series(&self, outcome: &Outcome) -> HttpSeries {
        HttpSeries { method: self.method, status: outcome.status, ending: outcome.ending }
    }

    fn rpc_series(outcome: &Outcome) -> RpcSeries {
        RpcSeries { status: outcome.grpc, ending: outcome.ending }
    }

    /// Records the duration, if it is the first of its series, and the refusal: with the recorder in force now,
    /// since handles can be had of no other.
    #[inline(never)]
    fn record_rest(&self, outcome: &Outcome, seconds: Option<f64>) {
        let resolve = |recorder: &dyn Recorder| Handles::new(recorder, self.shared.counts_active);
        self.shared.handles.with(resolve, |handles, recorder| {
            if let Some(seconds) = seconds {
                self.record_new(handles, recorder, outcome, seconds);
            }
            if let Some(rejection) = &outcome.rejection {
                handles.count_rejection(recorder, rejection);
            }
        });
    }

    /// Records the first of a series.
    #[cold]
    fn record_new(&self, handles: &Handles, recorder: &dyn Recorder, outcome: &Outcome, seconds: f64) {
        let (route, name) = (self.context.route(), self.context.route_name());
        if self.context.protocol().is_grpc() {
            let name = if route.is_some_and(|route| self.is_known(route, outcome)) { name } else { OTHER };
            handles.record_new_rpc(recorder, name, Self::rpc_series(outcome), seconds);
        } else {
            handles.record_new_http(recorder, name, self.http_series(outcome), seconds);
        }
    }

    /// Whether the gRPC method is one of the service, and not only what the caller wrote.
    ///
    /// The proof is an answer in gRPC that only the method itself gives: success, or a message. Errors prove nothing:
    /// what stands before the methods, an interceptor of tonic's say, gives them for any name. Nor does what is no
    /// gRPC: a path with a parameter answers to any name too.
    fn is_known(&self, route: &MatchedRoute, outcome: &Outcome) -> bool {
        let known = &self.shared.known;
        if !route.is_claimed() || known.contains(route.as_str()) {
            return true;
        }
        let answered = outcome.rejection.is_none()
            && outcome.grpc_by_status.is_none()
            && (outcome.grpc == Some(GrpcCode::Ok) || outcome.bytes > 0);
        answered && known.learn(route.as_str())
    }
}

impl Observer for Call {
    #[inline]
    fn on_end(mut self, outcome: Outcome) {
        self.settle(&outcome);
    }
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if !self.settled {
            self.abandon();
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("context", &self.context).finish_non_exhaustive()
    }
}
