//! Contexts, and the memory they take over.

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
    let mut request = Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
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
    context.0.unrouted.store(true, Relaxed);
    context.set_retry();
    assert!(context.set_forwarded_scheme(&Scheme::HTTPS));
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
    assert_eq!(next.forwarded_scheme(), None);
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
fn cli_05_the_scheme_of_the_caller_is_set_once_and_is_one_of_two() {
    let context = RequestContext::of(&mut Request::new(()));
    assert!(!context.set_forwarded_scheme(&"ftp".parse().unwrap()));
    assert_eq!(context.forwarded_scheme(), None);
    assert!(context.set_forwarded_scheme(&Scheme::HTTP) && !context.set_forwarded_scheme(&Scheme::HTTPS));
    assert_eq!(context.forwarded_scheme(), Some(Scheme::HTTP));
    assert!(!context.is_retry());
    context.set_retry();
    assert_eq!((context.is_retry(), context.forwarded_scheme()), (true, Some(Scheme::HTTP)));
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
