//! What is measured of HTTP requests.

mod support;

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::AssertUnwindSafe,
    time::Duration,
};

use bartizan_core::{
    Clock, ManualClock, MatchedRoute, NormalizeLayer, Reason, Rejection, RequestContext, ResponseBody,
};
use bartizan_metrics::{DURATION_BUCKETS, HTTP_SERVER_REQUEST_DURATION, MetricsLayer, REJECTIONS};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::debugging::DebugValue;
use support::{Frames, Last, Recorded, call, get, poll, request, values};
use tower::{Layer, service_fn};

/// The answer whose status is the request's path.
fn status(request: &Request<()>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_bytes(&request.uri().path().as_bytes()[1..]).unwrap();
    response
}

fn routed(route: &'static str, mut request: Request<()>) -> Request<()> {
    request.extensions_mut().insert(MatchedRoute::template(route));
    request
}

#[test]
fn obs_07_a_request_is_measured_in_seconds_by_method_route_and_status() {
    let (recorded, manual) = (Recorded::new(), ManualClock::new());
    let layer = recorded.layer().with_clock(Clock::from(manual.clone()));
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        manual.advance(Duration::from_millis(250));
        ready(Ok::<_, Infallible>(status(&request)))
    }));
    for _ in 0..2 {
        request(&mut service, routed("/orders/{id}", get("/200")));
    }
    request(&mut service, routed("/orders/{id}", get("/404")));
    let series = recorded.series(HTTP_SERVER_REQUEST_DURATION);
    let measured: Vec<_> = series.iter().map(|(labels, value)| (&**labels, values(value))).collect();
    assert_eq!(
        measured,
        [
            (
                "http_request_method=GET,http_route=/orders/{id},http_response_status_code=200",
                vec![0.25, 0.25]
            ),
            ("http_request_method=GET,http_route=/orders/{id},http_response_status_code=404", vec![0.25]),
        ]
    );
}

#[test]
fn obs_07_the_buckets_are_those_of_the_conventions() {
    let boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert_eq!(DURATION_BUCKETS.map(f64::to_bits), boundaries.map(f64::to_bits));
}

#[test]
fn obs_01_an_unknown_method_and_a_missing_route_are_other() {
    let recorded = Recorded::new();
    let mut service =
        recorded.layer().layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    request(&mut service, Request::builder().method("PURGE").uri("/204").body(()).unwrap());
    assert_eq!(
        recorded.labels(HTTP_SERVER_REQUEST_DURATION),
        ["http_request_method=_OTHER,http_route=_OTHER,http_response_status_code=204"]
    );
}

#[test]
fn obs_03_a_server_error_names_its_type_and_a_client_error_does_not() {
    let recorded = Recorded::new();
    let mut service =
        recorded.layer().layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    request(&mut service, get("/503"));
    request(&mut service, get("/429"));
    assert_eq!(
        recorded.labels(HTTP_SERVER_REQUEST_DURATION),
        [
            "http_request_method=GET,http_route=_OTHER,http_response_status_code=429",
            "http_request_method=GET,http_route=_OTHER,http_response_status_code=503,error_type=503",
        ]
    );
}

#[test]
fn lay_02_a_request_is_measured_at_the_end_of_its_body() {
    let (recorded, manual) = (Recorded::new(), ManualClock::new());
    let layer = recorded.layer().with_clock(Clock::from(manual.clone()));
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Frames::new(&["one"], None, Last::End))))
    }));
    let std::task::Poll::Ready(response) = poll(&mut call(&mut service, get("/"))) else { panic!("ready") };
    let mut body = response.unwrap().into_body();
    assert!(poll(&mut body.frame()).is_ready());
    manual.advance(Duration::from_secs(3));
    assert_eq!(recorded.active(), 1.0);
    assert!(recorded.labels(HTTP_SERVER_REQUEST_DURATION).is_empty());
    assert!(poll(&mut body.frame()).is_ready());
    let series = recorded.series(HTTP_SERVER_REQUEST_DURATION);
    assert_eq!(values(series.values().next().unwrap()), [3.0]);
    drop(body);
    assert_eq!(recorded.active(), 0.0);
}

#[test]
fn lay_01_whatever_becomes_of_a_request_it_is_no_longer_active_and_no_status_is_made_up() {
    let recorded = Recorded::new();
    let mut service = recorded.layer().layer(service_fn(|request: Request<()>| async move {
        match request.uri().path() {
            "/never" => pending().await,
            "/error" => Err("no database"),
            "/panic" => panic!("the service panics"),
            "/broken" => Ok(Response::new(Frames::new(&["one"], None, Last::Error))),
            _ => Ok(Response::new(Frames::new(&["one"], None, Last::Never))),
        }
    }));
    let unpolled = call(&mut service, get("/never"));
    let mut left = Box::pin(call(&mut service, get("/never")));
    assert!(poll(&mut left).is_pending());
    assert_eq!(recorded.active(), 2.0);
    drop((unpolled, left));
    let mut failed = Box::pin(call(&mut service, get("/error")));
    assert!(matches!(poll(&mut failed), std::task::Poll::Ready(Err("no database"))));
    let mut panicked = Box::pin(call(&mut service, get("/panic")));
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| poll(&mut panicked).is_ready())).is_err());
    drop(panicked);
    for path in ["/broken", "/stuck"] {
        let mut future = Box::pin(call(&mut service, get(path)));
        let std::task::Poll::Ready(Ok(response)) = poll(&mut future) else { panic!("ready") };
        let mut body = response.into_body();
        let _ = poll(&mut body.frame());
        let _ = poll(&mut body.frame());
    }
    assert_eq!(recorded.active(), 0.0);
    let series = recorded.series(HTTP_SERVER_REQUEST_DURATION);
    let counts: Vec<_> = series.iter().map(|(labels, value)| (&**labels, values(value).len())).collect();
    let other = "http_request_method=GET,http_route=_OTHER";
    assert_eq!(
        counts,
        [
            (&*format!("{other},error_type=client_aborted"), 2),
            (&*format!("{other},error_type=panic"), 1),
            (&*format!("{other},error_type=service_error"), 1),
            (&*format!("{other},http_response_status_code=200,error_type=body_error"), 1),
            (&*format!("{other},http_response_status_code=200,error_type=client_aborted"), 1),
        ]
    );
}

#[test]
fn a_service_that_panics_in_call_is_counted_and_no_longer_active() {
    let recorded = Recorded::new();
    let mut service = recorded.layer().layer(service_fn(|request: Request<()>| {
        assert_ne!(request.uri().path(), "/", "the service panics");
        ready(Ok::<_, Infallible>(status(&request)))
    }));
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| drop(call(&mut service, get("/"))))).is_err());
    assert_eq!(recorded.active(), 0.0);
    assert_eq!(
        recorded.labels(HTTP_SERVER_REQUEST_DURATION),
        ["http_request_method=GET,http_route=_OTHER,error_type=panic"]
    );
}

#[test]
fn a_panic_that_became_a_refusal_is_counted_as_both() {
    let recorded = Recorded::new();
    let panics = service_fn(|request: Request<()>| {
        assert_ne!(request.uri().path(), "/", "the service panics");
        ready(Ok::<_, Infallible>(status(&request)))
    });
    request(&mut recorded.layer().layer(NormalizeLayer::new().layer(panics)), get("/"));
    assert_eq!(
        recorded.labels(HTTP_SERVER_REQUEST_DURATION),
        ["http_request_method=GET,http_route=_OTHER,http_response_status_code=500,error_type=panic"]
    );
    assert_eq!(recorded.labels(REJECTIONS), ["layer=_OTHER,code=internal"]);
}

#[test]
fn refusals_are_counted_by_layer_and_code() {
    let recorded = Recorded::new();
    let mut service = recorded.layer().layer(service_fn(|request: Request<()>| {
        let refusal = Rejection::new(Reason::RateLimited).with_layer("rate_limit");
        ready(Ok::<Response<ResponseBody<Full<Bytes>>>, Infallible>(refusal.answer(&request)))
    }));
    for _ in 0..3 {
        request(&mut service, get("/"));
    }
    let series = recorded.series(REJECTIONS);
    assert_eq!(series["layer=rate_limit,code=rate_limited"], DebugValue::Counter(3));
    assert_eq!(series.len(), 1);
}

#[test]
fn obs_09_ten_thousand_random_paths_methods_and_ids_make_a_constant_number_of_series() {
    let recorded = Recorded::new();
    let mut service = recorded.layer().layer(service_fn(|request: Request<()>| {
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() =
            if request.method() == Method::GET { StatusCode::NOT_FOUND } else { StatusCode::OK };
        ready(Ok::<_, Infallible>(response))
    }));
    let send = |service: &mut _, number: u32| {
        for method in ["GET".to_owned(), format!("M{number}")] {
            let mut random = Request::builder()
                .method(&*method)
                .uri(format!("/{number}/x{number}?q={number}"))
                .header("x-request-id", number)
                .body(())
                .unwrap();
            let context = RequestContext::of(&mut random);
            context.set_request_id(bartizan_core::RequestId::new(format!("id-{number}")).unwrap());
            request(service, random);
        }
    };
    send(&mut service, 0);
    let before = recorded.count();
    for number in 1..10_000 {
        send(&mut service, number);
    }
    assert_eq!(recorded.count(), before);
}

#[test]
fn obs_09_even_routes_that_are_made_of_paths_are_bounded() {
    let recorded = Recorded::new();
    let mut service =
        recorded.layer().layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    for number in 0..5_000 {
        let mut wrong = get("/200");
        wrong.extensions_mut().insert(MatchedRoute::template(format!("/orders/{number}")));
        request(&mut service, wrong);
    }
    let series = recorded.series(HTTP_SERVER_REQUEST_DURATION);
    assert_eq!(series.len(), 4_097);
    let other = "http_request_method=GET,http_route=_OTHER,http_response_status_code=200";
    assert_eq!(values(&series[other]).len(), 904, "no request is lost");
}

#[test]
fn metrics_go_to_the_recorder_in_force_whenever_it_comes() {
    let layer = MetricsLayer::new();
    let mut service = layer.layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    request(&mut service, get("/200"));
    let (first, second) = (Recorded::new(), Recorded::new());
    for (recorded, times) in [(&first, 1), (&second, 2), (&first, 3)] {
        metrics::with_local_recorder(&*recorded.recorder, || {
            for _ in 0..times {
                request(&mut service, get("/200"));
            }
        });
    }
    request(&mut service, get("/200"));
    for (recorded, times) in [(first, 4), (second, 2)] {
        let series = recorded.series(HTTP_SERVER_REQUEST_DURATION);
        assert_eq!(values(series.values().next().unwrap()).len(), times);
    }
}

#[test]
fn obs_07_active_requests_are_counted_by_choice_alone() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let text = recorder.handle();
    let counted = MetricsLayer::new().with_recorder(recorder);
    let mut service = counted.layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    request(&mut service, get("/200"));
    assert!(text.render().contains("http_server_request_duration_seconds"), "{}", text.render());
    assert!(!text.render().contains("active"), "{}", text.render());
}

#[test]
fn a_gauge_goes_down_where_it_went_up_when_the_recorder_changes_on_the_way() {
    let mut service = MetricsLayer::new()
        .with_active_requests(true)
        .layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    let (before, after) = (Recorded::new(), Recorded::new());
    let mut future = metrics::with_local_recorder(&*before.recorder, || call(&mut service, get("/200")));
    assert_eq!(before.active(), 1.0);
    metrics::with_local_recorder(&*after.recorder, || assert!(poll(&mut future).is_ready()));
    assert_eq!((before.active(), after.active()), (0.0, 0.0));
    assert!(before.labels(HTTP_SERVER_REQUEST_DURATION).is_empty());
    let measured = after.series(HTTP_SERVER_REQUEST_DURATION);
    assert_eq!(values(measured.values().next().unwrap()).len(), 1, "the end counts where it is seen");
}

#[test]
fn a_pinned_recorder_gets_it_all_and_the_one_in_force_nothing() {
    let (pinned, in_force) = (Recorded::new(), Recorded::new());
    let mut service =
        pinned.layer().layer(service_fn(|request| ready(Ok::<_, Infallible>(status(&request)))));
    metrics::with_local_recorder(&*in_force.recorder, || request(&mut service, get("/200")));
    assert_eq!((pinned.labels(HTTP_SERVER_REQUEST_DURATION).len(), in_force.count()), (1, 0));
}

#[test]
#[expect(clippy::redundant_clone, reason = "that a clone counts along is what is tested")]
fn clones_and_services_of_one_layer_count_together() {
    let recorded = Recorded::new();
    let layer = recorded.layer();
    let never = || service_fn(|_: Request<()>| pending::<Result<Response<Empty<Bytes>>, Infallible>>());
    let (mut first, mut second) = (layer.layer(never()), layer.clone().layer(never()));
    let running =
        (call(&mut first, get("/")), call(&mut second, get("/")), call(&mut first.clone(), get("/")));
    assert_eq!(recorded.active(), 3.0);
    drop(running);
    assert_eq!(recorded.active(), 0.0);
}
