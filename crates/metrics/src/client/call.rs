use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{Ending, GrpcCode, MatchedRoute, MethodName, Observer, Outcome, Protocol, Reason};
use http::{Request, StatusCode};

use super::{
    layer::Shared,
    series::{Handles, HttpSeries, RpcSeries},
};

/// One outgoing request or call that is being measured, or passes unmeasured.
///
/// Follows it to the end of the response body; named only because
/// [`ClientResponseFuture`](crate::ClientResponseFuture) and [`ClientResponseBody`](crate::ClientResponseBody) hold
/// one.
pub struct OutgoingCall(Option<Running>);

struct Running {
    shared: Arc<Shared>,
    /// By the clock's nanoseconds.
    started: u64,
    what: What,
}

enum What {
    Http(MethodName),
    Grpc(MatchedRoute),
}

/// How it ended.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) ending: Ending,
    /// As the upstream gave it.
    pub(super) status: Option<StatusCode>,
    pub(super) grpc: Option<GrpcCode>,
    /// Why a layer further in answered instead of the upstream.
    pub(super) refused: Option<Reason>,
}

impl OutgoingCall {
    pub(super) fn begin<B>(shared: &Arc<Shared>, request: &Request<B>) -> Self {
        let what = if Protocol::of(request).is_grpc() {
            What::Grpc(MatchedRoute::of_call(request))
        } else {
            What::Http(MethodName::of(request.method()))
        };
        Self(Some(Running { started: shared.clock.nanos(), shared: Arc::clone(shared), what }))
    }

    pub(super) fn unmeasured() -> Self {
        Self(None)
    }

    fn settle(&mut self, end: End) {
        let Some(Running { shared, started, what }) = self.0.take() else { return };
        let seconds = Duration::from_nanos(shared.clock.nanos().saturating_sub(started)).as_secs_f64();
        shared.handles.with(Handles::new, |handles, recorder| match &what {
            What::Http(method) => {
                handles.record_http(recorder, &shared.name, HttpSeries { method: *method, end }, seconds);
            }
            What::Grpc(method) => {
                let series = RpcSeries { end };
                handles.record_rpc(recorder, &shared.name, method.as_str(), series, seconds);
            }
        });
    }
}

impl Observer for OutgoingCall {
    #[inline]
    fn on_end(mut self, outcome: Outcome) {
        let refused = outcome.rejection.as_ref().map(|rejection| rejection.reason());
        // The status of a refusal is ours, and not the upstream's.
        let status = outcome.status.filter(|_| refused.is_none());
        let grpc = outcome.grpc_of_call();
        self.settle(End { ending: outcome.ending, status, grpc, refused });
    }
}

impl Drop for OutgoingCall {
    fn drop(&mut self) {
        // Still there when the client panicked before it gave a future.
        self.settle(End { ending: Ending::Panic, status: None, grpc: None, refused: None });
    }
}

impl fmt::Debug for OutgoingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingCall").field("measured", &self.0.is_some()).finish()
    }
}
