//! LAY-03: the instance that was polled ready is the one that is called, and readiness is the inner service's.

use std::task::Poll;

use http::Response;
use tower_service::Service;

use crate::{
    Probe, Script, TestBody, TestError,
    drive::{answer, only_ready_instances, reached, ready},
    prepare::Kind,
    rule::{ensure, fail},
    suite::Suite,
};

pub(crate) async fn readiness(suite: &Suite) {
    backpressure_passes(suite).await;
    a_failure_passes(suite).await;
    each_instance_is_polled_before_it_is_called(suite).await;
}

/// `Pending` inside is `Pending` outside, with a waker that is woken, and no waker that wakes itself.
async fn backpressure_passes(suite: &Suite) {
    let script = Script::unready();
    let subject = (suite.make)();
    let mut service = subject.service(script.service());
    let probe = Probe::new();

    let Ok(polled) = probe.settle(|cx| service.poll_ready(cx)).await else {
        fail!(Readiness, "`poll_ready` wakes itself in a loop while the inner service is not ready")
    };
    ensure!(
        polled.is_pending(),
        Readiness,
        "`poll_ready` is {polled:?} while the inner service is not ready: backpressure does not pass"
    );
    ensure!(
        script.called() == 0,
        Readiness,
        "the inner service is called by `poll_ready`, before there is a request"
    );
    script.allow(1);
    Probe::run_others().await;
    ensure!(
        probe.wakes() > 0,
        Readiness,
        "`poll_ready` was `Pending`, and nothing is woken when the inner service becomes ready"
    );
    ready(&probe, &mut service).await;

    let mut future = service.call(suite.request(Kind::Get, TestBody::empty()));
    let call = reached(&probe, &script, &mut future).await;
    only_ready_instances(&script);
    call.reply.send(Ok(Response::new(TestBody::empty())));
    Probe::run_others().await;
    ensure!(
        probe.wakes() > 0,
        Readiness,
        "the response future was `Pending`, and nothing is woken when the inner service answers"
    );
    answer(&probe, &mut future).await;
}

/// An inner service that fails instead of becoming ready fails outside too, with its own error.
async fn a_failure_passes(suite: &Suite) {
    let script = Script::unready();
    let mut service = (suite.make)().service(script.service());
    let probe = Probe::new();
    let error = TestError::new("the inner service cannot become ready");
    script.fail_readiness(error.clone());
    let polled = probe.settle(|cx| service.poll_ready(cx)).await;
    ensure!(
        polled == Ok(Poll::Ready(Err(error))),
        Readiness,
        "`poll_ready` is {polled:?} when the inner service's fails"
    );
}

/// A service that is used again and again, and clones of it, never call an instance that is not ready.
async fn each_instance_is_polled_before_it_is_called(suite: &Suite) {
    let script = Script::ready();
    let subject = (suite.make)();
    let mut service = subject.service(script.service());
    let probe = Probe::new();
    for _ in 0..3 {
        // A clone of a service that is ready starts anew: it must not take readiness from its original.
        ready(&probe, &mut service).await;
        let mut clone = service.clone();
        ready(&probe, &mut clone).await;
        for service in [&mut clone, &mut service] {
            let mut future = service.call(suite.request(Kind::Get, TestBody::empty()));
            let call = reached(&probe, &script, &mut future).await;
            call.reply.send(Ok(Response::new(TestBody::empty())));
            answer(&probe, &mut future).await;
            only_ready_instances(&script);
        }
    }
}
