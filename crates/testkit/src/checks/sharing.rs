//! State belongs to the layer value: its clones, all services it makes and their clones share it.

use bartizan_core::Rejection;
use http::Response;
use tower_service::Service;

use crate::{
    Handle, Inner, Probe, Script, TestBody, TestService,
    drive::{exchange, reached, ready, summary},
    handle::ok,
    prepare::Kind,
    rule::{ensure, fail},
    suite::{Refusal, Subject, Suite},
};

pub(crate) async fn sharing(suite: &Suite) {
    for refusal in suite.refusals.iter().filter(|refusal| refusal.after > 0) {
        refusals_are_shared(refusal).await;
    }
    held_is_shared(suite).await;
    if let Some(show) = &suite.shared_state {
        let handle = Handle::of(&(suite.make)(), &suite.accept);
        show(handle.clone(), handle).await;
        let subject = (suite.make)();
        show(Handle::of(&subject, &suite.accept), Handle::of(&subject, &suite.accept)).await;
    }
}

/// How a second service comes by the state of the first.
type Second = fn(&Subject, &TestService, Inner) -> TestService;

const SECONDS: [(&str, Second); 3] = [
    ("a clone of that service", |_, first, _| first.clone()),
    ("another service that the same layer value made", |subject, _, inner| subject.service(inner)),
    ("a service that a clone of the layer value made", |subject, _, inner| subject.service_of_clone(inner)),
];

/// What one service used up is used up for the others, which were there before.
async fn refusals_are_shared(refusal: &Refusal) {
    for (which, second) in SECONDS {
        let subject = (refusal.make)();
        let script = ok();
        let probe = Probe::new();
        let mut first = subject.service(script.service());
        let mut second = second(&subject, &first, script.service());
        warm_up(&probe, refusal, &mut first).await;
        let response = exchange(&probe, &mut second, request(refusal)).await;
        if is_refused(&response, refusal) {
            continue;
        }
        let same = exchange(&probe, &mut first, request(refusal)).await;
        ensure!(
            is_refused(&same, refusal),
            Refusal,
            "after {} accepted requests the next should be refused with {:?}, and has {}",
            refusal.after,
            refusal.reason,
            summary(&same)
        );
        fail!(
            SharedState,
            "after {} accepted requests one service refuses, and {which} does not: it answers with {}",
            refusal.after,
            summary(&response)
        );
    }
}

fn request(refusal: &Refusal) -> http::Request<TestBody> {
    refusal.prepare.apply(Kind::Get.head().map(|()| TestBody::empty()))
}

fn is_refused(response: &Response<TestBody>, refusal: &Refusal) -> bool {
    response.extensions().get::<Rejection>().is_some_and(|rejection| rejection.reason() == refusal.reason)
}

/// Sends the requests that are accepted before one is refused. `service` answers by itself.
pub(crate) async fn warm_up(probe: &Probe, refusal: &Refusal, service: &mut TestService) {
    for number in 1..=refusal.after {
        let response = exchange(probe, service, request(refusal)).await;
        if response.extensions().get::<Rejection>().is_some() {
            fail!(
                Setup,
                "request {number} of the {} that should be accepted first has {}",
                refusal.after,
                summary(&response)
            )
        }
    }
}

/// What any service of a layer value holds, the layer value knows.
async fn held_is_shared(suite: &Suite) {
    for (which, second) in SECONDS {
        let subject = (suite.make)();
        if subject.held().is_none() {
            return;
        }
        let script = Script::ready();
        let first = subject.service(script.service());
        let mut service = second(&subject, &first, script.service());
        let probe = Probe::new();
        ready(&probe, &mut service).await;
        let mut future = service.call(suite.request(Kind::Get, TestBody::empty()));
        let _call = reached(&probe, &script, &mut future).await;
        ensure!(
            subject.held().is_some_and(|held| held > 0),
            SharedState,
            "{which} has a request on its way, and the layer value says that it holds nothing"
        );
    }
}
