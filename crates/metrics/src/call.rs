use std::{fmt, sync::Arc, time::Instant};

use bartizan_core::{Ending, GrpcCode, MatchedRoute, Observer, Outcome, Rejection, RequestContext};
use http::{Request, StatusCode};

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
    /// Whose gauge counts the request: it goes down where it went up.
    handles: Arc<Handles>,
    context: RequestContext,
    method: MethodLabel,
    started: Instant,
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
    pub(crate) fn begin<B>(shared: &Shared, context: RequestContext, request: &Request<B>) -> Self {
        context.route_of(request);
        let handles = shared.handles();
        handles.active.increment(1.0);
        Self {
            method: MethodLabel::of(request.method()),
            started: context.arrived(&handles.base.clock),
            handles,
            context,
            settled: false,
        }
    }

    fn settle(&mut self, end: &End<'_>) {
        self.settled = true;
        self.handles.active.decrement(1.0);
        let base = &*self.handles.base;
        let finished = self.context.finished(&base.clock);
        let seconds = finished.saturating_duration_since(self.started).as_secs_f64();
        base.target.with(|recorder| {
            let other;
            let handles = if self.handles.are_of(recorder) {
                &*self.handles
            } else {
                // The recorder changed while the request ran.
                other = Handles::new(Arc::clone(&self.handles.base), recorder);
                &other
            };
            let route = self.context.route();
            let name = route.map_or(OTHER, MatchedRoute::as_str);
            if self.context.protocol().is_grpc() {
                let series = RpcSeries { status: end.grpc, ending: end.ending };
                let is_known = || route.is_some_and(|route| self.is_known(route, end));
                handles.record_rpc(recorder, name, is_known, series, seconds);
            } else {
                let series = HttpSeries { method: self.method, status: end.status, ending: end.ending };
                handles.record_http(recorder, name, series, seconds);
            }
            if let Some(rejection) = end.rejection {
                handles.count_rejection(recorder, rejection);
            }
        });
    }

    /// Whether the gRPC method is one of the service, and not only what the caller wrote.
    ///
    /// The proof is an answer that only the method itself gives: success, or a message. Errors prove nothing:
    /// what stands before the methods, an interceptor of tonic's say, gives them for any name.
    fn is_known(&self, route: &MatchedRoute, end: &End<'_>) -> bool {
        let known = &self.handles.base.known;
        if !route.is_claimed() || known.contains(route.as_str()) {
            return true;
        }
        let answered = end.rejection.is_none() && (end.grpc == Some(GrpcCode::Ok) || end.bytes > 0);
        answered && known.learn(route.as_str())
    }
}

impl Observer for Call {
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
