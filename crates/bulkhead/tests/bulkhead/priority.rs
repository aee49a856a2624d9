//! Who is shed last.

use bartizan_bulkhead::{AdaptiveConcurrencyLayer, BulkheadLayer, Priority};

use crate::support::{Harness, get, secs};

fn by_path(layer: BulkheadLayer) -> BulkheadLayer {
    layer.with_priority(|head| match head.uri().path() {
        "/live" => Priority::Exempt,
        "/high" => Priority::High,
        "/low" => Priority::Low,
        _ => Priority::Normal,
    })
}

#[test]
fn reserved_places_are_left_to_the_important_and_the_exempt_need_none() {
    let layer = by_path(BulkheadLayer::new(3).unwrap().with_reserved(1).unwrap());
    let mut harness = Harness::new(&layer);
    let mut flights =
        ["/", "/low", "/", "/high", "/high", "/live", "/live"].map(|path| harness.send(get(path)));
    let under_way = flights.each_mut().map(|flight| flight.is_waiting());
    assert_eq!(under_way, [true, true, false, true, false, true, true]);
    assert_eq!(layer.handle().in_flight(), 3, "the exempt hold none");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sheds_the_last_of_the_least_important() {
    let layer = by_path(BulkheadLayer::new(1).unwrap()).with_queue(2, secs(60)).unwrap();
    let mut harness = Harness::new(&layer);
    let held = harness.send(get("/held"));
    let (mut first, mut second) = (harness.send(get("/low")), harness.send(get("/low")));
    assert_eq!(harness.send(get("/low")).refusal(), "overloaded");
    let mut normal = harness.send(get("/normal"));
    assert_eq!(second.refusal(), "overloaded", "the last that came");
    let mut high = harness.send(get("/high"));
    assert_eq!(first.refusal(), "overloaded");
    assert_eq!(harness.send(get("/normal")).refusal(), "overloaded");
    assert_eq!(layer.handle().queued(), 2);
    drop(held);
    assert!(high.is_waiting() && normal.is_waiting());
    assert_eq!(harness.paths(), ["/held", "/high"]);
    drop(high);
    assert!(normal.is_waiting());
    assert_eq!(harness.paths(), ["/normal"]);
}

#[tokio::test(start_paused = true)]
async fn grpc_15_health_checks_are_shed_last_by_default() {
    let layer = AdaptiveConcurrencyLayer::between(2, 2).unwrap().with_reserved(1).unwrap();
    let mut harness = Harness::new(&layer);
    let paths = ["/pkg.Stock/Reserve", "/pkg.Stock/Reserve", "/grpc.health.v1.Health/Check"];
    let mut flights = paths.map(|path| harness.send(get(path)));
    assert_eq!(flights.each_mut().map(|flight| flight.is_waiting()), [true, false, true]);
}
