//! The suite accepts layers that keep the contract, and its own parts do what they say.

mod gate;

use bartizan_core::{Reason, RequestContext};
use bartizan_testkit::{Held, Probe, Script, TestBody, contract};
use gate::GateLayer;
use http::{HeaderValue, Request};
use tower_layer::Identity;
use tower_service::Service;

fn ticket(request: &mut Request<()>) {
    request.headers_mut().insert("ticket", HeaderValue::from_static("yes"));
}

#[test]
fn a_layer_that_does_nothing_passes() {
    contract(Identity::new).check();
}

#[test]
fn a_layer_with_refusals_state_and_something_held_passes() {
    contract(|| GateLayer::new(100))
        .accept(ticket)
        .refuse(Reason::PermissionDenied, |_| {})
        .refuse_after(3, Reason::RateLimited, || GateLayer::new(3))
        .holds()
        .shared_state(async |first, second| {
            assert_eq!(first.accepted().await.headers()["left"], "99");
            assert_eq!(second.accepted().await.headers()["left"], "98");
        })
        .check();
}

#[test]
fn a_layer_of_outgoing_requests_passes() {
    contract(|| GateLayer::new(100)).accept(ticket).held(GateLayer::held).check_client();
}

#[tokio::test(start_paused = true)]
async fn it_can_be_called_from_an_async_test_with_paused_time() {
    contract(Identity::new).check();
}

#[test]
fn extensions_that_accept_inserts_reach_the_layer_everywhere() {
    contract(GateLayer::for_known_callers)
        .accept(|request| {
            let principal = bartizan_core::Principal::service("billing").build();
            RequestContext::of(request).set_principal(principal);
        })
        .refuse(Reason::PermissionDenied, |_| {})
        .check();
}

#[test]
fn a_script_gives_readiness_to_one_instance_per_permit() {
    let script = Script::unready();
    let (mut first, mut second) = (script.service(), script.service());
    let probe = Probe::new();
    let ready = |service: &mut bartizan_testkit::Inner| {
        probe.poll(|cx| Service::<Request<TestBody>>::poll_ready(service, cx)).is_ready()
    };
    assert!(!ready(&mut first));
    script.allow(1);
    assert!(ready(&mut first), "it has the permit");
    assert!(ready(&mut first), "and keeps it until it is called");
    assert!(!ready(&mut second));
    assert!(!ready(&mut first.clone()), "a clone starts anew");
    drop(first.call(Request::new(TestBody::empty())));
    assert_eq!((script.called(), script.unready_calls()), (1, 0));
    drop(first.call(Request::new(TestBody::empty())));
    assert_eq!((script.called(), script.unready_calls()), (2, 1));
}

#[test]
fn a_probe_counts_wakes_since_the_last_poll() {
    let probe = Probe::new();
    let (sender, mut body) = TestBody::channel();
    let mut poll =
        || probe.poll(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx)).is_ready();
    assert!(!poll());
    assert_eq!(probe.wakes(), 0);
    sender.data("one");
    assert_eq!(probe.wakes(), 1);
    assert!(poll());
    assert_eq!(probe.wakes(), 0);
    assert_eq!((sender.taken(), sender.polls()), (1, 2));
}
