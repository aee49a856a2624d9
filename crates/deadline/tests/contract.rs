//! What every layer keeps.

use std::time::Duration;

use bartizan_core::{Clock, Deadline, Reason};
use bartizan_deadline::{OutboundTimeoutLayer, RequestBodyTimeoutLayer, TimeoutLayer, Timeouts};
use http::{HeaderValue, Request};

const LONG: Duration = Duration::from_secs(3_600);

fn without_time(request: &mut Request<()>) {
    let headers = request.headers_mut();
    headers.insert("grpc-timeout", HeaderValue::from_static("0n"));
    headers.insert("x-request-deadline", HeaderValue::from_static("0"));
}

#[test]
fn lay_01_lay_02_lay_03_a_deadline_keeps_the_contract() {
    bartizan_testkit::contract(|| TimeoutLayer::new(LONG).unwrap())
        .refuse(Reason::DeadlineExceeded, without_time)
        .check();
}

#[test]
fn limits_for_the_parts_of_a_request_keep_the_contract() {
    let timeouts = || Timeouts::new(LONG).unwrap().with_head(LONG).unwrap().with_idle(LONG).unwrap();
    bartizan_testkit::contract(move || TimeoutLayer::with_timeouts(timeouts()))
        .accept(|request| {
            let headers = request.headers_mut();
            headers.insert("grpc-timeout", HeaderValue::from_static("99999999H"));
            headers.insert("x-request-deadline", HeaderValue::from_static("9999999999"));
        })
        .refuse(Reason::DeadlineExceeded, without_time)
        .check();
}

#[test]
fn lay_01_lay_02_lay_03_the_pace_of_request_bodies_keeps_the_contract() {
    bartizan_testkit::contract(|| RequestBodyTimeoutLayer::new().with_grpc()).check();
}

#[test]
fn lay_01_lay_02_lay_03_deadlines_of_calls_keep_the_contract() {
    let past = |request: &mut Request<()>| {
        request.extensions_mut().insert(Deadline::at(Clock::system().now()));
    };
    bartizan_testkit::contract(|| OutboundTimeoutLayer::total(LONG).unwrap().with_idle(LONG).unwrap())
        .refuse(Reason::DeadlineExceeded, past)
        .check_client();
    bartizan_testkit::contract(|| OutboundTimeoutLayer::per_attempt(LONG).unwrap())
        .refuse(Reason::DeadlineExceeded, past)
        .check_client();
}
