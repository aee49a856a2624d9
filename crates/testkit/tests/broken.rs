//! The suite can fail: it finds what is wrong with broken layers, and its message names the rule.

mod sick;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use axum::{body::Body, routing::Route};
use bartizan_core::Reason;
use bartizan_testkit::{Contract, Inner, contract};
use http::{HeaderValue, Request, Response};
use sick::{SickLayer, Sickness};
use tonic::service::Routes;
use tower_layer::Layer;
use tower_service::Service;

fn refusable(request: &mut Request<()>) {
    request.headers_mut().insert("refuse", HeaderValue::from_static("yes"));
}

/// The contract of a sound layer, for one that is sick.
fn patient(sickness: Sickness) -> Contract<SickLayer> {
    contract(move || SickLayer::new(sickness))
        .refuse(Reason::PermissionDenied, refusable)
        .refuse_after(2, Reason::RateLimited, move || SickLayer::new(sickness).with_limit(2))
        .held(SickLayer::held)
}

/// What the suite says of `contract`; nothing when it passes.
fn diagnosis(contract: Contract<SickLayer>) -> Option<String> {
    message(|| contract.check_client())
}

fn message(check: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(check)).err()?;
    Some(*panic.downcast::<String>().expect("the suite panics with a message"))
}

/// The suite says of a layer with this sickness that the rule is broken, and says it in these words.
fn finds(sickness: Sickness, rule: &str, words: &str) {
    let said = diagnosis(patient(sickness));
    let said = said.unwrap_or_else(|| panic!("{sickness:?} is not found"));
    assert!(said.starts_with(&format!("{rule}: ")), "{sickness:?} breaks {rule}, not: {said}");
    assert!(said.contains(words), "{sickness:?}: {words:?} is not in: {said}");
}

#[test]
fn the_patient_is_otherwise_healthy() {
    assert_eq!(diagnosis(patient(Sickness::None)), None);
}

#[test]
fn lay_03_a_fresh_clone_is_called() {
    finds(Sickness::CallsAFreshClone, "LAY-03", "not polled ready");
}

#[test]
fn lay_03_backpressure_does_not_pass() {
    finds(Sickness::SaysReadyAtOnce, "LAY-03", "backpressure does not pass");
    finds(Sickness::HidesAFailedReadiness, "LAY-03", "when the inner service's fails");
}

#[test]
fn lay_03_no_waker_is_registered() {
    finds(Sickness::ForgetsTheWaker, "LAY-03", "nothing is woken");
}

#[test]
fn lay_03_a_layer_wakes_itself() {
    finds(Sickness::WakesItselfInReadiness, "LAY-03", "wakes itself in a loop");
    finds(Sickness::WakesItselfInTheFuture, "LAY-03", "wakes itself in a loop");
}

#[test]
fn errors_do_not_pass() {
    finds(Sickness::AnswersErrors, "errors", "the inner service fails");
    finds(Sickness::RenamesErrors, "errors", "renamed");
}

#[test]
fn lay_04_bodies_are_buffered() {
    finds(Sickness::BuffersResponses, "LAY-04", "keeps the response back");
    finds(Sickness::BuffersRequests, "LAY-04", "polls the body before the inner service does");
    finds(Sickness::ReadsAhead, "LAY-04", "reads ahead");
}

#[test]
fn a_layer_whose_purpose_is_the_request_body_may_buffer_it() {
    assert_eq!(diagnosis(patient(Sickness::BuffersRequests).reads_request_bodies()), None);
}

#[test]
fn lay_04_size_hints_are_lost() {
    finds(Sickness::HidesTheSize, "LAY-04", "announces");
}

#[test]
fn lay_04_an_upgrade_does_not_survive() {
    finds(Sickness::LosesUpgrades, "LAY-04", "101 Switching Protocols");
}

#[test]
fn grpc_12_trailers_are_lost() {
    finds(Sickness::DropsTrailers, "GRPC-12", "the trailers are lost");
}

#[test]
fn foreign_extensions_are_lost() {
    finds(Sickness::DropsRequestExtensions, "extensions", "extension of the request");
    finds(Sickness::DropsResponseExtensions, "extensions", "extension of the response");
    finds(Sickness::DropsResponseHeaders, "extensions", "header of the response");
    finds(Sickness::ChangesTheStatus, "extensions", "answers 202");
}

#[test]
fn lay_01_something_is_kept() {
    finds(Sickness::LeaksTheBody, "LAY-01", "still holds 1");
    finds(Sickness::LeaksWhileItWaits, "LAY-01", "dropped after poll 1");
    finds(Sickness::ForgetsTheFuture, "LAY-01", "still kept");
}

#[test]
fn lay_01_a_count_that_shows_nothing_proves_nothing() {
    finds(Sickness::HoldsNothing, "LAY-01", "`held` shows nothing");
}

#[test]
fn lay_02_a_request_ends_with_its_response_head() {
    finds(Sickness::CountsDownWithTheResponse, "LAY-02", "holds nothing any more");
}

#[test]
fn state_is_made_in_layer() {
    let sick = || SickLayer::new(Sickness::StatePerLayerCall);
    let limited = move || sick().with_limit(2);
    let said = diagnosis(contract(sick).refuse_after(2, Reason::RateLimited, limited));
    let said = said.expect("found");
    assert!(said.starts_with("shared state: after 2 accepted requests one service refuses"), "{said}");
    assert!(said.contains("another service that the same layer value made"), "{said}");
}

#[test]
fn state_is_made_in_clone() {
    finds(Sickness::StatePerClone, "shared state", "a clone of that service");
    // What is held shows it too, where no refusal does.
    let said = diagnosis(contract(|| SickLayer::new(Sickness::StatePerClone)).held(SickLayer::held));
    assert!(said.is_some_and(|said| said.starts_with("shared state: a clone of that service has a request")));
}

#[test]
fn state_that_no_refusal_shows_is_not_shared() {
    let contract = contract(|| SickLayer::new(Sickness::StatePerLayerCall).with_limit(64)).shared_state(
        async |first, second| {
            for _ in 0..64 {
                first.accepted().await;
            }
            assert_eq!(second.accepted().await.status(), 429, "the limit is shared");
        },
    );
    let said = diagnosis(contract).expect("found");
    assert!(said.contains("the limit is shared"), "{said}");
}

#[test]
fn err_11_the_body_is_polled_before_the_refusal() {
    finds(Sickness::PollsTheBodyFirst, "ERR-11", "waits for the request body");
}

#[test]
fn err_11_a_client_that_waits_for_100_continue_is_asked_for_the_body() {
    finds(Sickness::PollsExpectedBodies, "ERR-11", "asked for the body of a request that is refused");
}

#[test]
fn a_refusal_is_not_what_it_should_be() {
    finds(Sickness::CallsTheInnerServiceToo, "refusal", "the inner service was called all the same");
    finds(Sickness::RefusesWithAnotherReason, "refusal", "refused with Overloaded");
    finds(Sickness::KeepsTheRefusalOut, "refusal", "carries no `Rejection`");
    finds(Sickness::ForgetsToSayWhen, "refusal", "a 429 without `Retry-After`");
}

#[test]
fn err_01_err_02_err_09_a_problem_has_the_wrong_head() {
    finds(Sickness::RefusesWithPlainText, "ERR-01", "content-type");
    finds(Sickness::RefusesWithAnotherStatus, "ERR-02", "400");
    finds(Sickness::RefusesWithoutNoStore, "ERR-09", "cache-control");
}

#[test]
fn err_10_the_answer_to_head_is_wrong() {
    finds(Sickness::RefusesHeadWithABody, "ERR-10", "has a body");
    finds(Sickness::SaysThatHeadIsEmpty, "ERR-10", "content-length is");
}

#[test]
fn grpc_02_a_call_is_not_refused_with_a_status() {
    finds(Sickness::RefusesGrpcWithHttp, "GRPC-02", "a gRPC call is refused with HTTP 403");
    finds(Sickness::RefusesGrpcWithABody, "GRPC-02", "has a body");
    finds(Sickness::RefusesGrpcWithAnOpenBody, "GRPC-02", "does not know that it has ended");
}

#[test]
fn grpc_05_grpc_07_grpc_14_a_status_has_the_wrong_metadata() {
    finds(Sickness::PadsTheDetails, "GRPC-05", "padded");
    finds(Sickness::TellsAnotherCodeInTheDetails, "GRPC-05", "say Some(5)");
    finds(Sickness::SendsManyHeaders, "GRPC-07", "bytes");
    finds(Sickness::ForgetsTheGrpcWebType, "GRPC-14", "content-type");
}

#[test]
fn aut_01_a_401_has_no_challenge() {
    let contract = contract(|| SickLayer::new(Sickness::None).with_reason(Reason::Unauthenticated))
        .refuse(Reason::Unauthenticated, refusable);
    let said = diagnosis(contract).expect("found");
    assert!(said.starts_with("AUT-01: "), "{said}");
}

#[test]
fn a_wrong_contract_is_told_from_a_broken_layer() {
    let accepts_what_is_refused = contract(|| SickLayer::new(Sickness::None))
        .accept(refusable)
        .refuse(Reason::PermissionDenied, refusable);
    let said = diagnosis(accepts_what_is_refused).expect("found");
    assert!(said.starts_with("contract set-up: "), "{said}");
    assert!(said.contains("permission_denied"), "it says why the request was refused: {said}");

    let refuses_nothing =
        contract(|| SickLayer::new(Sickness::None)).refuse(Reason::PermissionDenied, |_| {});
    let said = diagnosis(refuses_nothing).expect("found");
    assert!(said.starts_with("refusal: "), "{said}");
}

#[test]
fn a_layer_fails_on_an_axum_router_alone() {
    let said = message(|| contract(|| Mute { axum: true }).check()).expect("found");
    assert!(said.starts_with("contract set-up: on an axum router a request"), "{said}");
}

#[test]
fn a_layer_fails_on_a_tonic_server_alone() {
    let said = message(|| contract(|| Mute { axum: false }).check()).expect("found");
    assert!(said.starts_with("contract set-up: on a tonic server a call"), "{said}");
}

/// Does nothing, and on one of the frameworks lets nothing through.
#[derive(Clone, Copy)]
struct Mute {
    axum: bool,
}

impl Layer<Inner> for Mute {
    type Service = Inner;

    fn layer(&self, inner: Inner) -> Inner {
        inner
    }
}

impl Layer<Route> for Mute {
    type Service = tower::util::Either<Teapot, Route>;

    fn layer(&self, inner: Route) -> Self::Service {
        if self.axum { tower::util::Either::Left(Teapot) } else { tower::util::Either::Right(inner) }
    }
}

impl Layer<Routes> for Mute {
    type Service = Teapot;

    fn layer(&self, _: Routes) -> Teapot {
        Teapot
    }
}

#[derive(Clone, Copy)]
struct Teapot;

impl<B> Service<Request<B>> for Teapot {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        ready(Ok(response))
    }
}
