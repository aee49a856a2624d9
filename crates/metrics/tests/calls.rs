//! What is measured of gRPC calls.

mod support;

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
};

use bartizan_core::{Reason, Rejection, ResponseBody};
use bartizan_metrics::{HTTP_SERVER_REQUEST_DURATION, MetricsLayer, REJECTIONS, RPC_SERVER_CALL_DURATION};
use http::{Request, Response};
use proptest::prelude::*;
use support::{Frames, Last, Recorded, call, get, grpc, grpc_answer, poll, request, values};
use tower::{Layer, service_fn};

type Answer = Ready<Result<Response<Frames>, Infallible>>;

/// A gRPC server with the method `shop.Orders/Get`. The query says how it answers.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a handler")]
fn server(request: Request<()>) -> Answer {
    let answer = match (request.uri().path(), request.uri().query()) {
        ("/shop.Orders/Get", None) => grpc_answer(&["message"], "0"),
        ("/shop.Orders/Get", Some("empty")) => grpc_answer(&[], "0"),
        ("/shop.Orders/Get", Some("fail")) => grpc_answer(&[], "13"),
        ("/shop.Orders/Get", Some("stream")) => {
            let body = Frames::new(&["message"], None, Last::Never);
            Response::builder().header("content-type", "application/grpc").body(body).unwrap()
        }
        // An interceptor that looks at no name, only at the service's prefix.
        (path, _) if path.starts_with("/shop.Orders/") => trailers_only("16"),
        _ => trailers_only("12"),
    };
    ready(Ok(answer))
}

fn trailers_only(status: &'static str) -> Response<Frames> {
    let body = Frames::new(&[], None, Last::End);
    let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", status);
    head.body(body).unwrap()
}

fn labels_after(layer: impl FnOnce(MetricsLayer) -> MetricsLayer, paths: &[&str]) -> Vec<String> {
    let recorded = Recorded::new();
    let mut service = layer(recorded.layer()).layer(service_fn(server));
    for path in paths {
        request(&mut service, grpc(path));
    }
    assert!(recorded.labels(HTTP_SERVER_REQUEST_DURATION).is_empty(), "a call is not counted twice");
    recorded.labels(RPC_SERVER_CALL_DURATION)
}

#[test]
fn obs_05_a_call_is_measured_by_method_and_status_of_its_trailers() {
    let labels = labels_after(|layer| layer, &["/shop.Orders/Get", "/shop.Orders/Get?fail"]);
    assert_eq!(
        labels,
        [
            "rpc_method=shop.Orders/Get,rpc_status_code=INTERNAL,error_type=INTERNAL",
            "rpc_method=shop.Orders/Get,rpc_status_code=OK",
        ]
    );
}

#[test]
fn a_method_is_named_once_it_succeeded_or_gave_a_message() {
    for proof in ["/shop.Orders/Get?empty", "/shop.Orders/Get?stream"] {
        let labels = labels_after(|layer| layer, &["/shop.Orders/Get?fail", proof, "/shop.Orders/Get?fail"]);
        assert!(
            labels.contains(&"rpc_method=_OTHER,rpc_status_code=INTERNAL,error_type=INTERNAL".to_owned())
                && labels.contains(
                    &"rpc_method=shop.Orders/Get,rpc_status_code=INTERNAL,error_type=INTERNAL".to_owned()
                ),
            "{proof}: {labels:?}"
        );
    }
}

#[test]
fn a_method_that_was_given_is_named_from_the_first_call_on() {
    for name in ["shop.Orders/Get", "/shop.Orders/Get"] {
        let labels = labels_after(|layer| layer.with_grpc_methods([name]), &["/shop.Orders/Get?fail"]);
        assert_eq!(labels, ["rpc_method=shop.Orders/Get,rpc_status_code=INTERNAL,error_type=INTERNAL"]);
    }
}

#[test]
fn obs_06_a_refused_call_is_no_server_error() {
    let recorded = Recorded::new();
    let layer = recorded.layer().with_grpc_methods(["shop.Orders/Get"]);
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        let refusal = Rejection::new(Reason::RateLimited).with_layer("rate_limit");
        ready(Ok::<Response<ResponseBody<Frames>>, Infallible>(refusal.answer(&request)))
    }));
    request(&mut service, grpc("/shop.Orders/Get"));
    assert_eq!(
        recorded.labels(RPC_SERVER_CALL_DURATION),
        ["rpc_method=shop.Orders/Get,rpc_status_code=RESOURCE_EXHAUSTED"]
    );
    assert_eq!(recorded.labels(REJECTIONS), ["layer=rate_limit,code=rate_limited"]);
}

#[test]
fn a_call_that_the_client_left_has_no_status() {
    let recorded = Recorded::new();
    let layer = recorded.layer().with_grpc_methods(["shop.Orders/Get"]);
    let mut service =
        layer.layer(service_fn(|_: Request<()>| pending::<Result<Response<Frames>, Infallible>>()));
    let mut left = call(&mut service, grpc("/shop.Orders/Get"));
    assert!(poll(&mut left).is_pending());
    drop(left);
    let series = recorded.series(RPC_SERVER_CALL_DURATION);
    assert_eq!(values(&series["rpc_method=shop.Orders/Get,error_type=client_aborted"]).len(), 1);
    assert_eq!(recorded.active(), 0.0);
}

#[test]
fn obs_09_methods_that_only_the_caller_knows_make_no_series() {
    let names = "(shop\\.Orders|[a-z]{1,8}\\.[A-Z][a-z]{1,8})/[A-Z][a-z]{1,12}[0-9]{0,9}";
    let recorded = Recorded::new();
    let open = recorded.layer().layer(service_fn(server));
    let refusing = recorded.layer().layer(service_fn(|request: Request<()>| {
        let refusal = Rejection::new(Reason::PermissionDenied).with_layer("auth");
        ready(Ok::<Response<ResponseBody<Frames>>, Infallible>(refusal.answer(&request)))
    }));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(5_000));
    runner
        .run(&(names, any::<bool>()), |(name, refused)| {
            prop_assume!(name != "shop.Orders/Get");
            let path = format!("/{name}");
            if refused {
                request(&mut refusing.clone(), grpc(&path));
            } else {
                request(&mut open.clone(), grpc(&path));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(
        recorded.labels(RPC_SERVER_CALL_DURATION),
        [
            "rpc_method=_OTHER,rpc_status_code=PERMISSION_DENIED",
            "rpc_method=_OTHER,rpc_status_code=UNAUTHENTICATED",
            "rpc_method=_OTHER,rpc_status_code=UNIMPLEMENTED,error_type=UNIMPLEMENTED",
        ]
    );
}

#[test]
fn obs_09_a_service_that_answers_any_name_is_bounded_too() {
    let recorded = Recorded::new();
    let mut service = recorded
        .layer()
        .layer(service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(grpc_answer(&["message"], "0")))));
    for number in 0..2_000 {
        request(&mut service, grpc(&format!("/any.Service/Method{number}")));
    }
    let series = recorded.series(RPC_SERVER_CALL_DURATION);
    assert_eq!(series.len(), 1_025);
    assert_eq!(values(&series["rpc_method=_OTHER,rpc_status_code=OK"]).len(), 976, "no call is lost");
}

#[test]
fn obs_01_and_obs_09_a_path_of_plain_http_becomes_no_method_whatever_type_the_caller_gives() {
    let recorded = Recorded::new();
    let layer = recorded.layer();
    // A route with a parameter, which answers to any name.
    let mut orders = layer.layer(service_fn(|_: Request<()>| {
        let order = Response::builder().header("content-type", "application/json");
        ready(Ok::<_, Infallible>(order.body(http_body_util::Full::<bytes::Bytes>::from("{}")).unwrap()))
    }));
    for number in 0..1_500 {
        request(&mut orders, grpc(&format!("/orders/{number}")));
    }
    assert_eq!(recorded.labels(RPC_SERVER_CALL_DURATION), ["rpc_method=_OTHER"]);
    // Nor has it taken the room of those that exist.
    let mut service = layer.layer(service_fn(server));
    request(&mut service, grpc("/shop.Orders/Get"));
    assert!(
        recorded
            .labels(RPC_SERVER_CALL_DURATION)
            .contains(&"rpc_method=shop.Orders/Get,rpc_status_code=OK".to_owned())
    );
}

#[test]
fn a_path_that_is_no_method_is_other() {
    let labels = labels_after(|layer| layer, &["/not-a-method", "/a/b/c"]);
    assert_eq!(labels, ["rpc_method=_OTHER,rpc_status_code=UNIMPLEMENTED,error_type=UNIMPLEMENTED"]);
}

#[test]
fn http_and_grpc_on_one_service_are_measured_apart() {
    let recorded = Recorded::new();
    let mut service = recorded.layer().layer(service_fn(server));
    request(&mut service, grpc("/shop.Orders/Get"));
    request(&mut service, get("/elsewhere"));
    assert_eq!(recorded.labels(RPC_SERVER_CALL_DURATION).len(), 1);
    assert_eq!(recorded.labels(HTTP_SERVER_REQUEST_DURATION).len(), 1);
}
