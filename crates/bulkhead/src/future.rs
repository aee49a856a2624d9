//! The response future of a bulkhead.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bartizan_core::{
    Face, HeadSeen, ObservedBody, ObservedFuture, Protocol, Reason, Rejection, RequestContext, ResponseBody,
    observe,
};
use http::{Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::{
    Fixed, Limit, Permit,
    layer::Core,
    limit::sealed,
    rooms::{Place, Refused, Waiting},
    telemetry::{Outcome, Queued},
};

pin_project! {
    /// Response future of [`Bulkhead`](crate::Bulkhead). Holds a place until the body of the response ends.
    #[must_use = "futures do nothing unless polled"]
    pub struct BulkheadFuture<S, F, B, L: Limit = Fixed> {
        #[pin]
        state: State<S, F, B, L>,
    }
}

pin_project! {
    // Wait => (Hold | Refuse)
    #[project = StateProj]
    enum State<S, F, B, L: sealed::Limit> {
        Hold { #[pin] inner: ObservedFuture<F, Permit<L>> },
        // Boxed: waiting is the exception, and all others would carry the request along.
        Wait { parked: Option<Box<Parked<S, B, L>>> },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

/// A request that waits for a place, with the service that was ready for it.
pub(crate) struct Parked<S, B, L: sealed::Limit> {
    service: S,
    request: Request<B>,
    waiting: Waiting<L>,
    core: Arc<Core<L>>,
    _queued: Queued,
    since: Instant,
    /// Boxed with the rest, and pinned apart from it.
    sleep: Pin<Box<Sleep>>,
}

impl<S, B, L: Limit> Parked<S, B, L> {
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    pub(crate) fn new(
        service: S,
        request: Request<B>,
        waiting: Waiting<L>,
        core: Arc<Core<L>>,
        longest: Duration,
    ) -> Self {
        let (queued, since) = (core.telemetry.queued(), core.clock.now());
        Self { service, request, waiting, core, _queued: queued, since, sleep: Box::pin(sleep(longest)) }
    }

    /// Ready once there is a place, or no hope of one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Place<L>, Refused>> {
        if let Poll::Ready(settled) = self.waiting.poll(cx) {
            return Poll::Ready(settled);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(self.waiting.give_up().ok_or(Refused::TimedOut))
    }

    /// It has a place.
    fn admit<F>(self, place: Place<L>) -> State<S, F, B, L>
    where
        S: Service<Request<B>, Future = F>,
    {
        self.tell_wait();
        self.core.telemetry.decided(Outcome::Waited);
        let permit = Permit::new(place, &self.core);
        let Self { mut service, request, .. } = self;
        let (protocol, is_head) = (Protocol::of(&request), request.method() == Method::HEAD);
        State::Hold { inner: observe(service.call(request), protocol, is_head, permit) }
    }

    /// It gets none.
    fn turn_away<F>(self, refused: Refused) -> State<S, F, B, L> {
        self.tell_wait();
        State::Refuse { refusal: Some(self.core.refuse(&self.request, refused)) }
    }

    fn tell_wait(&self) {
        let waited = self.core.clock.now().saturating_duration_since(self.since);
        self.core.telemetry.waited(waited);
        if let Some(context) = RequestContext::get(self.request.extensions()) {
            context.event().record("bulkhead.waited_seconds", waited.as_secs_f64());
        }
    }
}

impl<S, F, B, L: Limit> BulkheadFuture<S, F, B, L> {
    pub(crate) fn hold(inner: F, protocol: Protocol, is_head: bool, permit: Permit<L>) -> Self {
        Self { state: State::Hold { inner: observe(inner, protocol, is_head, permit) } }
    }

    pub(crate) fn wait(parked: Parked<S, B, L>) -> Self {
        Self { state: State::Wait { parked: Some(Box::new(parked)) } }
    }

    pub(crate) fn refuse(refusal: (Rejection, Face)) -> Self {
        Self { state: State::Refuse { refusal: Some(refusal) } }
    }
}

impl<S, F, B, L, ResBody, E> Future for BulkheadFuture<S, F, B, L>
where
    S: Service<Request<B>, Response = Response<ResBody>, Error = E, Future = F>,
    F: Future<Output = Result<Response<ResBody>, E>>,
    L: Limit,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ObservedBody<ResBody, HeadSeen<Permit<L>>>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Hold { inner } => {
                    return Poll::Ready(Ok(ready!(inner.poll(cx))?.map(ResponseBody::forward)));
                }
                StateProj::Wait { parked } => {
                    let settled = match parked {
                        Some(parked) => ready!(parked.poll(cx)),
                        None => Err(Refused::Shed),
                    };
                    match (parked.take(), settled) {
                        (Some(parked), Ok(place)) => parked.admit(place),
                        (Some(parked), Err(refused)) => parked.turn_away(refused),
                        (None, _) => State::Refuse { refusal: None },
                    }
                }
                StateProj::Refuse { refusal } => {
                    // Polled again after it was ready, which no caller may do, it still answers.
                    let (rejection, face) =
                        refusal.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
                    return Poll::Ready(Ok(rejection.into_response(&face)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, F, B, L: Limit> fmt::Debug for BulkheadFuture<S, F, B, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadFuture").finish_non_exhaustive()
    }
}
