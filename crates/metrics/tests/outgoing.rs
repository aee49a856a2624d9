//! What is measured of outgoing requests and calls.

mod support;

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::AssertUnwindSafe,
    time::Duration,
};

use bartizan_core::{Clock, ManualClock, Reason, Rejection, ResponseBody};
use bartizan_metrics::{ClientMetricsLayer, HTTP_CLIENT_REQUEST_DURATION, RPC_CLIENT_CALL_DURATION};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use support::{Frames, Last, Recorded, call, get, grpc, grpc_answer, poll, request, values};
use tower::{Layer, service_fn};

fn layer(recorded: &Recorded) -> ClientMetricsLayer {
    ClientMetricsLayer::new("supplier").unwrap().with_recorder(recorded.recorder.clone())
}

/// The answer whose status is the request's path.
fn upstream(request: &Request<()>) -> Response<Empty<Bytes>> {
    let status = StatusCode::from_bytes(&request.uri().path().as_bytes()[1..]).unwrap();
    Response::builder().status(status).body(Empty::new()).unwrap()
}

#[test]
fn obs_07_an_attempt_is_measured_by_name_method_and_status() {
    let (recorded, manual) = (Recorded::new(), ManualClock::new());
    let layer = layer(&recorded).with_clock(Clock::from(manual.clone()));
    let mut client = layer.layer(service_fn(|request: Request<()>| {
        manual.advance(Duration::from_millis(250));
        ready(Ok::<_, Infallible>(upstream(&request)))
    }));
    request(&mut client, get("/200"));
    request(&mut client, get("/200"));
    request(&mut client, Request::builder().method("PURGE").uri("/204").body(()).unwrap());
    let series = recorded.series(HTTP_CLIENT_REQUEST_DURATION);
    let measured: Vec<_> = series.iter().map(|(labels, value)| (&**labels, values(value))).collect();
    assert_eq!(
        measured,
        [
            ("name=supplier,http_request_method=GET,http_response_status_code=200", vec![0.25, 0.25]),
            ("name=supplier,http_request_method=_OTHER,http_response_status_code=204", vec![0.25]),
        ]
    );
}

#[test]
fn obs_03_to_a_client_4xx_is_an_error_and_a_caller_that_gave_up_is_none() {
    let recorded = Recorded::new();
    let mut client =
        layer(&recorded).layer(service_fn(|request| ready(Ok::<_, Infallible>(upstream(&request)))));
    request(&mut client, get("/404"));
    request(&mut client, get("/503"));
    let mut silent =
        layer(&recorded).layer(service_fn(|_| pending::<Result<Response<Frames>, Infallible>>()));
    let mut waiting = Box::pin(call(&mut silent, get("/200")));
    assert!(poll(&mut waiting).is_pending());
    drop(waiting);
    assert_eq!(
        recorded.labels(HTTP_CLIENT_REQUEST_DURATION),
        [
            "name=supplier,http_request_method=GET",
            "name=supplier,http_request_method=GET,http_response_status_code=404,error_type=404",
            "name=supplier,http_request_method=GET,http_response_status_code=503,error_type=503",
        ]
    );
}

#[test]
fn grpc_08_a_call_that_a_proxy_answered_has_the_code_of_its_status() {
    let recorded = Recorded::new();
    let mut client = layer(&recorded).of_calls().layer(service_fn(|_: Request<()>| {
        let html = Response::builder().status(429).header("content-type", "text/html");
        ready(Ok::<_, Infallible>(html.body(Empty::<Bytes>::new()).unwrap()))
    }));
    request(&mut client, grpc("/shop.Orders/Get"));
    assert_eq!(
        recorded.labels(RPC_CLIENT_CALL_DURATION),
        ["name=supplier,rpc_method=shop.Orders/Get,rpc_status_code=UNAVAILABLE,error_type=UNAVAILABLE"]
    );
}

#[test]
fn what_is_not_an_answer_of_the_upstream_has_no_status() {
    let recorded = Recorded::new();
    let mut timeout = layer(&recorded).layer(service_fn(|request: Request<()>| {
        let response: Response<ResponseBody<Empty<Bytes>>> =
            Rejection::new(Reason::DeadlineExceeded).answer(&request);
        ready(Ok::<_, Infallible>(response))
    }));
    request(&mut timeout, get("/"));
    let mut dead = layer(&recorded)
        .layer(service_fn(|_: Request<()>| ready(Err::<Response<Frames>, _>("no connection"))));
    assert!(poll(&mut call(&mut dead, get("/"))).is_ready());
    let mut cut = layer(&recorded).layer(service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Frames::new(&["half"], None, Last::Error))))
    }));
    request(&mut cut, get("/"));
    let mut broken = layer(&recorded).layer(service_fn(|_: Request<()>| {
        if true {
            panic!("on purpose");
        }
        ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    }));
    std::panic::catch_unwind(AssertUnwindSafe(|| drop(call(&mut broken, get("/"))))).unwrap_err();
    assert_eq!(
        recorded.labels(HTTP_CLIENT_REQUEST_DURATION),
        [
            "name=supplier,http_request_method=GET,error_type=deadline_exceeded",
            "name=supplier,http_request_method=GET,error_type=panic",
            "name=supplier,http_request_method=GET,error_type=service_error",
            "name=supplier,http_request_method=GET,http_response_status_code=200,error_type=body_error",
        ]
    );
}

#[test]
fn obs_05_a_call_is_measured_outside_of_the_retries_and_a_request_inside() {
    let recorded = Recorded::new();
    let attempts = layer(&recorded);
    let calls = attempts.of_calls();
    let answer = |request: Request<()>| {
        let status = if request.uri().query().is_some() { "14" } else { "0" };
        ready(Ok::<_, Infallible>(grpc_answer(&["message"], status)))
    };
    let mut client = calls.layer(attempts.layer(service_fn(answer)));
    request(&mut client, grpc("/shop.Stock/Get"));
    request(&mut client, grpc("/shop.Stock/Get?fail"));
    request(&mut client, get("/"));
    let series = recorded.series(RPC_CLIENT_CALL_DURATION);
    let counts: Vec<_> = series.iter().map(|(labels, value)| (&**labels, values(value).len())).collect();
    assert_eq!(
        counts,
        [
            ("name=supplier,rpc_method=shop.Stock/Get,rpc_status_code=OK", 1),
            ("name=supplier,rpc_method=shop.Stock/Get,rpc_status_code=UNAVAILABLE,error_type=UNAVAILABLE", 1),
        ]
    );
}

#[test]
fn obs_09_outgoing_paths_and_methods_make_a_constant_number_of_series() {
    let recorded = Recorded::new();
    let attempts = layer(&recorded);
    let mut client = attempts
        .of_calls()
        .layer(attempts.layer(service_fn(|_| ready(Ok::<_, Infallible>(grpc_answer(&[], "0"))))));
    for n in 0..10_000 {
        request(&mut client, grpc(&format!("/shop.Stock/M{n}")));
        request(
            &mut client,
            Request::builder().method(&*format!("M{n}")).uri(format!("/{n}")).body(()).unwrap(),
        );
    }
    let count = recorded.count();
    assert!(count <= 4096 + 2, "{count}");
}

#[test]
fn lay_06_a_name_that_cannot_be_a_label_is_refused() {
    for name in ["", "a b", "ä", "a\n", &"x".repeat(65)] {
        let error = ClientMetricsLayer::new(name.to_owned()).unwrap_err();
        assert_eq!(error.field(), "name");
        assert!(error.to_string().contains("`name`"), "{error}");
    }
    assert!(ClientMetricsLayer::new("supplier-2.eu").is_ok());
}
