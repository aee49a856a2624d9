//! The service of [`BulkheadLayer`](crate::BulkheadLayer).

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{
    Deadline, Face, HeadSeen, ObservedBody, Protocol, Rejection, RequestContext, RequestHead, ResponseBody,
};
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    BulkheadFuture, BulkheadKey, Fixed, Limit, Permit, Priority,
    future::Parked,
    layer::{Core, Shared},
    limit::sealed,
    rooms::{Admission, Refused, Waiting},
    telemetry::Outcome,
};

/// The service of [`BulkheadLayer`](crate::BulkheadLayer). Clones share the places.
pub struct Bulkhead<S, K, L: Limit = Fixed> {
    inner: S,
    shared: Arc<Shared<K, L>>,
}

impl<S, K, L: Limit> Bulkhead<S, K, L> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<K, L>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, K, L, ReqBody, ResBody> Service<Request<ReqBody>> for Bulkhead<S, K, L>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    K: BulkheadKey,
    L: Limit,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ObservedBody<ResBody, HeadSeen<Permit<L>>>>>;
    type Error = S::Error;
    type Future = BulkheadFuture<S, S::Future, ReqBody, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let core = &self.shared.core;
        let permit = match self.shared.enter(&RequestHead::of(&request)) {
            Decision::Admitted(permit) => permit,
            Decision::Queued(waiting) => {
                // The instance that was polled ready is the one that is called.
                let clone = self.inner.clone();
                let service = mem::replace(&mut self.inner, clone);
                let longest = core.longest_wait(&request);
                return BulkheadFuture::wait(Parked::new(
                    service,
                    request,
                    waiting,
                    Arc::clone(core),
                    longest,
                ));
            }
            Decision::Refused(refused) => return BulkheadFuture::refuse(core.refuse(&request, refused)),
        };
        let (protocol, is_head) = (Protocol::of(&request), request.method() == Method::HEAD);
        BulkheadFuture::hold(self.inner.call(request), protocol, is_head, permit)
    }
}

enum Decision<L: Limit> {
    Admitted(Permit<L>),
    Queued(Waiting<L>),
    Refused(Refused),
}

impl<K: BulkheadKey, L: Limit> Shared<K, L> {
    fn enter(&self, head: &RequestHead<'_>) -> Decision<L> {
        let core = &self.core;
        let priority = core.priorities.of(head);
        if priority == Priority::Exempt {
            core.telemetry.decided(Outcome::Exempt);
            return Decision::Admitted(Permit::exempt());
        }
        let entered = core.rooms.enter(self.key.key(head).as_ref(), priority, || core.clock.now());
        if let Some((limit, is_common)) = entered.moved {
            core.telemetry.moved(limit, is_common);
        }
        if entered.overflowed {
            core.telemetry.overflowed();
        }
        match entered.admission {
            Admission::Taken(place) => {
                core.telemetry.decided(Outcome::Admitted);
                Decision::Admitted(Permit::new(place, core))
            }
            Admission::Queued(waiting) => Decision::Queued(waiting),
            Admission::Refused(refused) => Decision::Refused(refused),
        }
    }
}

impl<L: sealed::Limit> Core<L> {
    /// How long the request may wait: nobody waits for an answer after its deadline.
    fn longest_wait<B>(&self, request: &Request<B>) -> Duration {
        let left = Deadline::of_call(request.extensions()).map(|deadline| deadline.remaining(&self.clock));
        left.map_or(self.max_wait, |left| left.min(self.max_wait))
    }

    /// Refuses the request, whichever side it is on: by its own head, not by that of a request it is made for.
    #[cold]
    pub(crate) fn refuse<B>(&self, request: &Request<B>, refused: Refused) -> (Rejection, Face) {
        let outcome = Outcome::from(refused);
        self.telemetry.decided(outcome);
        if let Some(context) = RequestContext::get(request.extensions()) {
            context.event().record("bulkhead.refused", outcome.as_str());
        }
        (self.rejection(), Face::of_call(request))
    }
}

impl<S: Clone, K, L: Limit> Clone for Bulkhead<S, K, L> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, K, L: Limit> fmt::Debug for Bulkhead<S, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("inner", &self.inner).field("core", &self.shared.core).finish()
    }
}
