//! Places, keys and refusals.

use std::time::Duration;

use bartizan_bulkhead::{
    AdaptiveConcurrencyLayer, BulkheadLayer, Key, KeyFn, PerAuthority, PerPrincipal, PerRoute, PerTenant,
    Vegas,
};
use bartizan_core::{MatchedRoute, Principal, RequestContext};
use bartizan_testkit::TestBody;
use http::{Method, Request, Response};
use http_body_util::BodyExt;

use crate::support::{Harness, get, secs};

#[test]
fn a_refusal_is_503_or_unavailable_and_says_when_to_come_again() {
    let layer = BulkheadLayer::new(1).unwrap().with_retry_after(Duration::from_millis(2_500));
    let mut harness = Harness::new(&layer);
    let _first = harness.send(get("/"));
    let response = harness.send(get("/")).answer();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"3".parse().unwrap())
    );

    let mut call = get("/pkg.Stock/Reserve");
    *call.method_mut() = Method::POST;
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = harness.send(call).answer();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"14".parse().unwrap())
    );
    assert!(response.headers().contains_key("grpc-status-details-bin"), "RetryInfo");
}

#[test]
fn a_call_is_refused_in_its_own_protocol_and_not_in_that_of_the_request_it_is_made_for() {
    let mut harness = Harness::new(&BulkheadLayer::new(1).unwrap().by(PerAuthority));
    let mut call = get("http://stock.invalid/pkg.Stock/Reserve");
    let _first = harness.send(get("http://stock.invalid/"));
    *call.method_mut() = Method::POST;
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    call.extensions_mut().insert(RequestContext::of(&mut Request::new(())));
    assert_eq!(harness.send(call).answer().headers()["grpc-status"], "14");
}

#[tokio::test]
async fn lay_01_lay_02_a_place_is_held_until_the_body_has_ended() {
    let layer = BulkheadLayer::new(1).unwrap();
    let (handle, mut harness) = (layer.handle(), Harness::new(&layer));
    let mut first = harness.send(get("/"));
    assert_eq!(handle.in_flight(), 1);
    let (sender, body) = TestBody::channel();
    harness.calls()[0].reply.send(Ok(Response::new(body)));
    let response = first.answer();
    drop(first);
    assert_eq!(harness.send(get("/")).refusal(), "overloaded", "its body is on its way");
    sender.data("all of it");
    sender.finish();
    response.into_body().collect().await.unwrap();
    assert_eq!(handle.in_flight(), 0);

    let given_up = harness.send(get("/"));
    assert_eq!(handle.in_flight(), 1);
    drop(given_up);
    assert_eq!(handle.in_flight(), 0);
}

fn of_tenant(mut request: Request<TestBody>, subject: &str, tenant: &str) -> Request<TestBody> {
    let principal = Principal::service(subject).tenant(tenant);
    RequestContext::of(&mut request).set_principal(principal.build());
    request
}

#[test]
fn each_key_has_places_of_its_own() {
    let routed = |template: &'static str| {
        let mut request = get("/");
        request.extensions_mut().insert(MatchedRoute::template(template));
        request
    };
    let mut harness = Harness::new(&BulkheadLayer::new(1).unwrap().by(PerRoute));
    let mut flights = ["/a", "/b", "/a"].map(|route| harness.send(routed(route)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, true, false]);

    let mut harness = Harness::new(&BulkheadLayer::new(1).unwrap().by(PerAuthority));
    let uris = ["http://a.invalid/1", "http://b.invalid/", "http://A.invalid:80/2", "/", "/"];
    let mut flights = uris.map(|uri| harness.send(get(uri)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, true, false, true, false]);

    let callers = [("x", "acme"), ("y", "acme"), ("x", "zeta")];
    let mut harness = Harness::new(&BulkheadLayer::new(1).unwrap().by(PerTenant));
    let mut flights = callers.map(|(subject, tenant)| harness.send(of_tenant(get("/"), subject, tenant)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, false, true]);
    let mut harness = Harness::new(&BulkheadLayer::new(1).unwrap().by(PerPrincipal));
    let mut flights = callers.map(|(subject, tenant)| harness.send(of_tenant(get("/"), subject, tenant)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, true, false]);

    let by_path = KeyFn::new(|head| Some(Key::from(head.uri().path().get(..2)?.to_owned())));
    let mut harness = Harness::new(&BulkheadLayer::new(1).unwrap().by(by_path));
    let mut flights = ["/ax", "/ay", "/bx"].map(|path| harness.send(get(path)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, false, true]);
}

#[test]
fn keys_without_room_share_and_rooms_are_given_back() {
    let by_path = || KeyFn::new(|head| Some(Key::from(head.uri().path().to_owned())));
    let layer = BulkheadLayer::new(1).unwrap().by(by_path()).with_max_keys(2).unwrap();
    let mut harness = Harness::new(&layer);
    let mut flights = ["/a", "/b", "/c", "/d"].map(|path| harness.send(get(path)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, true, true, false]);
    drop(flights);
    assert_eq!(layer.handle().in_flight(), 0);
    let mut flights = ["/c", "/d"].map(|path| harness.send(get(path)));
    assert!(flights.iter_mut().all(|flight| flight.is_waiting()), "each has a room of its own now");

    // One that learns remembers its keys, and forgets an idle one for one that is new.
    let layer = AdaptiveConcurrencyLayer::between(1, 1).unwrap().by(by_path()).with_max_keys(2).unwrap();
    let mut harness = Harness::new(&layer);
    let stays = harness.send(get("/a"));
    for path in ["/b", "/c", "/d"] {
        let mut flights = [path, path].map(|path| harness.send(get(path)));
        assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, false], "{path}");
    }
    drop(stays);
    assert_eq!(layer.handle().in_flight(), 0);
}

#[test]
fn state_is_shared_by_clones_and_by_services_of_one_layer() {
    let layer = BulkheadLayer::new(1).unwrap();
    let mut first = Harness::new(&layer);
    let clone = layer.clone();
    let mut second = Harness::new(&clone);
    let _held = first.send(get("/"));
    assert_eq!(second.send(get("/")).refusal(), "overloaded");
    assert_eq!(layer.handle().in_flight(), 1);
}

#[test]
fn lay_06_settings_that_cannot_work_are_refused() {
    let layer = || BulkheadLayer::new(5).unwrap();
    assert_eq!(BulkheadLayer::new(0).unwrap_err().field(), "limit");
    assert_eq!(layer().with_queue(0, secs(1)).unwrap_err().field(), "queue");
    assert_eq!(layer().with_queue(usize::MAX, secs(1)).unwrap_err().field(), "queue");
    for wait in [Duration::ZERO, Duration::MAX] {
        assert_eq!(layer().with_queue(1, wait).unwrap_err().field(), "max_wait");
    }
    assert_eq!(layer().with_reserved(5).unwrap_err().field(), "reserved");
    assert_eq!(
        AdaptiveConcurrencyLayer::between(5, 9).unwrap().with_reserved(5).unwrap_err().field(),
        "reserved"
    );
    assert_eq!(layer().with_max_keys(0).unwrap_err().field(), "max_keys");
    for name in ["", "a b", &"x".repeat(65)] {
        assert_eq!(layer().with_name(name.to_owned()).unwrap_err().field(), "name");
    }
    assert_eq!(AdaptiveConcurrencyLayer::between(0, 9).unwrap_err().field(), "min");
    assert_eq!(AdaptiveConcurrencyLayer::between(9, 5).unwrap_err().field(), "max");
    let vegas = || Vegas::new(5, 50).unwrap();
    assert_eq!(vegas().with_initial(4).unwrap_err().field(), "initial");
    for tolerance in [-0.1, 1.1, f64::NAN] {
        assert_eq!(vegas().with_tolerance(tolerance).unwrap_err().field(), "tolerance");
    }
    for interval in [Duration::ZERO, Duration::MAX] {
        assert_eq!(vegas().with_probe_interval(interval).unwrap_err().field(), "probe_interval");
    }
}
