//! What the layers of one request share.

mod addr;
mod baggage;
mod deadline;
mod id;
mod note;
mod principal;
mod route;
mod set_once;
mod spare;
#[cfg(test)]
mod tests;
mod trace;

use std::{
    fmt, mem,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use http::{Extensions, Method, Request, Version, uri::Scheme};
use triomphe::Arc;

use self::set_once::SetOnce;
pub use self::{
    addr::ClientAddr,
    baggage::{Baggage, BaggageError, BaggageMember},
    deadline::Deadline,
    id::{CorrelationId, IdError, RequestId},
    note::NoteOwner,
    principal::{Principal, PrincipalBuilder, PrincipalKind},
    route::MatchedRoute,
    trace::{SpanId, TraceContext, TraceId},
};
use crate::{Clock, Face, Protocol, RequestEvent};

/// What the layers of one request share: ids, trace, caller, address, route, deadline and the wide event.
///
/// It is one `Arc` in the request's extensions, inserted by the first layer that needs it. Each field is set
/// once, by the layer whose business it is, and read by all others; clones see the same fields. A handler takes
/// it from the request's extensions, or as an argument of axum's (feature `axum`).
///
/// ```
/// use bartizan_core::{Principal, RequestContext};
/// use http::Request;
///
/// let mut request = Request::new(());
/// let context = RequestContext::of(&mut request);
/// context.set_principal(Principal::service("billing").build());
/// assert_eq!(RequestContext::of(&mut request).principal().unwrap().subject(), "billing");
/// ```
#[derive(Clone)]
pub struct RequestContext(Arc<Inner>);

#[derive(Default)]
struct Inner {
    protocol: Protocol,
    head: bool,
    http1: bool,
    /// [`RETRY`], [`HTTP`] and [`HTTPS`].
    marks: AtomicU8,
    request_id: SetOnce<RequestId>,
    correlation_id: SetOnce<CorrelationId>,
    trace: SetOnce<TraceContext>,
    baggage: SetOnce<Baggage>,
    principal: SetOnce<Principal>,
    client_addr: SetOnce<ClientAddr>,
    route: SetOnce<MatchedRoute>,
    /// The name of a gRPC method, as the caller wrote it. Apart, since a router further in may know better.
    claimed: SetOnce<MatchedRoute>,
    /// There was none when it was looked for. It is not noted in `route`, since a router further in may tell one.
    unrouted: AtomicBool,
    deadline: Mutex<Option<Deadline>>,
    /// Whether there is one: a look is enough where there is none.
    is_bounded: AtomicBool,
    /// Read when the context is made: nearly every layer wants it, and then it is there.
    arrived: u64,
    /// 0 until it is read.
    finished: AtomicU64,
    event: RequestEvent,
}

/// The caller has attempted this call before.
const RETRY: u8 = 1;
/// The caller used this scheme, as a trusted proxy tells.
const HTTP: u8 = 2;
const HTTPS: u8 = 4;

impl Inner {
    /// Drops all that was set: but for what each request sets, it is as good as new.
    fn clear(&mut self) {
        // Named one by one, so that none is forgotten.
        let Self {
            protocol: _,
            head: _,
            http1: _,
            marks,
            request_id,
            correlation_id,
            trace,
            baggage,
            principal,
            client_addr,
            route,
            claimed,
            unrouted,
            deadline,
            is_bounded,
            arrived: _,
            finished,
            event,
        } = self;
        // Where nothing was set, a look is enough: to write a new one over it all takes longer.
        request_id.clear();
        correlation_id.clear();
        trace.clear();
        baggage.clear();
        principal.clear();
        client_addr.clear();
        route.clear();
        claimed.clear();
        *marks.get_mut() = 0;
        *unrouted.get_mut() = false;
        if mem::take(is_bounded.get_mut()) {
            *deadline.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        }
        *finished.get_mut() = 0;
        event.clear();
    }
}

impl RequestContext {
    /// The context of `request`, inserted if it has none yet.
    #[inline]
    pub fn of<B>(request: &mut Request<B>) -> Self {
        match Self::get(request.extensions()) {
            Some(context) => context.clone(),
            None => Self::begin(request),
        }
    }

    /// Apart, because most layers find one.
    #[inline(never)]
    fn begin<B>(request: &mut Request<B>) -> Self {
        let mut inner = spare::take();
        let head = Arc::get_mut(&mut inner).expect("nobody else has it yet");
        head.protocol = Protocol::of(request);
        head.head = request.method() == Method::HEAD;
        head.http1 = request.version() <= Version::HTTP_11;
        if head.protocol.is_grpc() {
            let previous = request.headers().get("grpc-previous-rpc-attempts");
            let is_retry = previous.is_some_and(|attempts| attempts != "0");
            head.marks = AtomicU8::new(if is_retry { RETRY } else { 0 });
        }
        head.arrived = Clock::system().nanos();
        let context = Self(inner);
        request.extensions_mut().insert(context.clone());
        context
    }

    /// Keeps the memory for a later request, if this is the last that holds on to it.
    #[inline(never)]
    fn end(&mut self) {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.clear();
            spare::keep(&mut self.0);
        }
    }

    /// The context that a layer further out inserted, if one did.
    #[inline]
    pub fn get(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The protocol of the request.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// Whether the answer to the request has no body because its method is HEAD.
    #[inline]
    pub fn is_head(&self) -> bool {
        self.0.head
    }

    /// Whether the caller has attempted this call before, as gRPC's `grpc-previous-rpc-attempts` says or a layer noted.
    /// Calls made for such a request are not to be retried: the attempts of each service would multiply.
    pub fn is_retry(&self) -> bool {
        self.0.marks.load(Relaxed) & RETRY != 0
    }

    /// Notes that the caller has attempted this call before.
    pub fn set_retry(&self) {
        self.0.marks.fetch_or(RETRY, Relaxed);
    }

    /// What a refusal needs to know, with the ids set so far.
    pub fn face(&self) -> Face {
        Face {
            addressed: true,
            protocol: self.0.protocol,
            head: self.0.head,
            http1: self.0.http1,
            request_id: self.request_id().cloned(),
        }
    }

    /// The id of this request.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.0.request_id.get()
    }

    /// Sets the id of this request; false if it was set before.
    pub fn set_request_id(&self, id: RequestId) -> bool {
        self.0.request_id.set(id)
    }

    /// The id of the workflow this request belongs to: the request's own id if none was set.
    pub fn correlation_id(&self) -> Option<&CorrelationId> {
        self.0.correlation_id.get().or_else(|| self.request_id().map(RequestId::as_correlation_id))
    }

    /// Sets the id of the workflow; false if it was set before.
    pub fn set_correlation_id(&self, id: CorrelationId) -> bool {
        self.0.correlation_id.set(id)
    }

    /// This service's place in the distributed trace.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.0.trace.get()
    }

    /// Sets the place in the trace; false if it was set before.
    pub fn set_trace(&self, trace: TraceContext) -> bool {
        self.0.trace.set(trace)
    }

    /// What the caller sent along for all services of its request.
    pub fn baggage(&self) -> Option<&Baggage> {
        self.0.baggage.get()
    }

    /// Sets the baggage; false if it was set before.
    pub fn set_baggage(&self, baggage: Baggage) -> bool {
        self.0.baggage.set(baggage)
    }

    /// The authenticated caller.
    #[inline]
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// Sets the authenticated caller; false if one was set before, who then stays.
    pub fn set_principal(&self, principal: Principal) -> bool {
        self.0.principal.set(principal)
    }

    /// Where the request came from.
    #[inline]
    pub fn client_addr(&self) -> Option<ClientAddr> {
        self.0.client_addr.get().copied()
    }

    /// Sets where the request came from; false if it was set before.
    pub fn set_client_addr(&self, addr: ClientAddr) -> bool {
        self.0.client_addr.set(addr)
    }

    /// The scheme that the caller used, if a trusted proxy told one: `http` or `https`.
    pub fn forwarded_scheme(&self) -> Option<Scheme> {
        match self.0.marks.load(Relaxed) & (HTTP | HTTPS) {
            HTTP => Some(Scheme::HTTP),
            HTTPS => Some(Scheme::HTTPS),
            _ => None,
        }
    }

    /// Sets the scheme that the caller used, as a trusted proxy tells it; false if it was set before, or is neither
    /// `http` nor `https`.
    pub fn set_forwarded_scheme(&self, scheme: &Scheme) -> bool {
        let mark = if *scheme == Scheme::HTTPS { HTTPS } else { HTTP };
        let unset = |marks: u8| (marks & (HTTP | HTTPS) == 0).then_some(marks | mark);
        (*scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            && self.0.marks.fetch_update(Relaxed, Relaxed, unset).is_ok()
    }

    /// The route template or gRPC method, if a layer that could see it noted it.
    #[inline]
    pub fn route(&self) -> Option<&MatchedRoute> {
        let unrouted = || self.0.unrouted.load(Relaxed).then_some(MatchedRoute::none());
        self.named_route().or_else(unrouted)
    }

    /// The name of the route; [`MatchedRoute::OTHER`] without one.
    #[inline]
    pub fn route_name(&self) -> &str {
        self.named_route().map_or(MatchedRoute::OTHER, MatchedRoute::as_str)
    }

    #[inline]
    fn named_route(&self) -> Option<&MatchedRoute> {
        self.0.route.get().or_else(|| self.0.claimed.get())
    }

    /// Sets the route, for a layer that knows the service's paths; false if a router told it, or another layer. It
    /// takes the place of a reading that found none.
    pub fn set_route(&self, route: MatchedRoute) -> bool {
        self.0.route.set(route)
    }

    /// The route of `request`, whose context this is: the first that is found, noted for those who only have the context.
    /// A layer around a router finds none, and those within it do.
    // Most requests have one already, or have none for sure.
    #[inline(always)]
    pub fn route_of<B>(&self, request: &Request<B>) -> &MatchedRoute {
        if let Some(known) = self.0.route.get() {
            return known;
        }
        // Where only the context itself is, nobody left a route.
        if request.extensions().len() <= 1 && !self.0.protocol.is_grpc() {
            return self.unrouted();
        }
        match MatchedRoute::found(self.0.protocol, request) {
            Some(claim) if claim.is_claimed() => self.0.claimed.get_or_set(claim),
            Some(route) => self.0.route.get_or_set(route),
            None => self.unrouted(),
        }
    }

    #[inline]
    fn unrouted(&self) -> &MatchedRoute {
        self.0.unrouted.store(true, Relaxed);
        MatchedRoute::none()
    }

    /// When the request must be done.
    #[inline]
    pub fn deadline(&self) -> Option<Deadline> {
        if self.0.is_bounded.load(Acquire) { self.bound() } else { None }
    }

    #[inline(never)]
    fn bound(&self) -> Option<Deadline> {
        *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the deadline to `deadline` if that is earlier; never later.
    pub fn tighten_deadline(&self, deadline: Deadline) {
        let mut current = self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(current.map_or(deadline, |current| current.min(deadline)));
        self.0.is_bounded.store(true, Release);
    }

    /// The reading that the layers on the way in share: when the first of them saw the request, as
    /// [`Clock::nanos`] says it.
    ///
    /// An injected clock is read each time, so that a test that moves it is obeyed.
    #[inline]
    pub fn arrived(&self, clock: &Clock) -> u64 {
        if clock.is_system() { self.0.arrived } else { clock.nanos() }
    }

    /// The reading that the observers of the end of the response share: taken by the first that asks, so that a
    /// log line and a metric of one request agree. An injected clock is read each time.
    #[inline]
    pub fn finished(&self, clock: &Clock) -> u64 {
        if !clock.is_system() {
            return clock.nanos();
        }
        match self.0.finished.load(Relaxed) {
            0 => {
                let now = clock.nanos();
                self.0.finished.compare_exchange(0, now, Relaxed, Relaxed).map_or_else(|first| first, |_| now)
            }
            first => first,
        }
    }

    /// The wide event of this request.
    #[inline]
    pub fn event(&self) -> &RequestEvent {
        &self.0.event
    }
}

impl Drop for RequestContext {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_unique() {
            self.end();
        }
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the caller nor its address: responses and futures hold contexts, and are shown without a thought.
        f.debug_struct("RequestContext")
            .field("protocol", &self.0.protocol)
            .field("request_id", &self.request_id())
            .field("correlation_id", &self.correlation_id())
            .field("trace", &self.trace())
            .field("route", &self.route())
            .finish_non_exhaustive()
    }
}
