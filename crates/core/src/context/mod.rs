//! What the layers of one request share.

mod addr;
mod baggage;
mod deadline;
mod id;
mod principal;
mod route;
mod spare;
mod trace;

use std::{
    fmt, mem,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use http::{Extensions, Method, Request, Version};
use triomphe::Arc;

pub use self::{
    addr::ClientAddr,
    baggage::{Baggage, BaggageError, BaggageMember},
    deadline::Deadline,
    id::{CorrelationId, IdError, RequestId},
    principal::{Principal, PrincipalBuilder, PrincipalKind},
    route::MatchedRoute,
    trace::{SpanId, TraceContext, TraceId},
};
use crate::{Clock, Face, Protocol, RequestEvent};

/// What the layers of one request share: ids, trace, caller, address, route, deadline and the wide event.
///
/// It is one `Arc` in the request's extensions, inserted by the first layer that needs it. Each field is set
/// once, by the layer whose business it is, and read by all others; clones see the same fields. A handler takes
/// it from the request's extensions.
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
    retry: AtomicBool,
    request_id: OnceLock<RequestId>,
    correlation_id: OnceLock<CorrelationId>,
    trace: OnceLock<TraceContext>,
    baggage: OnceLock<Baggage>,
    principal: OnceLock<Principal>,
    client_addr: OnceLock<ClientAddr>,
    route: OnceLock<MatchedRoute>,
    /// How many extensions the request had, and one, when a route was looked for and there was none; 0 when none was
    /// looked for. To note that in `route` would cost more than all the looking, and a router further in may tell one.
    unrouted: AtomicUsize,
    deadline: Mutex<Option<Deadline>>,
    /// Whether there is one: a look is enough where there is none.
    is_bounded: AtomicBool,
    /// Read when the context is made: nearly every layer wants it, and then it is there.
    arrived: u64,
    /// 0 until it is read.
    finished: AtomicU64,
    event: RequestEvent,
}

impl Inner {
    /// Drops all that was set: but for what each request sets, it is as good as new.
    fn clear(&mut self) {
        // Named one by one, so that none is forgotten.
        let Self {
            protocol: _,
            head: _,
            http1: _,
            retry,
            request_id,
            correlation_id,
            trace,
            baggage,
            principal,
            client_addr,
            route,
            unrouted,
            deadline,
            is_bounded,
            arrived: _,
            finished,
            event,
        } = self;
        // Where nothing was set, a look is enough: to write a new one over it all takes longer.
        empty(request_id);
        empty(correlation_id);
        empty(trace);
        empty(baggage);
        empty(principal);
        empty(client_addr);
        empty(route);
        *retry.get_mut() = false;
        *unrouted.get_mut() = 0;
        if mem::take(is_bounded.get_mut()) {
            *deadline.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        }
        *finished.get_mut() = 0;
        event.clear();
    }
}

/// Drops what was set, if something was.
#[inline(always)]
fn empty<T>(cell: &mut OnceLock<T>) {
    /// Apart, so that a context in which little was set pays for little.
    #[inline(never)]
    fn renew<T>(cell: &mut OnceLock<T>) {
        *cell = OnceLock::new();
    }
    if cell.get().is_some() {
        renew(cell);
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
            head.retry = previous.is_some_and(|attempts| attempts != "0").into();
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
        self.0.retry.load(Relaxed)
    }

    /// Notes that the caller has attempted this call before.
    pub fn set_retry(&self) {
        self.0.retry.store(true, Relaxed);
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
        self.0.request_id.set(id).is_ok()
    }

    /// The id of the workflow this request belongs to: the request's own id if none was set.
    pub fn correlation_id(&self) -> Option<&CorrelationId> {
        self.0.correlation_id.get().or_else(|| self.request_id().map(RequestId::as_correlation_id))
    }

    /// Sets the id of the workflow; false if it was set before.
    pub fn set_correlation_id(&self, id: CorrelationId) -> bool {
        self.0.correlation_id.set(id).is_ok()
    }

    /// This service's place in the distributed trace.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.0.trace.get()
    }

    /// Sets the place in the trace; false if it was set before.
    pub fn set_trace(&self, trace: TraceContext) -> bool {
        self.0.trace.set(trace).is_ok()
    }

    /// What the caller sent along for all services of its request.
    pub fn baggage(&self) -> Option<&Baggage> {
        self.0.baggage.get()
    }

    /// Sets the baggage; false if it was set before.
    pub fn set_baggage(&self, baggage: Baggage) -> bool {
        self.0.baggage.set(baggage).is_ok()
    }

    /// The authenticated caller.
    #[inline]
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// Sets the authenticated caller; false if one was set before, who then stays.
    pub fn set_principal(&self, principal: Principal) -> bool {
        self.0.principal.set(principal).is_ok()
    }

    /// Where the request came from.
    #[inline]
    pub fn client_addr(&self) -> Option<ClientAddr> {
        self.0.client_addr.get().copied()
    }

    /// Sets where the request came from; false if it was set before.
    pub fn set_client_addr(&self, addr: ClientAddr) -> bool {
        self.0.client_addr.set(addr).is_ok()
    }

    /// The route template or gRPC method, if a layer that could see it noted it.
    #[inline]
    pub fn route(&self) -> Option<&MatchedRoute> {
        let unrouted = || (self.0.unrouted.load(Relaxed) > 0).then_some(MatchedRoute::none());
        self.0.route.get().or_else(unrouted)
    }

    /// The name of the route; [`MatchedRoute::OTHER`] without one.
    #[inline]
    pub fn route_name(&self) -> &str {
        self.0.route.get().map_or(MatchedRoute::OTHER, MatchedRoute::as_str)
    }

    /// Sets the route, for a layer that knows the service's paths; false if a router told it, or another layer. It
    /// takes the place of a reading that found none.
    pub fn set_route(&self, route: MatchedRoute) -> bool {
        self.0.route.set(route).is_ok()
    }

    /// The route of `request`, whose context this is: the first that is found, noted for those who only have the context.
    /// A layer around a router finds none, and those within it do.
    #[inline]
    pub fn route_of<B>(&self, request: &Request<B>) -> &MatchedRoute {
        if let Some(known) = self.0.route.get() {
            return known;
        }
        let extensions = request.extensions().len();
        // Where only the context itself is, nobody left a route; and nobody has since, where nothing was left.
        let is_alone = extensions <= 1 && !self.0.protocol.is_grpc();
        let is_as_before = self.0.unrouted.load(Relaxed) == extensions + 1;
        let look = || MatchedRoute::found(self.0.protocol, request);
        match if is_alone || is_as_before { None } else { look() } {
            Some(route) => self.0.route.get_or_init(|| route),
            None => {
                self.0.unrouted.store(extensions + 1, Relaxed);
                MatchedRoute::none()
            }
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ManualClock;

    #[test]
    fn a_field_is_set_once_and_seen_by_every_clone() {
        let mut request = Request::new(());
        let context = RequestContext::of(&mut request);
        assert!(context.set_principal(Principal::service("first").build()));
        assert!(!context.set_principal(Principal::service("second").build()));
        assert_eq!(RequestContext::of(&mut request).principal().unwrap().subject(), "first");
    }

    #[test]
    fn nothing_of_a_request_is_left_in_the_memory_that_the_next_one_takes_over() {
        let mut request =
            Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
        let context = RequestContext::of(&mut request);
        let memory = Arc::as_ptr(&context.0);
        let (id, owned) = ("i".repeat(64), || RequestId::new("i".repeat(64)).unwrap());
        let template = std::sync::Arc::<str>::from("/secret");
        assert!(context.set_request_id(owned()) && context.set_correlation_id(owned().into()));
        let (trace, span) = (TraceId::new([1; 16]).unwrap(), SpanId::new([2; 8]).unwrap());
        assert!(context.set_trace(TraceContext::new(trace, span, 1)));
        assert!(context.set_baggage(Baggage::new([("key", &id)]).unwrap()));
        assert!(context.set_principal(Principal::service("billing").build()));
        assert!(context.set_client_addr(ClientAddr::new([192, 0, 2, 7].into())));
        assert!(context.set_route(MatchedRoute::template(template.clone())));
        context.0.unrouted.store(2, Relaxed);
        context.set_retry();
        context.tighten_deadline(Deadline::at(Clock::system().now()));
        assert!(context.finished(&Clock::system()) > 0);
        context.event().enable();
        for name in (0..20).map(|index| &*Box::leak(format!("fact_{index}").into_boxed_str())) {
            context.event().record(name, id.clone());
        }
        drop(context);
        assert_eq!(std::sync::Arc::strong_count(&template), 2, "one is left");
        drop(request);
        assert_eq!(std::sync::Arc::strong_count(&template), 1, "dropped with the last, not with the next");

        let next = RequestContext::of(&mut Request::new(()));
        assert_eq!(Arc::as_ptr(&next.0), memory, "taken over");
        assert_eq!((next.request_id(), next.correlation_id(), next.trace()), (None, None, None));
        assert!(next.baggage().is_none() && next.principal().is_none() && next.client_addr().is_none());
        assert!(next.route().is_none() && next.route_name() == "_OTHER" && !next.is_retry());
        assert_eq!((next.deadline(), next.protocol()), (None, Protocol::Http));
        assert_eq!(next.0.finished.load(Relaxed), 0);
        assert!(!next.event().is_enabled() && next.event().read(<[_]>::is_empty));
        assert!(next.set_request_id(owned()), "and all of it can be set again");
    }

    #[test]
    fn log_05_debug_shows_neither_the_caller_nor_its_address() {
        let context = RequestContext::of(&mut Request::new(()));
        let caller = Principal::user("ada@example.com").tenant("acme").roles(["admin"]).credential_id("k-1");
        context.set_principal(caller.build());
        context.set_client_addr(ClientAddr::new([192, 0, 2, 7].into()));
        context.set_request_id(RequestId::new("r-1").unwrap());
        let shown = format!("{context:?}");
        assert!(shown.contains("r-1"), "{shown}");
        for private in ["ada", "acme", "admin", "k-1", "192.0.2.7"] {
            assert!(!shown.contains(private), "{private} in {shown}");
        }
    }

    #[test]
    fn a_context_that_is_kept_is_small() {
        let facts = 8 * size_of::<(&'static str, crate::Fact)>();
        assert!(size_of::<Inner>() + facts <= 1024, "{} and {facts}", size_of::<Inner>());
    }

    #[test]
    fn a_thread_keeps_no_more_than_a_few_contexts_and_each_for_one_request() {
        let contexts = || (0..40).map(|_| RequestContext::of(&mut Request::new(()))).collect::<Vec<_>>();
        let pointers = |contexts: &[RequestContext]| {
            contexts.iter().map(|context| Arc::as_ptr(&context.0)).collect::<std::collections::HashSet<_>>()
        };
        for _ in 0..3 {
            let held = contexts();
            assert_eq!(pointers(&held).len(), 40);
            drop(held);
            assert_eq!(spare::count(), 16);
        }
        // One that another thread drops is kept there, and goes with that thread.
        let last = contexts();
        assert_eq!(spare::count(), 0);
        std::thread::spawn(move || {
            drop(last);
            assert_eq!(spare::count(), 16);
        })
        .join()
        .unwrap();
        assert_eq!(spare::count(), 0);
    }

    #[test]
    fn cid_01_a_request_without_a_correlation_id_is_its_own_workflow() {
        let context = RequestContext::of(&mut Request::new(()));
        assert_eq!(context.correlation_id(), None);
        context.set_request_id(RequestId::new("r-1").unwrap());
        assert_eq!(context.correlation_id().unwrap().as_str(), "r-1");
        assert!(context.set_correlation_id(CorrelationId::new("w-1").unwrap()));
        assert_eq!(context.correlation_id().unwrap().as_str(), "w-1");
        assert_eq!(context.request_id().unwrap().as_str(), "r-1");
    }

    #[test]
    fn rt_12_a_call_that_was_attempted_before_is_known_as_a_retry() {
        let context = |content_type: &str, attempts: Option<&str>| {
            let mut request = Request::post("/a.B/C").header("content-type", content_type);
            if let Some(attempts) = attempts {
                request = request.header("grpc-previous-rpc-attempts", attempts);
            }
            RequestContext::of(&mut request.body(()).unwrap())
        };
        for (content_type, attempts, expected) in [
            ("application/grpc", None, false),
            ("application/grpc", Some("0"), false),
            ("application/grpc", Some("1"), true),
            ("application/json", Some("1"), false),
        ] {
            assert_eq!(context(content_type, attempts).is_retry(), expected, "{content_type} {attempts:?}");
        }
        let noted = context("application/json", None);
        noted.set_retry();
        assert!(noted.is_retry());
    }

    #[test]
    fn the_deadline_only_gets_earlier() {
        let context = RequestContext::of(&mut Request::new(()));
        let now = Clock::system().now();
        let at = |secs| Deadline::at(now + Duration::from_secs(secs));
        for (set, expected) in [(5, 5), (9, 5), (2, 2)] {
            context.tighten_deadline(at(set));
            assert_eq!(context.deadline(), Some(at(expected)));
        }
    }

    #[test]
    fn lay_07_an_injected_clock_is_never_cached() {
        let context = RequestContext::of(&mut Request::new(()));
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        let first = context.arrived(&clock);
        manual.advance(Duration::from_secs(1));
        assert_eq!(context.arrived(&clock) - first, 1_000_000_000);
        let system = Clock::system();
        assert_eq!(context.arrived(&system), context.arrived(&system), "one reading for all layers");
        assert_eq!(context.finished(&system), context.finished(&system), "and one for all observers");
    }
}
