use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{Ending, GrpcCode, MatchedRoute, Observer, Outcome, Place, Rejection, RequestContext};
use http::{Request, StatusCode};
use metrics::{Histogram, Recorder};

use crate::{
    handles::Handles,
    layer::Shared,
    series::{HttpSeries, MethodLabel, RpcSeries},
    telemetry::OTHER,
};

/// One request that is being measured.
///
/// Follows the request from the call to the end of the response body; named only because
/// [`ResponseFuture`](crate::ResponseFuture) and [`ResponseBody`](crate::ResponseBody) hold one.
pub struct Call {
    shared: Arc<Shared>,
    /// Where the gauge is that counts the request: it goes down where it went up.
    place: Option<Place>,
    context: RequestContext,
    method: MethodLabel,
    /// By the clock's nanoseconds.
    started: u64,
    settled: bool,
}

/// How it ended.
struct End<'a> {
    ending: Ending,
    status: Option<StatusCode>,
    grpc: Option<GrpcCode>,
    bytes: u64,
    rejection: Option<&'a Rejection>,
}

impl Call {
    pub(crate) fn begin<B>(shared: Arc<Shared>, context: RequestContext, request: &Request<B>) -> Self {
        context.route_of(request);
        let place = shared.handles.place(Handles::new);
        let call = Self {
            method: MethodLabel::of(request.method()),
            started: context.arrived(&shared.clock),
            shared,
            place,
            context,
            settled: false,
        };
        if let Some(handles) = call.handles() {
            handles.active.increment(1.0);
        }
        call
    }

    /// The handles that the request began with.
    #[inline]
    fn handles(&self) -> Option<&Handles> {
        self.shared.handles.at(self.place?)
    }

    fn settle(&mut self, end: &End<'_>) {
        self.settled = true;
        let finished = self.context.finished(&self.shared.clock);
        let seconds = Duration::from_nanos(finished.saturating_sub(self.started)).as_secs_f64();
        let mut known = None;
        if let Some(handles) = self.handles() {
            handles.active.decrement(1.0);
            known = self.known_series(handles, end);
        }
        if let Some(histogram) = known {
            histogram.record(seconds);
        }
        // Almost every request is of a series that the recorder knows, and no refusal.
        if known.is_none() || end.rejection.is_some() {
            self.record_rest(end, known.is_none().then_some(seconds));
        }
    }

    /// The histogram of the series, if there is one already.
    #[inline]
    fn known_series<'h>(&self, handles: &'h Handles, end: &End<'_>) -> Option<&'h Histogram> {
        let name = self.context.route().map_or(OTHER, MatchedRoute::as_str);
        let (histograms, variant) = if self.context.protocol().is_grpc() {
            (&handles.rpc, Self::rpc_series(end).variant())
        } else {
            (&handles.http, self.http_series(end).variant())
        };
        histograms.find(name, variant)
    }

    fn http_series(&self, end: &End<'_>) -> HttpSeries {
        HttpSeries { method: self.method, status: end.status, ending: end.ending }
    }

    fn rpc_series(end: &End<'_>) -> RpcSeries {
        RpcSeries { status: end.grpc, ending: end.ending }
    }

    /// Records the duration, if it is the first of its series, and the refusal: with the recorder in force now,
    /// since handles can be had of no other.
    #[inline(never)]
    fn record_rest(&self, end: &End<'_>, seconds: Option<f64>) {
        self.shared.handles.with(Handles::new, |handles, recorder| {
            if let Some(seconds) = seconds {
                self.record_new(handles, recorder, end, seconds);
            }
            if let Some(rejection) = end.rejection {
                handles.count_rejection(recorder, rejection);
            }
        });
    }

    /// Records the first of a series.
    #[cold]
    fn record_new(&self, handles: &Handles, recorder: &dyn Recorder, end: &End<'_>, seconds: f64) {
        let route = self.context.route();
        let name = route.map_or(OTHER, MatchedRoute::as_str);
        if self.context.protocol().is_grpc() {
            let name = if route.is_some_and(|route| self.is_known(route, end)) { name } else { OTHER };
            handles.record_new_rpc(recorder, name, Self::rpc_series(end), seconds);
        } else {
            handles.record_new_http(recorder, name, self.http_series(end), seconds);
        }
    }

    /// Whether the gRPC method is one of the service, and not only what the caller wrote.
    ///
    /// The proof is an answer that only the method itself gives: success, or a message. Errors prove nothing:
    /// what stands before the methods, an interceptor of tonic's say, gives them for any name.
    fn is_known(&self, route: &MatchedRoute, end: &End<'_>) -> bool {
        let known = &self.shared.known;
        if !route.is_claimed() || known.contains(route.as_str()) {
            return true;
        }
        let answered = end.rejection.is_none() && (end.grpc == Some(GrpcCode::Ok) || end.bytes > 0);
        answered && known.learn(route.as_str())
    }
}

impl Observer for Call {
    #[inline]
    fn on_end(mut self, outcome: Outcome) {
        self.settle(&End {
            ending: outcome.ending,
            status: outcome.status,
            grpc: outcome.grpc,
            bytes: outcome.bytes,
            rejection: outcome.rejection.as_ref(),
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.settled {
            // Never observed: the inner service panicked before it gave a future.
            self.settle(&End { ending: Ending::Panic, status: None, grpc: None, bytes: 0, rejection: None });
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("context", &self.context).finish_non_exhaustive()
    }
}
