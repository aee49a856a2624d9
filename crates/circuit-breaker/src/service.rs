//! The service of [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{Face, Protocol, RequestContext, RequestHead, observe, served};
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    BreakerBody, BreakerKey, CircuitBreakerFuture, Fallback, Permit, Refused, State, guard::Guard, refusal,
    registry::Registry, slot::Slot, telemetry,
};

/// The service of [`CircuitBreakerLayer`](crate::CircuitBreakerLayer). Clones share the breakers.
pub struct CircuitBreaker<S, K, F> {
    inner: S,
    registry: Arc<Registry>,
    key: Arc<K>,
    fallback: F,
    /// The inner service was not made ready, because the one breaker was open: it must not be called (LAY-03).
    passed_over: bool,
}

impl<S, K, F> CircuitBreaker<S, K, F> {
    pub(crate) fn new(inner: S, registry: Arc<Registry>, key: Arc<K>, fallback: F) -> Self {
        Self { inner, registry, key, fallback, passed_over: false }
    }
}

impl<S, K, F, ReqBody, ResBody> Service<Request<ReqBody>> for CircuitBreaker<S, K, F>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: BreakerKey,
    F: Fallback<ReqBody, ResBody>,
    ResBody: Body,
{
    type Response = Response<BreakerBody<ResBody>>;
    type Error = S::Error;
    type Future = CircuitBreakerFuture<S::Future, F::Future>;

    /// Ready when the inner service is. A single breaker that is open is ready by itself: what it refuses need not wait
    /// for a service that may never be ready again. With keys nobody knows yet which breaker will be asked.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if K::SINGLE {
            let settings = &self.registry.common.settings;
            let slot = &self.registry.shared;
            self.passed_over = slot.breaker.state() != State::Closed
                && settings.exempt.is_empty()
                && slot.breaker.is_open(settings.clock.now());
            if self.passed_over {
                return Poll::Ready(Ok(()));
            }
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let registry = &self.registry;
        if !registry.common.settings.exempt.is_empty() {
            return self.call_unless_exempt(request);
        }
        let slot = if K::SINGLE { Arc::clone(registry.shared()) } else { self.slot(&request) };
        self.call_by(slot, request)
    }
}

impl<S, K, F> CircuitBreaker<S, K, F> {
    /// Apart, as all that takes a look at the request: what was lent is copied when it moves on.
    #[inline(never)]
    fn call_unless_exempt<B, R>(&mut self, request: Request<B>) -> CircuitBreakerFuture<S::Future, F::Future>
    where
        S: Service<Request<B>, Response = Response<R>>,
        K: BreakerKey,
        F: Fallback<B, R>,
    {
        if self.registry.common.settings.exempt.contains(request.uri().path()) {
            let head = *request.method() == Method::HEAD;
            let inner = self.inner.call(request);
            return CircuitBreakerFuture::call(observe(inner, Protocol::Http, head, Guard::exempt()));
        }
        let slot = self.slot(&request);
        self.call_by(slot, request)
    }

    /// The breaker of a request.
    fn slot<B>(&self, request: &Request<B>) -> Arc<Slot>
    where
        K: BreakerKey,
    {
        let key = if K::SINGLE { None } else { self.key.key(&RequestHead::of(request)) };
        match key {
            Some(key) => self.registry.of(&key),
            None => Arc::clone(self.registry.shared()),
        }
    }

    /// Calls the inner service, if the breaker lets it.
    #[inline(always)]
    fn call_by<B, R>(
        &mut self,
        slot: Arc<Slot>,
        request: Request<B>,
    ) -> CircuitBreakerFuture<S::Future, F::Future>
    where
        S: Service<Request<B>, Response = Response<R>>,
        F: Fallback<B, R>,
    {
        match slot.breaker.pass() {
            Some(permit) if !self.passed_over => self.make(slot, permit, request),
            _ => self.call_with_care(slot, request),
        }
    }

    /// [`call_by`](Self::call_by) where the breaker is not simply closed, or the time is asked for.
    #[inline(never)]
    fn call_with_care<B, R>(
        &mut self,
        slot: Arc<Slot>,
        request: Request<B>,
    ) -> CircuitBreakerFuture<S::Future, F::Future>
    where
        S: Service<Request<B>, Response = Response<R>>,
        F: Fallback<B, R>,
    {
        let admitted = if self.passed_over { Err(still_open(&slot)) } else { slot.admit() };
        match admitted {
            Ok(permit) if permit.state() == State::Closed => self.make(slot, permit, request),
            Ok(permit) => self.probe(slot, permit, request),
            Err(refused) => refuse(&self.fallback, &slot, refused, request),
        }
    }

    #[inline(always)]
    fn make<B, A>(
        &mut self,
        slot: Arc<Slot>,
        permit: Permit,
        request: Request<B>,
    ) -> CircuitBreakerFuture<S::Future, A>
    where
        S: Service<Request<B>>,
    {
        let (head, protocol) = (*request.method() == Method::HEAD, asked_in(&request));
        let inner = self.inner.call(request);
        CircuitBreakerFuture::call(observe(inner, protocol, head, Guard::new(slot, permit)))
    }

    /// Makes a call that is to show whether the breaker may close.
    #[inline(never)]
    fn probe<B, A>(
        &mut self,
        slot: Arc<Slot>,
        permit: Permit,
        request: Request<B>,
    ) -> CircuitBreakerFuture<S::Future, A>
    where
        S: Service<Request<B>>,
    {
        note(RequestContext::get(request.extensions()), |context| {
            telemetry::note_probe(context, &slot.common.settings.name, &permit);
        });
        let (head, protocol) = (*request.method() == Method::HEAD, asked_in(&request));
        let (inner, guard) = Guard::calling(slot, permit, || self.inner.call(request));
        CircuitBreakerFuture::call(observe(inner, protocol, head, guard))
    }
}

/// The protocol of an outgoing call of gRPC, whose answer may be a proxy's; `None` where the answer alone is to tell.
///
/// Of a request that is served the answer must not be judged by what it was asked in, which is the caller's to say. Such a
/// request has a context, and a call may carry that of the request it is made for.
#[inline(always)]
fn asked_in<B>(request: &Request<B>) -> Option<Protocol> {
    // As all calls of gRPC are.
    if *request.method() == Method::POST { of_call(request) } else { None }
}

#[inline(never)]
fn of_call<B>(request: &Request<B>) -> Option<Protocol> {
    let protocol = Protocol::of(request);
    (protocol.is_grpc() && RequestContext::get(request.extensions()).is_none()).then_some(protocol)
}

/// The breaker was open when the caller asked whether it is ready. Its time may be over by now, and the inner service is
/// not ready to be probed.
#[cold]
fn still_open(slot: &Slot) -> Refused {
    let (state, remaining) = slot.breaker.remaining(slot.common.settings.clock.now());
    let retry_after = match state {
        State::ForcedOpen => slot.common.settings.policy.open_time,
        _ => remaining.unwrap_or_default().max(Duration::from_secs(1)),
    };
    Refused { state, retry_after }
}

#[cold]
#[inline(never)]
fn refuse<I, F, ReqBody, ResBody>(
    fallback: &F,
    slot: &Slot,
    refused: Refused,
    request: Request<ReqBody>,
) -> CircuitBreakerFuture<I, F::Future>
where
    F: Fallback<ReqBody, ResBody>,
{
    slot.common.telemetry.refused();
    let context = RequestContext::get(request.extensions());
    note(context, |context| telemetry::note_refused(context, &slot.common.settings.name, refused));
    let (face, context) = (Face::of_call(&request), context.cloned().or_else(served));
    CircuitBreakerFuture::refuse(refusal::of(refused), face, context, fallback.answer(request))
}

/// Notes a fact in the event of this request, or of the one it is made for.
#[cold]
fn note(own: Option<&RequestContext>, note: impl FnOnce(Option<&RequestContext>)) {
    match own {
        Some(own) => note(Some(own)),
        None => note(served().as_ref()),
    }
}

impl<S: Clone, K, F: Clone> Clone for CircuitBreaker<S, K, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            registry: Arc::clone(&self.registry),
            key: Arc::clone(&self.key),
            fallback: self.fallback.clone(),
            // A clone was not asked yet whether it is ready.
            passed_over: false,
        }
    }
}

impl<S: fmt::Debug, K, F> fmt::Debug for CircuitBreaker<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("inner", &self.inner)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}
