//! What may cross threads, and what may be moved once polled.

use std::{future::Ready, rc::Rc};

use bartizan_core::{
    BodyReport, ClientAddr, Clock, CorrelationId, Deadline, Face, Fact, Fault, HeadSeen, ManualClock,
    MatchedRoute, Normalize, NormalizeFuture, NormalizeLayer, ObservedBody, ObservedFuture, Observer,
    Optional, OptionalBody, OptionalFuture, OptionalLayer, Outcome, Principal, PrincipalBuilder, Problem,
    ProblemError, ProblemFuture, ProblemLayer, ProblemService, ProblemSettingsError, Protocol, Reason,
    Rejection, RejectionToError, RejectionToErrorFuture, RejectionToErrorLayer, RequestContext, RequestEvent,
    RequestId, ResponseBody, ResponseFuture, Scoped, ScopedBody, TraceContext, Violation,
};
use bytes::Bytes;
use http_body_util::Full;

fn all<T: Send + Sync + Unpin + 'static>() {}
fn send<T: Send>() {}

type Body = Full<Bytes>;
type Future = Ready<Result<http::Response<Body>, std::io::Error>>;

struct Watching;
impl Observer for Watching {
    fn on_end(self, _: Outcome) {}
}

#[test]
fn values_are_send_sync_and_unpin() {
    all::<(Reason, Rejection, Violation, Problem, ProblemError, Face, Protocol)>();
    all::<(RequestContext, RequestId, CorrelationId, TraceContext, Principal, PrincipalBuilder)>();
    all::<(ClientAddr, MatchedRoute, Deadline, RequestEvent, Fact, Fault, Clock, ManualClock)>();
    all::<(Outcome, BodyReport, ProblemSettingsError)>();
}

#[test]
fn layers_services_futures_and_bodies_are_what_their_insides_are() {
    all::<(ProblemLayer, NormalizeLayer, RejectionToErrorLayer, OptionalLayer<ProblemLayer>)>();
    all::<(ProblemService<()>, Normalize<()>, RejectionToError<()>, Optional<(), ()>)>();
    all::<(ProblemFuture<Future>, NormalizeFuture<Future>, RejectionToErrorFuture<Future>)>();
    all::<(ResponseFuture<Future>, ObservedFuture<Future, Watching>, OptionalFuture<Future, Future>)>();
    all::<(ResponseBody<Body>, ObservedBody<Body, HeadSeen<Watching>>, OptionalBody<Body, Body>)>();
    all::<(Scoped<Future>, ScopedBody<Body>)>();
    // Boxed bodies that are no `Sync` are common: axum's and tonic's.
    send::<ObservedBody<http_body_util::combinators::UnsyncBoxBody<Bytes, ()>, HeadSeen<Watching>>>();
}

#[test]
fn nothing_asks_more_of_a_service_than_it_must() {
    // A service that never leaves its thread can be wrapped all the same.
    let service = tower_layer::Layer::layer(&NormalizeLayer::new(), Rc::new(()));
    assert!(format!("{service:?}").contains("Normalize"));
}

#[test]
fn a_refusal_is_one_pointer_wide_and_a_context_too() {
    assert_eq!(size_of::<Rejection>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Rejection>>(), size_of::<usize>());
    assert_eq!(size_of::<RequestContext>(), size_of::<usize>());
}
